"""A farm file with two named paddocks and one walk."""

import json

import pytest

from herbage.farm.farm import Farm
from tests.farm.walks import DAY, a_model, a_walk


def polygon(west, south, *, width=0.003, height=0.002):
    east, north = west + width, south + height
    return {
        "type": "Polygon",
        "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
    }


def write_polygons(path, **paddocks):
    features = [{"type": "Feature", "properties": {"name": name}, "geometry": own} for name, own in paddocks.items()]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.fixture
def farm(tmp_path):
    """A farm of the paddocks North and South, with polygons, without photos."""
    polygons = write_polygons(tmp_path / "p.geojson", North=polygon(147, -41.5), South=polygon(147, -41.51))
    farm = Farm(tmp_path / "farm.gpkg")
    farm.import_paddocks(polygons)
    return farm


@pytest.fixture
def walked(farm):
    """The farm after one walk of 2 x 4 photos with positions."""
    farm.add_estimates(a_walk(DAY, {"North": 2000, "South": 1500}, place=(-41.499, 147.001)), a_model())
    return farm
