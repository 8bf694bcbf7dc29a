"""Photos as points: GeoJSON as RFC 7946 has it (WGS 84, longitude first), written as they come."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from herbage.model.estimate import Estimate


class PhotosGeoJson:
    """Appends a feature a photo that knows where it was taken; the others are left out."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._written = 0

    def add(self, estimate: Estimate) -> None:
        """Write one estimate's feature."""
        self.add_row(estimate.row())

    def add_row(self, row: dict[str, Any]) -> None:
        """Write the feature of a row, as `Estimate.row` gives it."""
        longitude, latitude = row.pop("longitude"), row.pop("latitude")
        if longitude is None or latitude is None:
            return
        point = {"type": "Point", "coordinates": [longitude, latitude]}
        feature = {"type": "Feature", "geometry": point, "properties": row}
        self._file.write((",\n" if self._written else "\n") + json.dumps(feature, ensure_ascii=False))
        self._written += 1


@contextmanager
def photos_geojson(file: Any) -> Iterator[PhotosGeoJson]:
    """A FeatureCollection on an open text file."""
    file.write('{"type": "FeatureCollection", "features": [')
    yield PhotosGeoJson(file)
    file.write("\n]}\n")


@contextmanager
def open_photos_geojson(path: Path) -> Iterator[PhotosGeoJson]:
    """A writer for photos.geojson, which takes its place when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    growing = path.with_suffix(".partial.geojson")
    try:
        with growing.open("w", encoding="utf-8", newline="\n") as file:
            with photos_geojson(file) as points:
                yield points
            file.flush()
            os.fsync(file.fileno())
        growing.replace(path)
    finally:
        growing.unlink(missing_ok=True)
