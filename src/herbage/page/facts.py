"""What the page needs to know about a model, as plain values."""

from pathlib import Path
from typing import Any

from herbage.heads.measured import MeasuredColumn
from herbage.model.estimate import DEFAULT_LEVEL
from herbage.model.model import HerbageModel
from herbage.page.captions import caption
from herbage.results.overlay import swatches
from herbage.targets import TARGETS, known_names, main_target


def model_facts(model: HerbageModel) -> dict[str, Any]:
    """The model's card as data, and the colours of its maps, without paths of this computer."""
    evidence = model.evidence
    return {
        "herbage": model.config.herbage,
        "recipe": model.recipe.name,
        "backbone": Path(model.config.backbone.name).name,
        "targets": known_names(model.known),
        "main_target": TARGETS[main_target(model.known)],
        "has_map": model.recipe.has_map,
        "level": DEFAULT_LEVEL,
        "quadrat_area_m2": model.quadrat_area_m2,
        "training": None if evidence is None else evidence.training.model_dump(mode="json"),
        "score": None if evidence is None else evidence.alone.score.model_dump(mode="json"),
        "coverage": [] if evidence is None else [of.model_dump(mode="json") for of in evidence.alone.coverage],
        "calibration": evidence.alone.calibration.summary() if evidence and evidence.alone.calibration else None,
        "map_colours": swatches(),
        **_measured_facts(model),
    }


def _measured_facts(model: HerbageModel) -> dict[str, Any]:
    """The measured columns that the model uses, their score, and uninformative targets of both sets of heads."""
    evidence = model.evidence
    measured = evidence.measured if evidence and model.uses_measured else None
    columns = () if measured is None else model.config.measured_columns
    return {
        "measured_columns": [_column(column) for column in columns],
        "measured_score": None if measured is None else measured.score.model_dump(mode="json"),
        "no_better_than_mean": {
            "photo": [] if evidence is None else evidence.alone.no_better_than_mean,
            "measured": [] if measured is None else measured.no_better_than_mean,
        },
    }


def _column(column: MeasuredColumn) -> dict[str, Any]:
    label, unit = caption(column.name)
    return {"name": column.name, "label": label, "unit": unit, "low": column.low, "high": column.high}
