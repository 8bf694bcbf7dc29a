"""Sphinx configuration of the documentation; scripts/docs builds it."""

import io
import re

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from rich.console import Console
from sphinx.util.nodes import nested_parse_with_titles

import herbage
from herbage.app.cli import app

project = "herbage"
author = "The herbage authors"
copyright = "2026, the herbage authors"
release = version = herbage.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
smartquotes = False
exclude_patterns = ["_build"]

default_role = "code"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = f"herbage {release}"
html_show_sourcelink = False


def command_as_rst(name: str) -> str:
    """The help of a command as reStructuredText, so that a browser can wrap its lines."""
    out = io.StringIO()
    app.help_formatter = "plain"
    app.help_print([name], console=Console(file=out, width=10_000, color_system=None))
    lines = [name, "=" * len(name), ""]
    for line in out.getvalue().splitlines():
        option = re.match(r"  ((?:--|[A-Z_]+, --)[^:]*): (.*)", line)
        if line.startswith("Usage: "):
            lines += ["::", "", f"   {line.removeprefix('Usage: ')}", ""]
        elif re.match(r".*For example:$", line):
            lines += [f"{line}:", "", ""]
        elif option:
            called = option[1].partition(", --")[0]
            lines += [f"``{called}``", f"   {option[2]}", ""]
        elif line.startswith("  ") and lines[-1] == "":
            lines.insert(-1, f"   {line.strip()}")  # continuation of an option, or another example
        else:
            lines.append(f"**{line}**\n" if line.endswith(":") else line)
    return "\n".join(lines)


class Commands(Directive):
    """Directive that lists the help of every command, in the order in which they are used."""

    def run(self) -> list:
        """Return one section per command."""
        names = [name for name in app if not name.startswith("-")]
        text = "\n\n".join(command_as_rst(name) for name in names)
        section = nodes.section()
        section.document = self.state.document
        nested_parse_with_titles(self.state, StringList(text.splitlines(), source="herbage --help"), section)
        return section.children


def setup(sphinx: object) -> None:
    """Register the directive."""
    sphinx.add_directive("herbage-commands", Commands)  # type: ignore[attr-defined]  # avoids importing Sphinx's class
