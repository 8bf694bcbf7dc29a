"""Estimate: what a model says of one photo, and estimates as the rows of a table."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from herbage.errors import PhotoTooLarge, PhotoUnreadable
from herbage.photos.photo import NO_FACTS, PhotoFacts
from herbage.targets import GDM, TARGETS, TOTAL, g_per_m2, kg_per_ha

COLUMNS = (
    "photo", "status", *TARGETS,
    *(f"{target}_{end}" for target in TARGETS for end in ("low", "high")),
    "Dry_Total_kg_per_ha", "GDM_kg_per_ha", "in_domain", "taken_at", "latitude", "longitude", "message",
)  # fmt: skip
"""The columns of predictions.csv, in order."""

TEXTS = ("photo", "status", "in_domain", "taken_at", "message")
"""Those of them that are no figures."""

DIGITS = 6
"""Decimal places of their figures."""

TRAINED_ON = "one of the model's training photos: a new one errs more"
ODD_SHAPE = "times as wide as high, the training photos"
"""What messages say of photos that were estimated all the same."""


def _nothing() -> Float[np.ndarray, "5"]:
    return np.full(len(TARGETS), np.nan)


@dataclass(frozen=True)
class Estimate:
    """One photo's dry weights in g a quadrat of `quadrat_area_m2`, with an interval of the given level.

    `map` holds the grams of each target if the whole quadrat looked like that patch, upright, so that its mean over
    patches is `grams`; None where the heads have no map. `low` and `high` are NaN, and `in_domain` is None, where the
    model cannot tell. A photo that failed has a `status` of `unreadable` or `skipped`, a message, and NaN figures.
    """

    photo: str
    status: str = "ok"
    grams: Float[np.ndarray, "5"] = field(default_factory=_nothing)
    low: Float[np.ndarray, "5"] = field(default_factory=_nothing)
    high: Float[np.ndarray, "5"] = field(default_factory=_nothing)
    level: float = 0.9
    quadrat_area_m2: float = math.nan
    map: Float[np.ndarray, "target row column"] | None = field(default=None, repr=False)
    in_domain: bool | None = None
    facts: PhotoFacts = NO_FACTS
    message: str = ""

    @classmethod
    def failed(cls, photo: str, failure: PhotoUnreadable) -> "Estimate":
        """The row of a photo that could not be read, or was skipped for its size."""
        return cls(photo, "skipped" if isinstance(failure, PhotoTooLarge) else "unreadable", message=str(failure))

    @classmethod
    def of_row(cls, cells: Mapping[str, Any], *, level: float, quadrat_area_m2: float) -> "Estimate":
        """An estimate from the cells of its row, without its map; `taken_at` is a datetime or None."""

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
        )

    @property
    def trained_on(self) -> bool:
        """Whether this is one of the model's training photos."""
        return TRAINED_ON in self.message

    @property
    def odd_shape(self) -> bool:
        """Whether the photo has another shape than the training photos."""
        return ODD_SHAPE in self.message

    @property
    def kg_per_ha(self) -> Float[np.ndarray, "5"]:
        """Kilograms of dry matter a hectare."""
        return kg_per_ha(self.grams, self.quadrat_area_m2)

    @property
    def map_g_per_m2(self) -> Float[np.ndarray, "target row column"] | None:
        """The map in grams a square metre."""
        return None if self.map is None else g_per_m2(self.map, self.quadrat_area_m2)

    def rounded(self) -> "Estimate":
        """As the table has it: all that is written is made of this, so that the same comes of the table's rows."""
        grams, low, high = (
            np.array([round(g, DIGITS) for g in of.tolist()]) for of in (self.grams, self.low, self.high)
        )
        return replace(self, grams=grams, low=low, high=high, facts=self.facts.veiled(True, DIGITS))

    def row(self) -> dict[str, Any]:
        """The cells of predictions.csv, None where there is nothing to say."""
        said = self.rounded()
        cells: dict[str, Any] = {"photo": self.photo, "status": self.status}
        for t, target in enumerate(TARGETS):
            cells[target] = _cell(said.grams[t])
            cells[f"{target}_low"], cells[f"{target}_high"] = _cell(said.low[t]), _cell(said.high[t])
        hectare = said.kg_per_ha
        cells |= {
            "Dry_Total_kg_per_ha": _cell(hectare[TOTAL]),
            "GDM_kg_per_ha": _cell(hectare[GDM]),
            "in_domain": self.in_domain,
            "taken_at": self.facts.taken_at.isoformat() if self.facts.taken_at else None,
            "latitude": _cell(self.facts.latitude),
            "longitude": _cell(self.facts.longitude),
            "message": self.message or None,
        }
        return {column: cells[column] for column in COLUMNS}


def estimates_table(estimates: Iterable[Estimate]) -> pd.DataFrame:
    """Estimates as a table with predictions.csv's columns; figures are float, NaN where there are none."""
    frame = pd.DataFrame([estimate.row() for estimate in estimates], columns=list(COLUMNS))
    return frame.astype(dict.fromkeys((name for name in COLUMNS if name not in TEXTS), float))


def _cell(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(float(value), DIGITS)
