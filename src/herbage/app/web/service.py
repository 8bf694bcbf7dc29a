"""What the API does, without HTTP: estimates, maps, files, and summaries of paddocks.

Only the newest estimates with maps are stored, in memory; photos are not stored.
"""

import asyncio
import io
import math
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from herbage.app.web.schemas import GroupedPredictions, Map
from herbage.app.web.walks import copies_of
from herbage.app.web.worker import Worker
from herbage.backbones.backbone import Backbone
from herbage.errors import HerbageError, PhotoUnreadable
from herbage.farm.models import ModelRecord
from herbage.model.estimate import DEFAULT_LEVEL, Estimate
from herbage.model.model import HerbageModel
from herbage.photos.photo import Corners, PhotoFile, open_photo
from herbage.remarks import Remark
from herbage.results.geojson import photos_geojson
from herbage.results.overlay import draw_overlay, scale_top
from herbage.results.paddock_assignment import similar_names
from herbage.results.paddocks import PaddockSummary
from herbage.results.predictions import PredictionsWriter
from herbage.results.rows import Prediction
from herbage.targets import TARGETS, main_target

PARALLEL_OVERLAYS = 2


class MapMissing(HerbageError):
    """The map is not, or no longer, in memory."""


@dataclass(frozen=True)
class StoredMap:
    """An estimate with a map, and the key and corners of its photo."""

    estimate: Estimate
    photo_sha256: str
    corners: Corners | None


@dataclass
class MapStore:
    """The newest maps, by names that cannot be guessed."""

    limit: int
    _maps: OrderedDict[str, StoredMap] = field(default_factory=OrderedDict)

    MISSING = "There is no such map; the server only has the newest ones. Send the photo again."

    def add(self, stored: StoredMap) -> str:
        """Store a map and return its name; the oldest is dropped if there are too many."""
        name = secrets.token_urlsafe(12)
        self._maps[name] = stored
        while len(self._maps) > self.limit:
            self._maps.popitem(last=False)
        return name

    def find(self, name: str) -> StoredMap:
        """The map of this name; raises MapMissing."""
        if name not in self._maps:
            raise MapMissing(self.MISSING)
        return self._maps[name]


class PredictionService:
    """An open model and everything the API offers on it."""

    def __init__(self, model: HerbageModel, backbone: Backbone, *, max_waiting: int, max_maps: int) -> None:
        self.model, self.record = model, ModelRecord.of(model)
        self.worker = Worker(model, backbone, max_waiting)
        self.maps = MapStore(max_maps)
        self._overlays = asyncio.Semaphore(PARALLEL_OVERLAYS)

    def rows(self, answers: Sequence[tuple[Estimate, str]], corners: Sequence[Corners | None]) -> list[dict[str, Any]]:
        """Estimates as rows of predictions.csv with level, area, address of a stored map, and digest of the photo."""
        return [self._row(*answer, of) for answer, of in zip(answers, corners, strict=True)]

    def _row(self, estimate: Estimate, photo_sha256: str, corners: Corners | None) -> dict[str, Any]:
        address = None
        if estimate.map is not None:
            address = f"/api/maps/{self.maps.add(StoredMap(estimate, photo_sha256, corners))}"
        area = self.model.quadrat_area_m2
        return {
            **estimate.row(),
            "level": estimate.level,
            "quadrat_area_m2": area,
            "map": address,
            "photo_sha256": photo_sha256 or None,
            "model": self.record.digest,
        }

    def map(self, name: str) -> Map:
        """A stored map in g/m2, with the top of the colour scale per target; raises MapMissing."""
        estimate = self.maps.find(name).estimate
        density, scale = estimate.map_g_per_m2, self.model.map_scale_g_per_m2
        if density is None:
            raise MapMissing(MapStore.MISSING)
        known = [t for t in range(len(TARGETS)) if math.isfinite(estimate.grams[t])]
        return Map(
            rows=density.shape[1],
            columns=density.shape[2],
            top={TARGETS[t]: scale_top(density[t], None if scale is None else scale[t]) for t in known},
            values={TARGETS[t]: density[t].round(1).ravel().tolist() for t in known},
        )

    async def overlay(self, stored: StoredMap, file: PhotoFile, target: str | None) -> bytes:
        """The overlay of a stored map as PNG, drawn on the same photo, which the client sends again.

        Raises PhotoUnreadable where it is another photo, and where the model does not estimate the target.
        """
        number = main_target(self.model.known) if target is None else TARGETS.index(target)
        if not math.isfinite(stored.estimate.grams[number]):
            raise PhotoUnreadable(f"The model does not estimate {target}.")
        async with self._overlays:
            return await asyncio.to_thread(self._draw, stored, file, number)

    def _draw(self, stored: StoredMap, file: PhotoFile, target: int) -> bytes:
        photo = open_photo(file)
        if photo.key != stored.photo_sha256:
            raise PhotoUnreadable("This is not the photo of the map.")
        scale = self.model.map_scale_g_per_m2
        return draw_overlay(photo.pixels(), stored.estimate, scale_g_per_m2=scale, target=target)

    def paddocks(self, grouped: GroupedPredictions) -> tuple[PaddockSummary, list[Remark]]:
        """The summary of paddocks of these rows, and remarks; raises InputInvalid, as `Copies.of`."""
        summary = PaddockSummary.of(self.model, DEFAULT_LEVEL)
        photos = [(row, paddock, row.estimate()) for row, paddock in grouped.named() if row.status == "ok"]
        photos = [one for one in photos if math.isfinite(one[2].grams[summary.main])]
        copies = copies_of([(row, paddock) for row, paddock, _ in photos])
        for number, (_, paddock, estimate) in enumerate(photos):
            if number not in copies.keys:
                summary.add(paddock, estimate)
        names = list(dict.fromkeys(paddock for paddock in grouped.paddocks if paddock is not None))
        return summary, [*similar_names(names), *summary.remarks(), *copies.remarks()]


def predictions_csv(rows: Sequence[Prediction]) -> bytes:
    """The file predictions.csv of these rows."""
    text = io.StringIO()
    writer = PredictionsWriter(text)
    for row in rows:
        writer.add_row(row.cells())
    return text.getvalue().encode()


def photos_geojson_file(rows: Sequence[Prediction]) -> bytes:
    """The file photos.geojson of these rows."""
    text = io.StringIO()
    with photos_geojson(text) as points:
        for row in rows:
            if row.status == "ok":
                points.add_row(row.cells())
    return text.getvalue().encode()
