"""Estimate: a model's result for one photo, and its row of predictions.csv."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from herbage.errors import PhotoTooLarge, PhotoUnreadable
from herbage.photos.exif import NO_FACTS, PhotoFacts
from herbage.targets import GDM, TARGETS, TOTAL, g_per_m2, kg_per_ha

COLUMNS = (
    "photo", "status", *TARGETS,
    *(f"{target}_{end}" for target in TARGETS for end in ("low", "high")),
    "Dry_Total_kg_per_ha", "GDM_kg_per_ha", "in_domain", "taken_at", "latitude", "longitude", "message",
    "training_photo", "shape_differs", "measured",
)  # fmt: skip
"""The columns of predictions.csv, in order."""

FLAGS = ("in_domain", "training_photo", "shape_differs", "measured")
"""Columns that are True, False or empty."""

NUMBERS = tuple(name for name in COLUMNS if name not in ("photo", "status", "taken_at", "message", *FLAGS))
"""Columns of numbers."""

DEFAULT_LEVEL = 0.9
"""The level of intervals where none is given."""

DIGITS = 6
"""Decimal places of numbers."""


def _nothing() -> Float[np.ndarray, "5"]:
    return np.full(len(TARGETS), np.nan)


@dataclass(frozen=True)
class Estimate:
    """One photo's dry weights in g per quadrat of `quadrat_area_m2`, with an interval of the given level.

    A patch of the upright `map` holds the grams that the quadrat would have if all of it looked like this patch, so the
    mean over patches is `grams`; None if no map was requested, or if the heads have none. `training_photo`: whether the
    model was trained on the photo. `shape_differs`: whether its aspect ratio differs from that of the training photos.
    `measured`: whether the estimate used the model's measured columns.
    Where the model has no evidence, `low` and `high` are NaN and the flags None. A photo that failed has the `status`
    `unreadable` or `skipped`, a message, and NaN weights.
    """

    photo: str
    status: str = "ok"
    grams: Float[np.ndarray, "5"] = field(default_factory=_nothing)
    low: Float[np.ndarray, "5"] = field(default_factory=_nothing)
    high: Float[np.ndarray, "5"] = field(default_factory=_nothing)
    level: float = DEFAULT_LEVEL
    quadrat_area_m2: float = math.nan
    map: Float[np.ndarray, "target row column"] | None = field(default=None, repr=False)
    in_domain: bool | None = None
    facts: PhotoFacts = NO_FACTS
    message: str = ""
    training_photo: bool | None = None
    shape_differs: bool | None = None
    measured: bool = False

    @classmethod
    def failed(cls, photo: str, failure: PhotoUnreadable) -> "Estimate":
        """The result for a photo that could not be read, or was skipped because of its size."""
        status = "skipped" if isinstance(failure, PhotoTooLarge) else "unreadable"
        return cls(photo, status, message=str(failure), training_photo=False, shape_differs=False)

    @classmethod
    def of_row(cls, cells: Mapping[str, Any], *, level: float, quadrat_area_m2: float) -> "Estimate":
        """Rebuild an estimate, without its map, from the cells of its row; `taken_at` is a datetime or None."""

        def figures(end: str) -> Float[np.ndarray, "5"]:
            return np.array([cells[target + end] for target in TARGETS], float)

        return cls(
            cells["photo"],
            cells["status"],
            figures(""),
            figures("_low"),
            figures("_high"),
            level,
            quadrat_area_m2,
            in_domain=cells["in_domain"],
            facts=PhotoFacts(cells["taken_at"], cells["latitude"], cells["longitude"]),
            message=cells["message"] or "",
            training_photo=cells["training_photo"],
            shape_differs=cells["shape_differs"],
            measured=bool(cells["measured"]),
        )

    @property
    def kg_per_ha(self) -> Float[np.ndarray, "5"]:
        """Kilograms of dry matter per hectare."""
        return kg_per_ha(self.grams, self.quadrat_area_m2)

    @property
    def map_g_per_m2(self) -> Float[np.ndarray, "target row column"] | None:
        """The map in grams per square metre."""
        return None if self.map is None else g_per_m2(self.map, self.quadrat_area_m2)

    def rounded(self) -> "Estimate":
        """A copy rounded as in predictions.csv. All files are written from it, so resumed runs give the same files."""
        grams, low, high = (
            np.array([round(g, DIGITS) for g in of.tolist()]) for of in (self.grams, self.low, self.high)
        )
        return replace(self, grams=grams, low=low, high=high, facts=self.facts.redacted(True, DIGITS))

    def row(self) -> dict[str, Any]:
        """The cells of predictions.csv, None where a value is unknown."""
        rounded = self.rounded()
        cells: dict[str, Any] = {"photo": self.photo, "status": self.status}
        for t, target in enumerate(TARGETS):
            cells[target] = _cell(rounded.grams[t])
            cells[f"{target}_low"], cells[f"{target}_high"] = _cell(rounded.low[t]), _cell(rounded.high[t])
        hectare = rounded.kg_per_ha
        cells |= {
            "Dry_Total_kg_per_ha": _cell(hectare[TOTAL]),
            "GDM_kg_per_ha": _cell(hectare[GDM]),
            "in_domain": self.in_domain,
            "taken_at": self.facts.taken_at.isoformat() if self.facts.taken_at else None,
            "latitude": _cell(self.facts.latitude),
            "longitude": _cell(self.facts.longitude),
            "message": self.message or None,
            "training_photo": self.training_photo,
            "shape_differs": self.shape_differs,
            "measured": self.measured,
        }
        return {column: cells[column] for column in COLUMNS}


Item = TypeVar("Item")


def skip_failed(made: Iterable[tuple[Estimate, Item]], failed: dict[str, str]) -> Iterator[tuple[int, Estimate, Item]]:
    """Yield number, estimate and item of estimated photos; put the others into `failed` with the reason."""
    for number, (estimate, item) in enumerate(made):
        if estimate.status == "ok":
            yield number, estimate, item
        else:
            failed[estimate.photo] = estimate.message


def _cell(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(float(value), DIGITS)
