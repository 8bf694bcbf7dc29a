"""Polygons from GeoJSON, GeoPackage, KML and Shapefile, in any coordinate system, as valid 2D shapes in WGS 84."""

import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float

from herbage.errors import InputInvalid
from herbage.formatting import counted
from herbage.remarks import Remark

FORMATS = "GeoJSON (.geojson, .json), GeoPackage (.gpkg), KML (.kml, .kmz), Shapefile (.shp, or zipped as .zip)"
SUFFIXES = (".geojson", ".json", ".gpkg", ".kml", ".kmz", ".shp", ".zip")

_IN_ARCHIVES = (".shp", ".geojson", ".gpkg", ".kml")
_BEGINNINGS = (b"SQLite format 3", b"PK\x03\x04", b"\x00\x00\x27\x0a", b"{")
"""How files of these formats begin: GeoPackage, archive, Shapefile, GeoJSON. KML is an XML file with the word kml."""
_HEAD_BYTES = 2000
_WGS84 = 4326


@dataclass(frozen=True)
class Area:
    """A polygon or multipolygon of a file in WGS 84, longitude first, with its properties; `layer` is its layer.

    `is_repaired`: its edges crossed or overlapped in the file.
    """

    shape: Any
    properties: dict[str, Any]
    layer: str
    is_repaired: bool = False


@dataclass(frozen=True)
class _Layer:
    """A layer as read: shapes in the coordinate system `crs`, None where the file does not name one."""

    areas: list[Area]
    crs: Any


def read_areas(path: Path) -> tuple[list[Area], list[Remark]]:
    """All polygons of a file, and remarks about what was left out or assumed.

    Raises InputInvalid where the file is missing, of another format or damaged, where its coordinates are not those of
    its coordinate system, or where it has no polygon.
    """
    try:
        import geopandas  # noqa: F401  # pyogrio makes its frames
        import shapely
    except ImportError as error:
        raise InputInvalid("`paddocks`: a file of polygons needs geopandas: pip install 'herbage[gis]'") from error
    _check_format(path)
    remarks: list[Remark] = []
    left_out: dict[str, list[str]] = {}
    try:
        layers = [_only_polygons(layer, left_out) for layer in _layers(path, remarks)]
        remarks += _remarks_of_others(left_out, path)
        if not any(layer.areas for layer in layers):
            raise InputInvalid(f"`paddocks={path}` has no polygon.{''.join(f' {one.message}' for one in remarks)}")
        areas = [area for layer in layers if layer.areas for area in _in_wgs84(layer, path, remarks)]
    except (OSError, RuntimeError, ValueError, shapely.errors.ShapelyError) as error:
        raise InputInvalid(f"`paddocks={path}` could not be read: {_reason(error)} Formats: {FORMATS}.") from error
    names = list(dict.fromkeys(area.layer for area in areas))
    if len(names) > 1:
        is_kml = path.suffix.lower() in (".kml", ".kmz")  # its layers are the folders of one document
        message = f"{path.name}: polygons were read from {len(names)} layers"
        remarks.append(Remark.of("polygons_layers", names, message, is_warning=not is_kml))
    return areas, remarks


def _check_format(path: Path) -> None:
    if path.is_dir():
        if not _shapefiles(path):
            raise InputInvalid(f"`paddocks={path}` is a folder without a Shapefile. Formats: {FORMATS}.")
        return
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError as error:
        raise InputInvalid(f"`paddocks={path}`: {error.strerror or error}. Formats: {FORMATS}.") from error
    if not head.startswith(_BEGINNINGS) and not (head.startswith(b"<") and b"kml" in head.lower()):
        found = f"begins with {head[:20].decode('utf-8', 'replace')!r}" if head else "is empty"
        raise InputInvalid(f"`paddocks={path}` {found}, so it is in none of the formats that can be read: {FORMATS}.")


def _shapefiles(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.suffix.lower() == ".shp") if folder.is_dir() else []


def _places(path: Path) -> list[str]:
    """The paths of a file's parts as GDAL takes them: a folder and an archive may have several."""
    place = path.resolve()
    if place.is_dir():
        return [str(one) for one in _shapefiles(place)]
    if place.suffix.lower() == ".kmz" or not zipfile.is_zipfile(place):
        return [str(place)]
    with zipfile.ZipFile(place) as archive:
        members = [PurePosixPath(name) for name in archive.namelist()]
    own = [one for one in members if one.suffix.lower() in _IN_ARCHIVES and not one.name.startswith("._")]
    if not own:
        raise ValueError(f"the archive contains no file that ends in {', '.join(_IN_ARCHIVES)}.")
    return [f"/vsizip/{{{place}}}/{one}" for one in sorted(own)]


def _layers(path: Path, remarks: list[Remark]) -> Iterator[_Layer]:
    """The layers that have geometries. Warnings of GDAL, which reads the file, become a remark."""
    import pyogrio

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for place in _places(path):
            for number, (name, kind) in enumerate(pyogrio.list_layers(place)):
                if kind is not None:
                    frame = _frame(place, number, path, remarks)
                    if place.lower().endswith(".shp") and len(frame.columns) == 1:
                        message = f"{path.name}: the Shapefile has no properties, since its .dbf file is missing."
                        remarks.append(Remark("polygons_without_properties", message))
                    rows = frame.drop(columns="geometry").to_dict("records")
                    pairs = zip(frame.geometry, rows, strict=True)
                    yield _Layer([Area(geometry, row, str(name)) for geometry, row in pairs], frame.crs)
    own = [one for one in caught if one.category is RuntimeWarning and "pyogrio" in one.filename]
    if told := dict.fromkeys(str(one.message).split(". ")[0] for one in own):
        remarks.append(Remark.of("polygons_reader", list(told), path.name, is_warning=False))


def _frame(place: str, number: int, path: Path, remarks: list[Remark]) -> Any:
    """A layer as a GeoDataFrame; rings that are not closed are closed."""
    import pyogrio

    about = pyogrio.read_info(place, layer=number)
    # GDAL would otherwise turn text such as 2024/02/05 into a date and write it another way.
    options = {"DATE_AS_STRING": "YES"} if about["driver"] == "GeoJSON" else {}
    if about["encoding"] == "UTF-8":
        return pyogrio.read_dataframe(place, layer=number, on_invalid="fix", **options)
    # A Shapefile that does not name its encoding: text of another encoding is hardly ever valid UTF-8.
    try:
        return pyogrio.read_dataframe(place, layer=number, on_invalid="fix", encoding="UTF-8")
    except UnicodeDecodeError:
        frame = pyogrio.read_dataframe(place, layer=number, on_invalid="fix")
    texts = frame.drop(columns="geometry").to_numpy(object).ravel()
    foreign = [one for one in dict.fromkeys(texts) if isinstance(one, str) and not one.isascii()]
    message = f"{path.name} does not name the encoding of its text (no .cpg file); read as {about['encoding']}"
    remarks.append(Remark.of("polygons_encoding", foreign, message))
    return frame


def _only_polygons(layer: _Layer, left_out: dict[str, list[str]]) -> _Layer:
    """The layer's polygons, valid and 2D; `left_out` gets the first text of each other feature, by kind."""
    import shapely

    areas = []
    for area in layer.areas:
        text = next((value for value in area.properties.values() if isinstance(value, str)), "without a text")
        shape, kind = None, "empty"
        if area.shape is not None and not area.shape.is_empty:
            if not np.isfinite(shapely.get_coordinates(area.shape)).all():
                raise ValueError(f"the coordinates of a polygon ({text}) are not numbers.")
            shape = _polygons_of(shapely.force_2d(area.shape))
            kind = "empty" if shape else _kind_of(area.shape)
        valid = shape if shape is None or shape.is_valid else _polygons_of(shapely.make_valid(shape))
        if valid is None:
            left_out.setdefault(kind, []).append(text)
        else:
            areas.append(replace(area, shape=valid, is_repaired=valid is not shape))
    return replace(layer, areas=areas)


def _kind_of(geometry: Any) -> str:
    """A point, a line or a ring: a closed line, which may be meant as the border of a paddock."""
    if "Line" not in geometry.geom_type:
        return "point"
    return "ring" if geometry.is_closed else "line"


def _remarks_of_others(left_out: dict[str, list[str]], path: Path) -> list[Remark]:
    """What was left out. Points and open lines are gates, labels and fences, and no reason to warn."""
    more = {"empty": ("feature", " without an area"), "ring": ("closed line", ", which is no polygon")}
    found = []
    for kind, texts in sorted(left_out.items()):
        noun, rest = more.get(kind, (kind, ""))
        message = f"{path.name}: left out {counted(len(texts), noun)}{rest}"
        found.append(Remark.of(f"polygons_left_out_{kind}", texts, message, is_warning=kind in more))
    return found


def _polygons_of(geometry: Any) -> Any:
    """The polygons of a geometry as one polygon or multipolygon; None where it has none."""
    import shapely

    if geometry.geom_type in ("Polygon", "MultiPolygon"):
        return None if geometry.is_empty else geometry
    parts = [_polygons_of(one) for one in getattr(geometry, "geoms", ())]
    polygons = [polygon for one in parts if one is not None for polygon in shapely.get_parts(one)]
    if not polygons:
        return None
    return polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)


def _in_wgs84(layer: _Layer, path: Path, remarks: list[Remark]) -> list[Area]:
    """The layer's polygons in WGS 84. Raises InputInvalid where the coordinates are not those of their system."""
    import geopandas
    import shapely

    shapes = [area.shape for area in layer.areas]
    corners = shapely.get_coordinates(shapes)
    (west, south), (east, north) = corners.min(0), corners.max(0)
    found = f"its coordinates are {west:.6g} to {east:.6g} and {south:.6g} to {north:.6g}"
    crs = None if layer.crs is None or layer.crs.is_engineering else layer.crs
    _check_coordinates(np.abs(corners).max(0), crs, f"`paddocks={path}`", found)
    if crs is None:
        message = f"{path.name} names no coordinate system; {found}, which fit longitude and latitude (WGS 84)."
        remarks.append(Remark("polygons_without_system", message))
        return layer.areas
    turned = geopandas.GeoSeries(shapes, crs=crs).to_crs(_WGS84)
    if not np.isfinite(shapely.get_coordinates(turned)).all():
        raise ValueError(f"{found}, which are outside the coordinate system {crs.name}.")
    return [replace(area, shape=shape) for area, shape in zip(layer.areas, turned, strict=True)]


def _check_coordinates(most: Float[np.ndarray, "2"], crs: Any, file: str, found: str) -> None:
    """Raise InputInvalid where coordinates of up to `most`, first and second, cannot be those of the system `crs`."""
    fits = (most <= (180, 90)).all()
    if crs is not None and crs.is_projected:
        if fits:
            raise InputInvalid(
                f"{file} names the coordinate system {crs.name}, but {found}, which look like longitude and latitude. "
                f"Save it again with the coordinate system that its coordinates are in."
            )
    elif not fits and (most <= (90, 180)).all():
        raise InputInvalid(f"{file}: {found}, so latitude comes first. Save it again with longitude first.")
    elif not fits:
        system = "names no coordinate system" if crs is None else f"has the coordinate system {crs.name}"
        raise InputInvalid(
            f"{file} {system}, but {found}, which are no longitudes and latitudes. Save it again in WGS 84 "
            f"(EPSG:4326), or with the coordinate system that its coordinates are in (for a Shapefile, its .prj file)."
        )


def _reason(error: Exception) -> str:
    """What an error says, without GDAL's advice on options that herbage does not have."""
    if ".shx" in str(error).lower():
        return "a Shapefile needs its .shx and .dbf files next to the .shp file."
    parts = [part.strip() for part in str(error).split(";") if not part.strip().startswith("It might help")]
    return f"{'; '.join(parts).rstrip('.')}."
