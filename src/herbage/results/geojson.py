"""Photos as GeoJSON points according to RFC 7946 (WGS 84, longitude first), written one by one."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from herbage.model.estimate import Estimate


class PhotosGeoJson:
    """Appends one feature per photo with a position; photos without one are omitted."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._written = 0

    def add(self, estimate: Estimate) -> None:
        """Write the feature of an estimate."""
        self.add_row(estimate.row())

    def add_row(self, row: dict[str, Any]) -> None:
        """Write the feature of a row, as returned by `Estimate.row`."""
        longitude, latitude = row.pop("longitude"), row.pop("latitude")
        if longitude is None or latitude is None:
            return
        point = {"type": "Point", "coordinates": [longitude, latitude]}
        feature = {"type": "Feature", "geometry": point, "properties": row}
        self._file.write((",\n" if self._written else "\n") + json.dumps(feature, ensure_ascii=False))
        self._written += 1


@contextmanager
def photos_geojson(file: Any) -> Iterator[PhotosGeoJson]:
    """Write a FeatureCollection to an open text file."""
    file.write('{"type": "FeatureCollection", "features": [')
    yield PhotosGeoJson(file)
    file.write("\n]}\n")


@contextmanager
def open_photos_geojson(path: Path) -> Iterator[PhotosGeoJson]:
    """A writer for photos.geojson, which replaces an existing file when it is complete."""
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
