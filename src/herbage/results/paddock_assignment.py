"""Which paddock each photo belongs to: by folder, by a column of a table, or by polygons."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from herbage.errors import InputInvalid
from herbage.model.estimate import Estimate
from herbage.photos.photo import PhotoFile
from herbage.photos.spreadsheet import TableFormat
from herbage.photos.tables import read_sidecar

FOLDER = "folder"

PaddockOf = Callable[[PhotoFile, Estimate], str | None]
"""The name of a photo's paddock, None where it belongs to none."""


@dataclass(frozen=True)
class Polygons:
    """A GeoJSON file of paddocks: features with their names and shapes."""

    features: list[dict[str, Any]]
    names: list[str]
    shapes: list[Any]

    @classmethod
    def read(cls, path: Path) -> "Polygons":
        """Raises InputInvalid where the file is not a FeatureCollection of polygons, or shapely is missing."""
        try:
            from shapely.geometry import shape
        except ImportError as error:
            raise InputInvalid("`paddocks`: a GeoJSON file needs shapely: pip install 'herbage[gis]'") from error
        try:
            features = [
                one for one in json.loads(path.read_text("utf-8-sig"))["features"]
                if one["geometry"] and one["geometry"]["type"] in ("Polygon", "MultiPolygon")
            ]  # fmt: skip
            shapes = [shape(one["geometry"]) for one in features]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputInvalid(f"`paddocks={path}` is not a GeoJSON file of polygons: {error}") from error
        if not features:
            raise InputInvalid(f"`paddocks={path}` has no polygon.")
        if any(
            not (-180 <= x <= 180 and -90 <= y <= 90) for one in shapes for x, y in [one.bounds[:2], one.bounds[2:]]
        ):
            raise InputInvalid(f"`paddocks={path}` is not in longitude and latitude (WGS 84), as GeoJSON requires.")
        return cls(features, [_feature_name(one, number) for number, one in enumerate(features)], shapes)

    def containing(self, longitude: float, latitude: float) -> str | None:
        """The name of the first polygon that contains this point."""
        from shapely.geometry import Point

        point = Point(longitude, latitude)
        return next((name for name, one in zip(self.names, self.shapes, strict=True) if one.covers(point)), None)


@dataclass(frozen=True)
class Assignment:
    """Assigns photos to paddocks; `polygons` are the paddocks' shapes where they are known."""

    paddock_of: PaddockOf
    polygons: Polygons | None = None


def read_assignment(
    files: Sequence[PhotoFile], paddocks: str | None, table: str | Path | None, how: TableFormat
) -> tuple[Sequence[PhotoFile], Assignment | None]:
    """The photos, with corners from the sidecar table, and their assignment to paddocks; None without `paddocks`.

    `paddocks` is a column of `table`, the word `folder`, or a .geojson file. Raises InputInvalid and TableInvalid.
    """
    polygons = None
    if paddocks is not None and Path(paddocks).suffix.lower() in (".geojson", ".json"):
        polygons = Polygons.read(Path(paddocks))
    column = None if paddocks is None or polygons is not None or paddocks == FOLDER else paddocks
    if column is not None and table is None:
        raise InputInvalid(
            f"`paddocks={column}`: expected a column of `table`, the word folder, or a .geojson file of polygons."
        )
    names: dict[str, str] = {}
    if table is not None:
        files, names = read_sidecar(table, files, column, how)
    if paddocks is None:
        return files, None
    if polygons is not None:
        return files, Assignment(by_polygon(polygons), polygons)
    return files, Assignment(by_folder if column is None else by_column(names))


def by_folder(file: PhotoFile, _: Estimate) -> str:
    """The name of the folder that contains the photo."""
    return PurePosixPath(file.name).parent.name or "(no folder)"


def by_column(names: Mapping[str, str]) -> PaddockOf:
    """The paddock in a sidecar table; `names` maps photo names to paddocks."""
    return lambda file, _: names.get(file.name)


def by_polygon(polygons: Polygons) -> PaddockOf:
    """The polygon that contains a photo's position."""

    def paddock(_: PhotoFile, estimate: Estimate) -> str | None:
        facts = estimate.facts
        if facts.longitude is None or facts.latitude is None:
            return None
        return polygons.containing(facts.longitude, facts.latitude)

    return paddock


def _feature_name(feature: dict[str, Any], number: int) -> str:
    properties = feature.get("properties") or {}
    lower = {str(key).lower(): value for key, value in properties.items() if value not in (None, "")}
    return str(next((lower[key] for key in ("name", "paddock", "id") if key in lower), f"polygon {number + 1}"))
