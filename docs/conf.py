"""The documentation as a site: scripts/docs."""

import herbage

project = "herbage"
author = "The herbage authors"
copyright = "2026, the herbage authors"
release = version = herbage.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "cyclopts.ext.sphinx"]
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = False

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": False}

html_theme = "furo"
html_title = f"herbage {release}"
html_show_sourcelink = False
html_static_path: list[str] = []
