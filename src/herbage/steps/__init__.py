"""One function per command: what the command line, the web page and `import herbage` call.

Long steps take `track`, which wraps an iterable of known length to show progress. A photo that cannot be read never
stops a step: it is in the step's result, with the reason.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from herbage.progress import Track, silent

if TYPE_CHECKING:
    from herbage.steps.calibrating import calibrate, plan_cuts
    from herbage.steps.exporting import export
    from herbage.steps.extracting import ExtractionStatus, ExtractionSummary, extract, extraction_status, photo_tokens
    from herbage.steps.farming import farm_report
    from herbage.steps.predicting import PredictionSummary, predict
    from herbage.steps.scoring import ModelScore, Scores, score
    from herbage.steps.submitting import submit
    from herbage.steps.training import import_heads, train

__all__ = [
    "ExtractionStatus", "ExtractionSummary", "ModelScore", "PredictionSummary", "Scores", "Track", "calibrate",
    "export", "extract", "extraction_status", "farm_report", "import_heads", "photo_tokens", "plan_cuts", "predict",
    "score", "silent", "submit", "train",
]  # fmt: skip

_MODULES = {
    "calibrating": ("calibrate", "plan_cuts"),
    "exporting": ("export",),
    "extracting": ("ExtractionStatus", "ExtractionSummary", "extract", "extraction_status", "photo_tokens"),
    "farming": ("farm_report",),
    "predicting": ("PredictionSummary", "predict"),
    "scoring": ("ModelScore", "Scores", "score"),
    "submitting": ("submit",),
    "training": ("import_heads", "train"),
}


def __getattr__(name: str) -> Any:
    """Import a step when it is first used: each imports libraries that the others do without."""
    for module, names in _MODULES.items():
        if name in names:
            globals()[name] = value = getattr(import_module(f"{__name__}.{module}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
