"""report.html: a self-contained page about a model, or about a set of predictions."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from herbage.evaluation.baselines import named_baselines
from herbage.evaluation.out_of_fold import OutOfFold
from herbage.evaluation.scoring import score_estimates
from herbage.model.config import ModelConfig, ScoreRecord
from herbage.model.domain import false_alarms
from herbage.model.estimate import Estimate
from herbage.model.evidence import Evidence
from herbage.model.model import HerbageModel
from herbage.remarks import Remark
from herbage.results.figures import draw_points, draw_scatter, thumbnail
from herbage.results.paddocks import plain_rows
from herbage.results.rendering import data_uri, render
from herbage.targets import LABELS, TARGETS, TargetMask, known_names, main_target

MAX_ROWS = 500
MAX_PICTURES = 48
MAX_POINTS = 2000
TABLE_PICTURE_PX = 120
"""Width of the pictures in the table."""


def model_report(
    config: ModelConfig,
    evidence: Evidence,
    worst: Sequence[tuple[str, bytes]] = (),
    remarks: Iterable[Remark] = (),
) -> str:
    """A page with score, baselines, scores by State, errors, residuals, and reliability of intervals and domain check.

    `worst` holds a caption and a picture for each of the photos with the largest errors; `remarks` are on the inputs.
    """
    beside = " and ".join(column.name for column in config.measured_columns)
    return _render(
        "model.html.j2",
        evidence.known,
        config=config,
        evidence=evidence,
        title=f"herbage model, recipe {config.recipe.name}",
        false_alarms=false_alarms(evidence.training.groups),
        training=evidence.training,
        backbone=config.backbone.name,
        beside=beside,
        scores=[
            (f"recipe {config.recipe.name}", evidence.alone.score),
            *([(f"with {beside}", evidence.measured.score)] if evidence.measured else []),
            *named_baselines(evidence.baselines).items(),
        ],
        states=_scores_by_state(evidence.oof),
        scatter=data_uri(draw_scatter(evidence.oof), "png"),
        residuals=data_uri(draw_scatter(evidence.oof, residuals=True), "png"),
        worst=[(caption, data_uri(thumbnail(picture), "jpeg")) for caption, picture in worst],
        remarks=[remark.message for remark in remarks],
    )


class PredictionsReport:
    """Collects the first rows, pictures and points, so that memory stays constant; `html` is the page."""

    def __init__(self, model: HerbageModel, level: float) -> None:
        self.config, self.evidence, self.known, self.level = model.config, model.evidence, model.known, level
        self.main = main_target(model.known)
        self.total = self.ok = self.outside = self.training_photos = self.placed = 0
        self._kg_per_ha = 0.0
        self._rows: list[dict[str, Any]] = []
        self._failed: list[dict[str, Any]] = []
        self._pictures: dict[str, str] = {}
        self._small: dict[str, str] = {}
        self._points: list[tuple[float, float, float]] = []
        self._paddocks: list[dict[str, Any]] = []
        self._wedge: str | None = None

    def add(self, estimate: Estimate, picture: Callable[[], bytes | None]) -> None:
        """Add an estimate; `picture` loads its overlay or photo, and is called while there is room for pictures."""
        self.total += 1
        if estimate.status != "ok":
            if len(self._failed) < MAX_ROWS:
                self._failed.append(estimate.row())
            return
        self.ok += 1
        self.outside += estimate.in_domain is False
        self.training_photos += estimate.training_photo is True
        weight = float(estimate.kg_per_ha[self.main])
        self._kg_per_ha += weight
        facts = estimate.facts
        if facts.longitude is not None and facts.latitude is not None:
            self.placed += 1
            if len(self._points) < MAX_POINTS:
                self._points.append((facts.longitude, facts.latitude, weight))
        if len(self._rows) < MAX_ROWS:
            self._rows.append(estimate.row())
        if len(self._pictures) < MAX_PICTURES and (content := picture()):
            self._pictures[estimate.photo] = data_uri(thumbnail(content), "jpeg")
            self._small[estimate.photo] = data_uri(thumbnail(content, TABLE_PICTURE_PX), "jpeg")

    def add_paddocks(self, table: pd.DataFrame, wedge: bytes) -> None:
        """Add the summary of paddocks and the feed wedge."""
        self._paddocks = plain_rows(table.head(MAX_ROWS))
        self._wedge = data_uri(wedge, "png")

    def html(self, remarks: Iterable[Remark] = ()) -> str:
        """The page; `remarks` are about the inputs."""
        points = [list(column) for column in zip(*self._points, strict=True)]
        return _render(
            "predictions.html.j2",
            self.known,
            config=self.config,
            evidence=self.evidence,
            title="Pasture estimates",
            total=self.total,
            ok=self.ok,
            outside=self.outside,
            training_photos=self.training_photos,
            mean_kg_per_ha=self._kg_per_ha / self.ok if self.ok else None,
            hidden=max(0, self.ok - MAX_ROWS),
            level=f"{self.level:.0%}",
            trained=self.evidence is not None,
            rows=self._rows,
            failed=self._failed,
            pictures=self._pictures,
            small=self._small,
            placed=self.placed,
            points=data_uri(draw_points(*points), "png") if points else None,
            paddocks=self._paddocks,
            wedge=self._wedge,
            remarks=[remark.message for remark in remarks],
        )


def _scores_by_state(oof: OutOfFold) -> list[tuple[str, ScoreRecord]]:
    """The score of each State's photos, if there are several States."""
    states = np.array([str(state) for state in oof.state or []])
    if len(set(states.tolist())) < 2:
        return []
    found = []
    for state in sorted(set(states.tolist())):
        own = np.flatnonzero(states == state)
        found.append((state, ScoreRecord.of(score_estimates(oof.weighed_g[own], oof.estimated_g[own]))))
    return found


def _render(page: str, known: TargetMask, **values: Any) -> str:
    labels = [label for label, is_known in zip(LABELS, known, strict=True) if is_known]
    return render(page, targets=known_names(known), labels=labels, main=TARGETS[main_target(known)], **values)
