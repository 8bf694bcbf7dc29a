"""Photos as points: GeoJSON as RFC 7946 has it (WGS 84, longitude first)."""

import json
from collections.abc import Iterable
from typing import Any

from herbage.model.estimate import Estimate


def photos_geojson(estimates: Iterable[Estimate]) -> str:
    """A FeatureCollection of the photos that know where they were taken; the others are left out."""
    features: list[dict[str, Any]] = []
    for estimate in estimates:
        row = estimate.row()
        longitude, latitude = row.pop("longitude"), row.pop("latitude")
        if longitude is None or latitude is None:
            continue
        point = {"type": "Point", "coordinates": [longitude, latitude]}
        features.append({"type": "Feature", "geometry": point, "properties": row})
    return json.dumps({"type": "FeatureCollection", "features": features}, indent=1, ensure_ascii=False) + "\n"
