"""Polygons of paddocks."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from herbage.errors import InputInvalid


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


def _feature_name(feature: dict[str, Any], number: int) -> str:
    properties = feature.get("properties") or {}
    lower = {str(key).lower(): value for key, value in properties.items() if value not in (None, "")}
    return str(next((lower[key] for key in ("name", "paddock", "id") if key in lower), f"polygon {number + 1}"))
