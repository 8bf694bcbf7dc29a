"""The machine and the libraries that a run uses."""

import os
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = (
    "torch", "transformers", "safetensors", "numpy", "scipy", "scikit-learn", "pandas", "pillow", "simplejpeg",
    "matplotlib",
)  # fmt: skip
"""Libraries whose versions are reported by `check` and recorded in run.json."""


def installed_version(name: str) -> str | None:
    """The version of an installed distribution, None where it is missing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def memory_bytes() -> float:
    """The machine's memory in bytes; infinite where the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return float("inf")
