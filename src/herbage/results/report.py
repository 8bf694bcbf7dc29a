"""report.html: one self-contained page, for a model and for a set of predictions."""

import base64
import io
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from herbage.judging.compare import estimated, weighed
from herbage.model.config import ModelConfig
from herbage.model.domain import false_alarms
from herbage.model.estimate import Estimate
from herbage.model.model import HerbageModel
from herbage.results.density import LABELS
from herbage.targets import TARGETS, main_target

ROWS_SHOWN = 500
MAPS_SHOWN = 48
MAP_WIDTH_PX = 480


def model_report(model: HerbageModel) -> str:
    """The score beside its floors, errors by target, and observed against estimated."""
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
            *((f"floor: {name}", floor) for name, floor in about.floors.items()),
        ],
        scatter=_data_uri(_scatter(oof), "png"),
    )


class PredictionsReport:
    """Collects the rows and the first maps as they come, so that memory stays flat; `html` is the page."""

    def __init__(self, about: ModelConfig, level: float) -> None:
        self.about, self.level = about, level
        self.total = self.ok = self.outside = 0
        self._kg_per_ha = 0.0
        self._rows: list[dict[str, Any]] = []
        self._failed: list[dict[str, Any]] = []
        self._maps: list[tuple[str, str]] = []

    def add(self, estimate: Estimate, overlay: bytes | None) -> None:
        """Take an estimate in, with its overlay PNG where there is one."""
        self.total += 1
        self.ok += estimate.status == "ok"
        self.outside += estimate.in_domain is False
        if estimate.status == "ok":
            self._kg_per_ha += float(estimate.kg_per_ha[main_target(self.about.known)])
        rows = self._rows if estimate.status == "ok" else self._failed
        if len(rows) < ROWS_SHOWN:
            rows.append(estimate.row())
        if overlay is not None and len(self._maps) < MAPS_SHOWN:
            self._maps.append((estimate.photo, _data_uri(_thumbnail(overlay), "jpeg")))

    def html(self) -> str:
        """The page."""
        return _render(
            "predictions.html.j2",
            self.about,
            title="Pasture estimates",
            total=self.total,
            ok=self.ok,
            outside=self.outside,
            mean_kg_per_ha=self._kg_per_ha / self.ok if self.ok else None,
            hidden=max(0, self.ok - ROWS_SHOWN),
            recipe=self.about.recipe.name,
            backbone=self.about.backbone.name,
            level=f"{self.level:.0%}",
            trained=self.about.training is not None,
            rows=self._rows,
            failed=self._failed,
            maps=self._maps,
        )


def _render(page: str, about: ModelConfig, **values: Any) -> str:
    environment = Environment(
        loader=PackageLoader("herbage.results", "pages"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["figure"] = _figure
    targets = [target for target, known in zip(TARGETS, about.known, strict=True) if known]
    labels = [label for label, known in zip(LABELS, about.known, strict=True) if known]
    main = TARGETS[main_target(about.known)]
    return environment.get_template(page).render(about=about, targets=targets, labels=labels, main=main, **values)


def _figure(value: float | None, digits: int) -> str:
    return "n/a" if value is None or value != value else f"{value:,.{digits}f}"


def _scatter(oof: pd.DataFrame) -> bytes:
    truth, guess = weighed(oof), estimated(oof)
    figure = Figure(figsize=(10, 6.4), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3).ravel()
    states = oof["State"].astype(str) if "State" in oof else pd.Series(["photos"] * len(oof))
    known = [t for t in range(len(TARGETS)) if np.isfinite(truth[:, t]).all()]
    for ax in axes[len(known) : -1]:
        ax.set_axis_off()
    for t, ax in zip(known, axes, strict=False):
        top = float(max(truth[:, t].max(), guess[:, t].max(), 1e-6)) * 1.05
        ax.plot([0, top], [0, top], color="0.5", linewidth=1)
        for marker, state in zip("osv^DPX*" * len(states), sorted(set(states)), strict=False):
            rows = np.flatnonzero(states == state)
            ax.scatter(guess[rows, t], truth[rows, t], s=16, alpha=0.7, marker=marker, label=state)
        ax.set(xlim=(0, top), ylim=(0, top), title=LABELS[t], xlabel="estimated, g", ylabel="weighed, g")
        ax.set_aspect("equal")
    axes[-1].set_axis_off()
    if states.nunique() > 1:
        handles, names = axes[0].get_legend_handles_labels()
        axes[-1].legend(handles, names, title="State", loc="center", frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _thumbnail(overlay: bytes) -> bytes:
    with Image.open(io.BytesIO(overlay)) as image:
        small = image.convert("RGB")
        small.thumbnail((MAP_WIDTH_PX, 4 * MAP_WIDTH_PX))
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=78)
    return buffer.getvalue()


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
