"""Paddocks: which photo belongs to which, and what stands in each, with the interval of its mean."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from herbage.errors import InputInvalid
from herbage.model.estimate import Estimate
from herbage.model.paddock_error import MeanErrors
from herbage.photos.photo import PhotoFile
from herbage.results.predictions import spreadsheet_text
from herbage.targets import CLOVER, GDM, TARGETS, TOTAL, Known, kg_per_ha, main_target

log = logging.getLogger("herbage")

FOLDER = "folder"
GROWTH_TOLD = 100.0
"""Half the interval of a growth, kg DM/ha/day, above which nothing is said: no pasture grows so fast."""

COLUMNS = (
    "paddock", "photos", "taken_on", "kg_per_ha", "kg_per_ha_low", "kg_per_ha_high", "sampling_kg_per_ha",
    "model_kg_per_ha", "photos_to_halve_sampling", "variation", "GDM_kg_per_ha", "green_share", "legume_share",
    "in_domain_share", "growth_kg_per_ha_day", "growth_low", "growth_high", "growth_since",
)  # fmt: skip
"""Of paddocks.csv. `kg_per_ha` is Total, or what the model knows instead."""

PaddockOf = Callable[[PhotoFile, Estimate], str | None]


@dataclass(frozen=True)
class Polygons:
    """A GeoJSON file of paddocks: each feature's name and shape."""

    features: list[dict[str, Any]]
    names: list[str]
    shapes: list[Any]

    @classmethod
    def read(cls, path: Path) -> "Polygons":
        """Raises InputInvalid for what is no FeatureCollection of polygons, and where shapely is missing."""
        try:
            from shapely.geometry import shape
        except ImportError as error:
            raise InputInvalid("--paddocks with a GeoJSON file needs shapely: pip install 'herbage[gis]'") from error
        try:
            features = [
                one for one in json.loads(path.read_text("utf-8-sig"))["features"]
                if one["geometry"] and one["geometry"]["type"] in ("Polygon", "MultiPolygon")
            ]  # fmt: skip
            shapes = [shape(one["geometry"]) for one in features]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputInvalid(f"--paddocks {path} is no GeoJSON file of polygons: {error}") from error
        if not features:
            raise InputInvalid(f"--paddocks {path} has no polygon.")
        if any(
            not (-180 <= x <= 180 and -90 <= y <= 90) for one in shapes for x, y in [one.bounds[:2], one.bounds[2:]]
        ):
            raise InputInvalid(f"--paddocks {path} is not in longitude and latitude (WGS 84), as GeoJSON has to be.")
        return cls(features, [_feature_name(one, number) for number, one in enumerate(features)], shapes)

    def around(self, longitude: float, latitude: float) -> str | None:
        """The name of the first polygon that holds this point."""
        from shapely.geometry import Point

        point = Point(longitude, latitude)
        return next((name for name, one in zip(self.names, self.shapes, strict=True) if one.covers(point)), None)


def _feature_name(feature: dict[str, Any], number: int) -> str:
    properties = feature.get("properties") or {}
    lower = {str(key).lower(): value for key, value in properties.items() if value not in (None, "")}
    return str(next((lower[key] for key in ("name", "paddock", "id") if key in lower), f"polygon {number + 1}"))


def by_folder(file: PhotoFile, _: Estimate) -> str:
    """The folder that a photo stands in."""
    return PurePosixPath(file.name).parent.name or "(no folder)"


def by_column(told: Mapping[str, str]) -> PaddockOf:
    """What a sidecar table says."""
    return lambda file, _: told.get(file.name)


def by_polygon(polygons: Polygons) -> PaddockOf:
    """The polygon that a photo's position is in."""

    def paddock(_: PhotoFile, estimate: Estimate) -> str | None:
        facts = estimate.facts
        if facts.longitude is None or facts.latitude is None:
            return None
        return polygons.around(facts.longitude, facts.latitude)

    return paddock


@dataclass
class _Visit:
    """Photos of one paddock on one day, as sums, so that memory does not grow with them."""

    photos: int = 0
    sums: Float[np.ndarray, "5"] = field(default_factory=lambda: np.zeros(len(TARGETS)))
    squares: float = 0.0
    inside: int = 0
    told: int = 0
    place: Float[np.ndarray, "2"] = field(default_factory=lambda: np.zeros(2))
    placed: int = 0


class Paddocks:
    """Takes estimates one by one; `table` says what stands in each paddock on its last day.

    Weights are counted in grams of the model's own quadrat. `widened` is by how much a calibration widened intervals.
    """

    def __init__(
        self, errors: MeanErrors | None, *, known: Known, quadrat_area_m2: float, level: float, widened: float = 1.0
    ) -> None:
        self.errors, self.level, self.area, self.widened = errors, level, quadrat_area_m2, widened
        self.known, self.main = known, main_target(known)
        self.without = 0
        self._visits: dict[str, dict[date | None, _Visit]] = {}

    def add(self, paddock: str | None, estimate: Estimate) -> None:
        """Take an estimate in; photos of no paddock are counted."""
        if paddock is None:
            self.without += 1
            return
        day = estimate.facts.taken_at.date() if estimate.facts.taken_at else None
        visit = self._visits.setdefault(paddock, {}).setdefault(day, _Visit())
        # As the table of predictions has them, so that the same comes of its rows.
        grams = estimate.rounded().grams * self.area / estimate.quadrat_area_m2
        visit.photos += 1
        visit.sums += grams
        visit.squares += float(grams[self.main] ** 2)
        if estimate.in_domain is not None:
            visit.told += 1
            visit.inside += estimate.in_domain
        if estimate.facts.longitude is not None and estimate.facts.latitude is not None:
            visit.place += [estimate.facts.longitude, estimate.facts.latitude]
            visit.placed += 1

    def table(self) -> pd.DataFrame:
        """A row a paddock, the heaviest first, with the columns of paddocks.csv."""
        rows = [self._row(name, visits) for name, visits in self._visits.items()]
        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        return frame.sort_values(["kg_per_ha", "paddock"], ascending=[False, True]).reset_index(drop=True)

    def rows(self) -> list[dict[str, Any]]:
        """The table's rows, None where there is nothing to say."""
        return plain_rows(self.table())

    def csv(self) -> str:
        """The table as paddocks.csv."""
        return self.table().map(spreadsheet_text).to_csv(index=False, lineterminator="\n")

    def geojson(self, polygons: Polygons | None, digits: int | None = None) -> str:
        """The table as polygons, or else as points at the mean position of each paddock's photos, to so many digits."""
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
            "in_domain_share": last.inside / last.told if last.told else None,
        }
        half = float(np.hypot(sampling, model))
        cells["kg_per_ha_low"], cells["kg_per_ha_high"] = max(mean - half, 0.0), mean + half
        if len(days) > 1 and days[-2] is not None and days[-1] is not None:
            before, *parts = self._mean(visits[days[-2]])
            span = (days[-1] - days[-2]).days
            growth, reach = (mean - before) / span, float(np.linalg.norm([half, *parts])) / span
            if reach <= GROWTH_TOLD:
                cells |= {
                    "growth_kg_per_ha_day": growth, "growth_low": growth - reach, "growth_high": growth + reach,
                    "growth_since": days[-2].isoformat(),
                }  # fmt: skip
        return {key: _rounded(value) for key, value in cells.items()}

    def _mean(self, visit: _Visit) -> tuple[float, float, float]:
        """Mean, and half the interval that sampling and the model's error each would give it, in kg DM/ha."""
        mean_g = visit.sums / visit.photos
        sampling = np.nan
        if visit.photos > 1:
            quantile = stats.t.ppf((1 + self.level) / 2, visit.photos - 1)
            sampling = self._kg(quantile * self._deviation(visit) / np.sqrt(visit.photos))
        model = np.nan
        if self.errors is not None:
            half = self.errors.half_width_g(mean_g, visit.photos, self.level)[self.main]
            model = self._kg(half * self.widened)
        return self._kg(mean_g[self.main]), float(sampling), float(model)

    def _deviation(self, visit: _Visit) -> float:
        """Standard deviation of single photos, g a quadrat; 0 for one photo."""
        if visit.photos < 2:
            return 0.0
        mean = visit.sums[self.main] / visit.photos
        return float(np.sqrt(max(visit.squares - visit.photos * mean**2, 0.0) / (visit.photos - 1)))

    def _kg(self, grams: float) -> float:
        return float(kg_per_ha(np.array([grams], float), self.area)[0])


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table of paddocks, None where there is nothing to say."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
