"""Small files of paddocks for tests."""

import json


def square(x=147.0, y=-42.0, side=1.0):
    """A square with its lower left corner at x, y, as GeoJSON."""
    ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    return {"type": "Polygon", "coordinates": [ring]}


def feature(geometry, **properties):
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def write_farm(folder, *features, name="farm.geojson", **more):
    """A FeatureCollection as a file of this name."""
    path = folder / name
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features), **more}), "utf-8")
    return path


def placemark(name, x, y=-42.0, altitude=120):
    ring = " ".join(f"{a},{b},{altitude}" for a, b in square(x, y)["coordinates"][0])
    border = f"<outerBoundaryIs><LinearRing><coordinates>{ring}</coordinates></LinearRing></outerBoundaryIs>"
    return f"<Placemark><name>{name}</name><Polygon>{border}</Polygon></Placemark>"


def kml(*contents):
    """The text of a KML document."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        f"<name>Farm</name>{''.join(contents)}</Document></kml>"
    )
