"""Estimate the pasture in top-view photos: five dry weights, with intervals and a map.

import herbage

model = herbage.train("train.csv", photos="photos/", recipe="field", backbone="facebook/dinov2-giant")
frame = model.predict("new_photos/")
estimate = model.estimate("new_photos/a.jpg")
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # huggingface_hub reads it when it is imported
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime reads it when it is imported

_MODULES = {
    "Backbone": "herbage.backbones.backbone",
    "Estimate": "herbage.model.estimate",
    "Farm": "herbage.farm.farm",
    "HeadsRegressor": "herbage.model.regressor",
    "HerbageError": "herbage.errors",
    "HerbageModel": "herbage.model.model",
    "Recipe": "herbage.recipe",
    "TARGETS": "herbage.targets",
    "calibrate": "herbage.steps",
    "export": "herbage.steps",
    "extract": "herbage.steps",
    "import_heads": "herbage.steps",
    "load_recipe": "herbage.recipe",
    "open_backbone": "herbage.backbones.opening",
    "photo_tokens": "herbage.steps",
    "plan_cuts": "herbage.steps",
    "predict": "herbage.steps",
    "score": "herbage.steps",
    "submit": "herbage.steps",
    "train": "herbage.steps",
    "weighted_r2": "herbage.evaluation.scoring",
}

__all__ = sorted([*_MODULES, "__version__"])

if TYPE_CHECKING:
    from herbage.backbones.backbone import Backbone
    from herbage.backbones.opening import open_backbone
    from herbage.errors import HerbageError
    from herbage.evaluation.scoring import weighted_r2
    from herbage.farm.farm import Farm
    from herbage.model.estimate import Estimate
    from herbage.model.model import HerbageModel
    from herbage.model.regressor import HeadsRegressor
    from herbage.recipe import Recipe, load_recipe
    from herbage.steps import (
        calibrate,
        export,
        extract,
        import_heads,
        photo_tokens,
        plan_cuts,
        predict,
        score,
        submit,
        train,
    )
    from herbage.targets import TARGETS


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import herbage` stays fast."""
    if name not in _MODULES:
        raise AttributeError(f"module 'herbage' has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
