"""One function a step: what the command line, the page and `import herbage` all call.

Long steps take `track`, which wraps an iterable of known length to show progress. Photos that cannot be read never stop
a step: they are in its result, each with its reason.
"""

from herbage.progress import Track, silent
from herbage.steps.calibrating import calibrate, plan_cuts
from herbage.steps.exporting import export
from herbage.steps.extracting import Extraction, ExtractionStatus, extract, extraction_status, photo_tokens
from herbage.steps.predicting import Prediction, predict
from herbage.steps.scoring import Scored, Scores, score
from herbage.steps.submitting import submit
from herbage.steps.training import import_heads, train

__all__ = [
    "Extraction", "ExtractionStatus", "Prediction", "Scored", "Scores", "Track", "calibrate", "export", "extract",
    "extraction_status", "import_heads", "photo_tokens", "plan_cuts", "predict", "score", "silent", "submit", "train",
]  # fmt: skip
