"""report.html: one self-contained page, for a model and for a set of predictions."""

import base64
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

import herbage
from herbage.evaluation.baselines import named_floors
from herbage.evaluation.comparison import estimated, weighed
from herbage.evaluation.scoring import score_estimates
from herbage.formatting import counted
from herbage.model.config import ModelConfig, ScoreRecord
from herbage.model.domain import false_alarms
from herbage.model.estimate import Estimate
from herbage.model.model import HerbageModel
from herbage.results.figures import draw_points, draw_scatter, thumbnail
from herbage.results.overlay import LABELS
from herbage.results.paddocks import plain_rows
from herbage.targets import TARGETS, known_names, main_target

ROWS_SHOWN = 500
PICTURES_SHOWN = 48
POINTS_SHOWN = 2000
SMALL_PX = 120
"""Width of the pictures in the table."""


def model_report(model: HerbageModel, worst: Sequence[tuple[str, bytes]] = ()) -> str:
    """The score beside its floors and by State, errors, residuals, and what may be trusted.

    `worst`: a caption and a picture of the photos that are furthest from their weights.
    """
    about, oof = model.about, model.oof
    assert about.training is not None
    assert about.score is not None
    assert oof is not None
    return _render(
        "model.html.j2",
        about,
        title=f"herbage model, recipe {about.recipe.name}",
        false_alarms=false_alarms(about.training.groups),
        training=about.training,
        backbone=about.backbone.name,
        scores=[
            (f"recipe {about.recipe.name}", about.score),
            *named_floors(about.floors).items(),
        ],
        states=_by_state(oof),
        scatter=_data_uri(draw_scatter(oof), "png"),
        residuals=_data_uri(draw_scatter(oof, residuals=True), "png"),
        worst=[(caption, _data_uri(thumbnail(picture), "jpeg")) for caption, picture in worst],
    )


class PredictionsReport:
    """Collects the first rows, pictures and points as they come, so that memory stays flat; `html` is the page."""

    def __init__(self, about: ModelConfig, level: float) -> None:
        self.about, self.level = about, level
        self.main = main_target(about.known)
        self.total = self.ok = self.outside = self.own = self.placed = 0
        self._kg_per_ha = 0.0
        self._rows: list[dict[str, Any]] = []
        self._failed: list[dict[str, Any]] = []
        self._pictures: dict[str, str] = {}
        self._small: dict[str, str] = {}
        self._points: list[tuple[float, float, float]] = []
        self._paddocks: list[dict[str, Any]] = []
        self._wedge: str | None = None

    def add(self, estimate: Estimate, picture_of: Callable[[], bytes | None]) -> None:
        """Take an estimate in; its overlay or its photo is asked for while there is room for pictures."""
        self.total += 1
        self.outside += estimate.in_domain is False
        rows = self._failed
        if estimate.status == "ok":
            rows = self._rows
            self.ok += 1
            self.own += estimate.trained_on
            weight = float(estimate.kg_per_ha[self.main])
            self._kg_per_ha += weight
            facts = estimate.facts
            if facts.longitude is not None and facts.latitude is not None:
                self.placed += 1
                if len(self._points) < POINTS_SHOWN:
                    self._points.append((facts.longitude, facts.latitude, weight))
        if len(rows) < ROWS_SHOWN:
            rows.append(estimate.row())
        if estimate.status == "ok" and len(self._pictures) < PICTURES_SHOWN and (picture := picture_of()):
            self._pictures[estimate.photo] = _data_uri(thumbnail(picture), "jpeg")
            self._small[estimate.photo] = _data_uri(thumbnail(picture, SMALL_PX), "jpeg")

    def add_paddocks(self, table: pd.DataFrame, wedge: bytes) -> None:
        """Take in the summary of paddocks, and its picture."""
        self._paddocks = plain_rows(table.head(ROWS_SHOWN))
        self._wedge = _data_uri(wedge, "png")

    def html(self) -> str:
        """The page."""
        points = [list(column) for column in zip(*self._points, strict=True)]
        return _render(
            "predictions.html.j2",
            self.about,
            title="Pasture estimates",
            total=self.total,
            ok=self.ok,
            outside=self.outside,
            own=self.own,
            mean_kg_per_ha=self._kg_per_ha / self.ok if self.ok else None,
            hidden=max(0, self.ok - ROWS_SHOWN),
            level=f"{self.level:.0%}",
            trained=self.about.training is not None,
            rows=self._rows,
            failed=self._failed,
            pictures=self._pictures,
            small=self._small,
            placed=self.placed,
            points=_data_uri(draw_points(*points), "png") if points else None,
            paddocks=self._paddocks,
            wedge=self._wedge,
        )


def _by_state(oof: pd.DataFrame) -> list[tuple[str, ScoreRecord]]:
    """The score of each State's photos, where the table has more than one."""
    if "State" not in oof or oof["State"].nunique() < 2:
        return []
    truth, guess = weighed(oof), estimated(oof)
    states = oof["State"].astype(str).to_numpy()
    found = []
    for state in sorted(set(states)):
        own = np.flatnonzero(states == state)
        found.append((state, ScoreRecord.of(score_estimates(truth[own], guess[own]))))
    return found


def _render(page: str, about: ModelConfig, **values: Any) -> str:
    environment = Environment(
        loader=PackageLoader("herbage.results", "pages"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"figure": _figure, "counted": counted}
    labels = [label for label, known in zip(LABELS, about.known, strict=True) if known]
    main = TARGETS[main_target(about.known)]
    return environment.get_template(page).render(
        about=about, targets=known_names(about.known), labels=labels, main=main, version=herbage.__version__, **values
    )


def _figure(value: float | None, digits: int) -> str:
    if value is None or value != value:
        return "n/a"
    return f"{round(value, digits) + 0.0:,.{digits}f}"  # + 0.0, so that nothing is -0


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
