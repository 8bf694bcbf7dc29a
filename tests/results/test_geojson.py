import json

from herbage.results.geojson import open_photos_geojson
from tests.results.test_predictions import PLACE, an_estimate


def test_geojson_is_longitude_first_and_omits_photos_without_a_position(tmp_path):
    with open_photos_geojson(tmp_path / "photos.geojson") as written:
        for estimate in (an_estimate(facts=PLACE), an_estimate("b.jpg"), an_estimate("c.jpg", facts=PLACE)):
            written.add(estimate)
    points = json.loads((tmp_path / "photos.geojson").read_text("utf-8"))
    assert points["type"] == "FeatureCollection"
    feature, other = points["features"]
    assert other["properties"]["photo"] == "c.jpg"
    assert feature["geometry"] == {"type": "Point", "coordinates": [147.25, -42.51]}
    assert feature["properties"]["photo"] == "a.jpg"
    assert feature["properties"]["taken_at"] == "2015-09-04T10:30:00"
