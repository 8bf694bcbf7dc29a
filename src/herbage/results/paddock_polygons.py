"""Paddocks as polygons: one shape per name, found by a photo's position."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from herbage.remarks import Remark
from herbage.results.paddock_names import name_polygons
from herbage.results.polygon_files import read_areas

SLIVER = 0.01
"""Paddocks that share at most this part of the smaller one are neighbours, and not reported as overlapping."""

_KM_PER_DEGREE = 111.2


@dataclass(frozen=True)
class Polygons:
    """The paddocks of a file: their names and shapes in WGS 84, and remarks about the file.

    Polygons of one name are one paddock, so names are unique.
    """

    names: list[str]
    shapes: list[Any]
    remarks: tuple[Remark, ...] = ()

    @classmethod
    def read(cls, path: Path, paddock_name: str | None = None) -> "Polygons":
        """Read GeoJSON, GeoPackage, KML or Shapefile (`polygon_files.FORMATS`), in any coordinate system.

        `paddock_name` is the property that names the paddocks; by default it is guessed. Raises InputInvalid where the
        file cannot be read, has no polygon or not this property, or where the libraries of the extra gis are missing.
        """
        areas, remarks = read_areas(path)
        import shapely

        every, about_names = name_polygons([area.properties for area in areas], paddock_name, path.name)
        blocks: dict[str, list[Any]] = {}
        for name, area in zip(every, areas, strict=True):
            blocks.setdefault(name, []).append(area.shape)
        names = list(blocks)
        shapes = [own[0] if len(own) == 1 else shapely.union_all(own) for own in blocks.values()]
        remarks += about_names
        if repaired := [name for name, area in zip(every, areas, strict=True) if area.is_repaired]:
            message = f"{path.name}: repaired polygons whose edges cross or overlap"
            remarks.append(Remark.of("polygons_repaired", repaired, message))
        remarks += [*_remarks_of_blocks(blocks, path.name), *_remarks_of_overlaps(names, shapes, path.name)]
        return cls(names, shapes, tuple(remarks))

    def geometry(self, name: str) -> dict[str, Any]:
        """The shape of this paddock as a GeoJSON geometry."""
        import shapely

        geometry: dict[str, Any] = shapely.geometry.mapping(self.shapes[self.names.index(name)])
        return geometry

    def containing(self, longitude: float | None, latitude: float | None) -> str | None:
        """The name of the first polygon that contains this point; None where there is none, or the point is unknown."""
        if longitude is None or latitude is None:
            return None
        import shapely

        point = shapely.Point(longitude, latitude)
        near = sorted(self._tree.query(point).tolist())
        return next((self.names[own] for own in near if self.shapes[own].covers(point)), None)

    def explain_misses(self, photos: Sequence[tuple[float | None, float | None]]) -> Remark | None:
        """Why no photo is in a paddock: coordinates that another reading would put there, or the distance.

        `photos` are longitudes and latitudes. None where a photo is in a paddock, or where there are none.
        """
        places = np.array(photos, float).reshape(-1, 2)
        if not len(places) or self._inside(places).any():
            return None
        for reading, other in (
            ("with longitude and latitude swapped", places[:, ::-1]),
            ("with the sign of the latitude changed", places * [1, -1]),
            ("with the sign of the longitude changed", places * [-1, 1]),
        ):
            count = int(self._inside(other).sum())
            if count:
                message = f"No photo is in a paddock, but {count} of {len(places)} would be {reading}: check the"
                return Remark("photos_outside_polygons", f"{message} positions of photos and polygons.", len(places))
        km = self._distance_km(places)
        message = f"No photo is in a paddock; the nearest is about {km:,.3g} km away from one."
        return Remark("photos_outside_polygons", message, len(places))

    @cached_property
    def _tree(self) -> Any:
        import shapely

        shapely.prepare(self.shapes)
        return shapely.STRtree(self.shapes)

    def _inside(self, places: Float[np.ndarray, "photo 2"]) -> Bool[np.ndarray, " photo"]:
        import shapely

        inside = np.zeros(len(places), bool)
        inside[self._tree.query(shapely.points(places), predicate="covered_by")[0]] = True
        return inside

    def _distance_km(self, places: Float[np.ndarray, "photo 2"]) -> float:
        """The distance from the nearest photo to the nearest polygon."""
        import shapely

        points = shapely.points(places)
        of_photo, of_polygon = self._tree.query_nearest(points, all_matches=False)
        lines = shapely.shortest_line(points[of_photo], np.array(self.shapes, object)[of_polygon])
        start, end = shapely.get_coordinates(lines).reshape(-1, 2, 2).transpose(1, 0, 2)
        x, y = ((end - start) * _KM_PER_DEGREE).T
        return float(np.hypot(x * np.cos(np.radians(start[:, 1])), y).min())


def _remarks_of_blocks(blocks: dict[str, list[Any]], file: str) -> list[Remark]:
    """Which paddocks consist of several polygons; a warning where all polygons became a single paddock."""
    several = [f"{name} ({len(own)})" for name, own in blocks.items() if len(own) > 1]
    if not several:
        return []
    message = f"{file}: polygons of one name are one paddock"
    return [Remark.of("polygons_of_one_name", several, message, is_warning=len(blocks) == 1)]


def _remarks_of_overlaps(names: list[str], shapes: list[Any], file: str) -> list[Remark]:
    import shapely

    pairs = shapely.STRtree(shapes).query(shapes, predicate="intersects").T
    found = []
    for one, other in sorted(pairs[pairs[:, 0] < pairs[:, 1]].tolist()):
        shared = shapely.intersection(shapes[one], shapes[other]).area
        share = shared / min(shapes[one].area, shapes[other].area)
        if share > SLIVER:
            found.append(f"{names[one]} and {names[other]} ({share:.0%} of the smaller one)")
    if not found:
        return []
    message = f"{file}: paddocks overlap, and a photo in both belongs to the one that comes first in the file"
    return [Remark.of("polygons_overlap", found, message)]
