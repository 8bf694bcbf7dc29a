"""Describe the machine: versions, devices, precisions, and what is missing and how to get it."""

import importlib.util
import os
import platform

import herbage
from herbage.environment import LIBRARIES, installed_version, memory_size


def describe_machine() -> dict[str, str]:
    """Facts by name, in the order to print; for a missing part, how to install or download it."""
    import torch

    from herbage.backbones.engine import resolve_engine

    engine = resolve_engine(library="torch")
    facts = {
        "herbage": herbage.__version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "processor": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads for torch",
        "memory": memory_size(),
        "device": f"{engine.device}, auto precision {engine.precision}",
    }
    if engine.device == "cuda":
        facts["gpu"] = torch.cuda.get_device_name()
    facts |= {name: _version(name) for name in LIBRARIES}
    facts |= {name: _version(name, "'herbage[openvino]'") for name in ("openvino", "nncf")}
    facts |= {name: _version(name, "'herbage[onnx]'") for name in ("onnx", "onnxscript", "onnxruntime")}
    facts |= {"geopandas": _version("geopandas", "'herbage[gis]'")}
    facts["backbone texture"] = "ready, needs no weights"
    facts["backbone facebook/dinov2-giant"] = _giant()
    if importlib.util.find_spec("torchvision"):
        facts["torchvision"] = (
            "installed but not used by herbage; a build that does not match torch breaks transformers"
        )
    return facts


def _version(name: str, install: str | None = None) -> str:
    return installed_version(name) or f"missing: pip install {install or name}"


def _giant() -> str:
    from huggingface_hub import try_to_load_from_cache

    name = "facebook/dinov2-giant"
    if isinstance(try_to_load_from_cache(name, "config.json"), str):
        return "in the hub's cache"
    return f"missing: `hf download {name} --local-dir DIR` (4.5 GB, needs a network), then `--backbone DIR`"
