"""The pasture cover of paddocks: means of their photos with intervals, growth, and shares of green and legume."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from herbage.formatting import counted
from herbage.model.estimate import Estimate
from herbage.model.paddock_error import MeanErrors
from herbage.remarks import NAMES_STORED, Remark
from herbage.results.cover import Cover, Growth, deviation_g
from herbage.results.paddock_polygons import Polygons
from herbage.results.predictions import spreadsheet_text
from herbage.results.visits import PaddockPhotos, PhotoSums
from herbage.targets import CLOVER, GDM, TOTAL, TargetMask, kg_per_ha, main_target

if TYPE_CHECKING:
    from herbage.model.model import HerbageModel

COLUMNS = (
    "paddock", "photos", "taken_on", "kg_per_ha", "kg_per_ha_low", "kg_per_ha_high", "sampling_kg_per_ha",
    "model_kg_per_ha", "photos_to_halve_sampling", "variation", "GDM_kg_per_ha", "green_share", "legume_share",
    "in_domain_share", "growth_kg_per_ha_day", "growth_low", "growth_high", "growth_since", "earlier_photos",
    "undated_photos",
)  # fmt: skip
"""The columns of paddocks.csv. `kg_per_ha` is that of Total, or of the main target that the model knows.

`earlier_photos` are those of earlier visits, and `undated_photos` have no capture time; neither are in the mean.
"""


class PaddockSummary:
    """Takes estimates one by one; `table` has one row per paddock, for its last visit.

    Weights are summed in grams per training quadrat. Without `errors`, as for imported heads, means have no interval;
    `measured_errors` are those of means where all photos were estimated with measured columns.
    """

    def __init__(
        self,
        errors: MeanErrors | None,
        *,
        known: TargetMask,
        quadrat_area_m2: float,
        level: float,
        measured_errors: MeanErrors | None = None,
    ) -> None:
        self.errors, self.measured_errors, self.level, self.area = errors, measured_errors, level, quadrat_area_m2
        self.main = main_target(known)
        self.unassigned = 0
        self._unassigned_names: list[str] = []
        self._paddocks: dict[str, PaddockPhotos] = {}

    @classmethod
    def of(cls, model: "HerbageModel", level: float) -> "PaddockSummary":
        """An empty summary with the errors of this model's means."""
        evidence = model.evidence
        return cls(
            None if evidence is None else MeanErrors.of(evidence.alone),
            known=model.known,
            quadrat_area_m2=model.quadrat_area_m2,
            level=level,
            measured_errors=MeanErrors.of(evidence.measured) if evidence and evidence.measured else None,
        )

    def add(self, paddock: str | None, estimate: Estimate) -> None:
        """Add an estimate; photos without a paddock are counted as unassigned."""
        if paddock is not None:
            self._paddocks.setdefault(paddock, PaddockPhotos()).add(estimate, self.area)
            return
        self.unassigned += 1
        if len(self._unassigned_names) < NAMES_STORED:
            self._unassigned_names.append(estimate.photo)

    def table(self) -> pd.DataFrame:
        """One row per paddock, highest cover first, with the columns of paddocks.csv."""
        rows = [self._row(name, photos) for name, photos in self._paddocks.items()]
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
                geometry = polygons.geometry(name)
            elif polygons is None and (last := self._paddocks[name].visits()[0][-1]).placed:
                place = last.place / last.placed
                geometry = {"type": "Point", "coordinates": np.round(place, 7 if digits is None else digits).tolist()}
            if geometry is not None:
                features.append({"type": "Feature", "geometry": geometry, "properties": cells})
        return json.dumps({"type": "FeatureCollection", "features": features}, indent=1, ensure_ascii=False) + "\n"

    def remarks(self) -> Iterator[Remark]:
        """The photos that are in no mean."""
        if self.unassigned:
            message = f"{counted(self.unassigned, 'photo')} in no paddock"
            yield Remark.of("photos_without_paddock", self._unassigned_names, message, count=self.unassigned)
        visits = {name: photos.visits() for name, photos in sorted(self._paddocks.items())}
        earlier = {name: of_paddock[:-1] for name, (of_paddock, _) in visits.items() if len(of_paddock) > 1}
        if count := sum(visit.photos for of_paddock in earlier.values() for visit in of_paddock):
            days = [
                f"{name} on {visit.day} ({counted(visit.photos, 'photo')}, such as {visit.example})"
                for name, of_paddock in earlier.items()
                for visit in of_paddock
            ]
            message = f"{counted(count, 'photo')} of earlier visits not in the means"
            yield Remark.of("photos_of_earlier_visits", days, message, count=count, is_warning=False)
        undated = {name: left_out for name, (_, left_out) in visits.items() if left_out.photos}
        if count := sum(left_out.photos for left_out in undated.values()):
            photos = counted(count, "photo")
            message = f"{photos} without a capture time in no mean, because their paddocks have several visits"
            names = [f"{name} ({one.photos}, such as {one.example})" for name, one in undated.items()]
            yield Remark.of("undated_photos", names, message, count=count)

    def _row(self, name: str, photos: PaddockPhotos) -> dict[str, Any]:
        visits, undated = photos.visits()
        last = visits[-1]
        cover = self._cover(last)
        total = last.grams[TOTAL]
        cells: dict[str, Any] = {
            "paddock": name,
            "photos": last.photos,
            "taken_on": last.day.isoformat() if last.day else None,
            "kg_per_ha": cover.mean,
            "kg_per_ha_low": cover.low,
            "kg_per_ha_high": cover.high,
            "sampling_kg_per_ha": cover.sampling,
            "model_kg_per_ha": cover.model,
            "photos_to_halve_sampling": 3 * last.photos if last.photos > 1 else None,
            "variation": deviation_g(last)[self.main] * last.photos / last.grams[self.main]
            if last.photos > 1 and last.grams[self.main]
            else None,
            "GDM_kg_per_ha": self._kg(last.grams[GDM] / last.photos),
            "green_share": last.grams[GDM] / total if total else None,
            "legume_share": last.grams[CLOVER] / total if total else None,
            "in_domain_share": last.in_domain / last.domain_known if last.domain_known else None,
            "earlier_photos": sum(visit.photos for visit in visits[:-1]),
            "undated_photos": undated.photos,
        }
        days = [visit.day for visit in visits[-2:] if visit.day]
        if len(days) == 2 and (span := (days[1] - days[0]).days):
            growth = Growth.between(self._cover(visits[-2]), cover, span)
            if growth.is_useful:
                cells |= {
                    "growth_kg_per_ha_day": growth.rate, "growth_low": growth.low, "growth_high": growth.high,
                    "growth_since": days[0].isoformat(),
                }  # fmt: skip
        return {key: _rounded(value) for key, value in cells.items()}

    def _cover(self, visit: PhotoSums) -> Cover:
        errors = self.measured_errors if visit.measured == visit.photos else self.errors
        return Cover.of([(visit, errors)], self.main, self.area, self.level)

    def _kg(self, grams: float) -> float:
        return float(kg_per_ha(np.array([grams], float), self.area)[0])


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table of paddocks as plain values, None where a value is unknown."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]


def _rounded(value: Any) -> Any:
    return round(float(value), 4) if isinstance(value, float) else value  # numpy rounds by scaling, and less exactly
