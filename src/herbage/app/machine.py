"""Describe the machine: versions, devices, precisions, and what is missing and how to get it."""

import importlib.util
import os
import platform
from collections.abc import Iterator

import herbage
from herbage.environment import LIBRARIES, installed_version, memory_size

EXTRAS = {
    "openvino": ("openvino", "nncf"),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "gis": ("geopandas",),
    "heic": ("pillow-heif",),
    "cluster": ("ray",),
}
"""The libraries of each extra."""

GIANT = "facebook/dinov2-giant"
BACKBONE = f"backbone {GIANT}"
"""The longest name of a fact."""


def describe_machine() -> Iterator[tuple[str, str]]:
    """Facts with their names, in the order to print; for a missing part, how to install or download it."""
    yield "herbage", herbage.__version__
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    import torch

    from herbage.backbones.engine import resolve_engine

    engine = resolve_engine(library="torch")
    yield "processor", f"{os.cpu_count()} cores, {torch.get_num_threads()} threads for torch"
    yield "memory", memory_size()
    yield "device", f"{engine.device}, auto precision {engine.precision}"
    if engine.device == "cuda":
        yield "gpu", torch.cuda.get_device_name()
    yield from ((name, _version(name)) for name in LIBRARIES)
    for extra, names in EXTRAS.items():
        yield from ((name, _version(name, f"'herbage[{extra}]'")) for name in names)
    yield "backbone texture", "ready, needs no weights"
    yield BACKBONE, _giant()
    if importlib.util.find_spec("torchvision"):
        yield "torchvision", "installed but not used by herbage; a build that does not match torch breaks transformers"


def _version(name: str, install: str | None = None) -> str:
    return installed_version(name) or f"missing: pip install {install or name}"


def _giant() -> str:
    from huggingface_hub import try_to_load_from_cache

    if isinstance(try_to_load_from_cache(GIANT, "config.json"), str):
        return "in the hub's cache"
    return f"missing: `hf download {GIANT} --local-dir DIR` (4.5 GB, needs a network), then `--backbone DIR`"
