"""One function per command: what the command line, the web page and `import herbage` call.

Long steps take `track`, which wraps an iterable of known length to show progress. A photo that cannot be read never
stops a step: it is in the step's result, with the reason.
"""

from herbage.progress import Track, silent
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
