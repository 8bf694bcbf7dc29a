"""The pasture cover of paddocks: means of their photos with intervals, growth, and shares of green and legume."""

import json
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import stdtrit

from herbage.model.estimate import Estimate
from herbage.model.model import HerbageModel
from herbage.model.paddock_error import MeanErrors
from herbage.results.paddock_assignment import Polygons
from herbage.results.predictions import spreadsheet_text
from herbage.targets import CLOVER, GDM, TARGETS, TOTAL, TargetMask, kg_per_ha, main_target

MAX_GROWTH_HALF_WIDTH = 100.0
"""Growth with a wider interval (half width, kg DM/ha/day) is left empty: no pasture grows that fast."""

COLUMNS = (
    "paddock", "photos", "taken_on", "kg_per_ha", "kg_per_ha_low", "kg_per_ha_high", "sampling_kg_per_ha",
    "model_kg_per_ha", "photos_to_halve_sampling", "variation", "GDM_kg_per_ha", "green_share", "legume_share",
    "in_domain_share", "growth_kg_per_ha_day", "growth_low", "growth_high", "growth_since",
)  # fmt: skip
"""The columns of paddocks.csv. `kg_per_ha` is that of Total, or of the main target that the model knows."""


@dataclass
class _Visit:
    """Sums over the photos of one paddock on one day, so that memory does not grow with their number."""

    photos: int = 0
    sums: Float[np.ndarray, "5"] = field(default_factory=lambda: np.zeros(len(TARGETS)))
    squares: float = 0.0
    in_domain: int = 0
    domain_known: int = 0
    place: Float[np.ndarray, "2"] = field(default_factory=lambda: np.zeros(2))
    placed: int = 0


class PaddockSummary:
    """Takes estimates one by one; `table` has one row per paddock, for its last day.

    Weights are summed in grams per training quadrat. Without `errors`, as for imported heads, means have no interval;
    `widened` is the factor by which a calibration widened intervals.
    """

    def __init__(
        self,
        errors: MeanErrors | None,
        *,
        known: TargetMask,
        quadrat_area_m2: float,
        level: float,
        widened: float = 1.0,
    ) -> None:
        self.errors, self.level, self.area, self.widened = errors, level, quadrat_area_m2, widened
        self.main = main_target(known)
        self.unassigned = 0
        self._visits: dict[str, dict[date | None, _Visit]] = {}

    @classmethod
    def of(cls, model: HerbageModel, level: float) -> "PaddockSummary":
        """An empty summary with the errors of this model's means."""
        errors, widened = None, 1.0
        if model.evidence is not None:
            oof, widened = model.evidence.oof, model.evidence.widened
            errors = MeanErrors.fit(oof.weighed_g, oof.estimated_g, oof.group_index)
        area = model.quadrat_area_m2
        return cls(errors, known=model.known, quadrat_area_m2=area, level=level, widened=widened)

    def add(self, paddock: str | None, estimate: Estimate) -> None:
        """Add an estimate; photos without a paddock are counted as unassigned."""
        if paddock is None:
            self.unassigned += 1
            return
        day = estimate.facts.taken_at.date() if estimate.facts.taken_at else None
        visit = self._visits.setdefault(paddock, {}).setdefault(day, _Visit())
        # Rounded as in predictions.csv, so that a resumed run gives the same summary.
        grams = estimate.rounded().grams * self.area / estimate.quadrat_area_m2
        visit.photos += 1
        visit.sums += grams
        visit.squares += float(grams[self.main] ** 2)
        if estimate.in_domain is not None:
            visit.domain_known += 1
            visit.in_domain += estimate.in_domain
        if estimate.facts.longitude is not None and estimate.facts.latitude is not None:
            visit.place += [estimate.facts.longitude, estimate.facts.latitude]
            visit.placed += 1

    def table(self) -> pd.DataFrame:
        """One row per paddock, highest cover first, with the columns of paddocks.csv."""
        rows = [self._row(name, visits) for name, visits in self._visits.items()]
        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        return frame.sort_values(["kg_per_ha", "paddock"], ascending=[False, True]).reset_index(drop=True)

    def rows(self) -> list[dict[str, Any]]:
        """The table's rows as plain values, None where a value is unknown."""
        return plain_rows(self.table())

    def csv(self) -> str:
        """The text of paddocks.csv."""
        return self.table().map(spreadsheet_text).to_csv(index=False, lineterminator="\n")

    def geojson(self, polygons: Polygons | None, digits: int | None = None) -> str:
        """The table as GeoJSON: polygons, or points at the mean position of the photos, to `digits` places."""
        features = []
        for cells in self.rows():
            name, geometry = cells["paddock"], None
            if polygons is not None and name in polygons.names:
                geometry = polygons.features[polygons.names.index(name)]["geometry"]
            elif (placed := [one for one in self._visits[name].values() if one.placed]) and polygons is None:
                place = sum(one.place for one in placed) / sum(one.placed for one in placed)
                geometry = {"type": "Point", "coordinates": np.round(place, 7 if digits is None else digits).tolist()}
            if geometry is not None:
                features.append({"type": "Feature", "geometry": geometry, "properties": cells})
        return json.dumps({"type": "FeatureCollection", "features": features}, indent=1, ensure_ascii=False) + "\n"

    def _row(self, name: str, visits: dict[date | None, _Visit]) -> dict[str, Any]:
        days = sorted(visits, key=lambda day: (day is not None, day or date.min))
        last = visits[days[-1]]
        mean, sampling, model = self._mean(last)
        total = last.sums[TOTAL]
        cells: dict[str, Any] = {
            "paddock": name,
            "photos": last.photos,
            "taken_on": days[-1].isoformat() if days[-1] else None,
            "kg_per_ha": mean,
            "sampling_kg_per_ha": sampling,
            "model_kg_per_ha": model,
            "photos_to_halve_sampling": 3 * last.photos if last.photos > 1 else None,
            "variation": self._deviation(last) * last.photos / last.sums[self.main]
            if last.photos > 1 and last.sums[self.main]
            else None,
            "GDM_kg_per_ha": self._kg(last.sums[GDM] / last.photos),
            "green_share": last.sums[GDM] / total if total else None,
            "legume_share": last.sums[CLOVER] / total if total else None,
            "in_domain_share": last.in_domain / last.domain_known if last.domain_known else None,
        }
        half = float(np.hypot(sampling, model))
        cells["kg_per_ha_low"], cells["kg_per_ha_high"] = max(mean - half, 0.0), mean + half
        if len(days) > 1 and days[-2] is not None and days[-1] is not None:
            before, *halves = self._mean(visits[days[-2]])
            span = (days[-1] - days[-2]).days
            growth, half_width = (mean - before) / span, float(np.linalg.norm([half, *halves])) / span
            if half_width <= MAX_GROWTH_HALF_WIDTH:
                cells |= {
                    "growth_kg_per_ha_day": growth, "growth_low": growth - half_width,
                    "growth_high": growth + half_width,
                    "growth_since": days[-2].isoformat(),
                }  # fmt: skip
        return {key: _rounded(value) for key, value in cells.items()}

    def _mean(self, visit: _Visit) -> tuple[float, float, float]:
        """The mean, and half widths of its intervals for sampling and for the model's error alone, in kg DM/ha."""
        mean_g = visit.sums / visit.photos
        sampling = np.nan
        if visit.photos > 1:
            quantile = stdtrit(visit.photos - 1, (1 + self.level) / 2)  # of Student's t distribution
            sampling = self._kg(quantile * self._deviation(visit) / np.sqrt(visit.photos))
        model = np.nan
        if self.errors is not None:
            half = self.errors.half_width_g(mean_g, visit.photos, self.level)[self.main]
            model = self._kg(half * self.widened)
        return self._kg(mean_g[self.main]), float(sampling), float(model)

    def _deviation(self, visit: _Visit) -> float:
        """Standard deviation of single photos in g per quadrat; 0 for one photo."""
        if visit.photos < 2:
            return 0.0
        mean = visit.sums[self.main] / visit.photos
        return float(np.sqrt(max(visit.squares - visit.photos * mean**2, 0.0) / (visit.photos - 1)))

    def _kg(self, grams: float) -> float:
        return float(kg_per_ha(np.array([grams], float), self.area)[0])


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table of paddocks as plain values, None where a value is unknown."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
