"""The machine and the libraries that a run uses."""

import math
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
    """The machine's memory in bytes; infinite where the system does not report it, as on Windows."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return float("inf")


def memory_size() -> str:
    """The machine's memory as text, such as "16.0 GB"."""
    return f"{memory_bytes() / 1e9:.1f} GB" if math.isfinite(memory_bytes()) else "unknown"
