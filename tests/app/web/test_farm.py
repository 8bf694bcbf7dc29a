"""A server with a farm: what is saved to it, what is refused, and the season that it answers."""

import json
import sqlite3
import threading
import time
from contextlib import closing
from datetime import date

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import ExifTags, Image

from herbage.app.web.api import make_app
from herbage.app.web.farm import as_fields
from herbage.farm import geopackage
from herbage.farm.farm import Farm
from herbage.farm.models import ModelRecord
from herbage.farm.walk_file import WalkFile
from tests.app.web.test_api import problem, upload
from tests.conftest import PATIENCE_S, draw_photo

SQUARES = {"North": 147.0, "South": 147.1}
"""Paddocks as squares of 0.1 degrees, by the longitude of their western edge."""


@pytest.fixture
def farm(tmp_path):
    return Farm(tmp_path / "season.gpkg")


@pytest.fixture
def client(model, farm):
    with TestClient(make_app(model, model.open_backbone(), farm=farm)) as client:
        yield client


@pytest.fixture
def lonely(model):
    """The client of a server without a farm."""
    with TestClient(make_app(model, model.open_backbone())) as client:
        yield client


def a_photo(folder, name, *, taken="2026:09:04 10:00:00", place=None, seed=0):
    """The form field of a new photo; `place` is a longitude."""
    exif = Image.Exif()
    if taken is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    if place is not None:
        north = {1: "S", 2: (41.0, 30.0, 0.0), 3: "E", 4: (float(int(place)), (place % 1) * 60, 0.0)}
        exif.get_ifd(ExifTags.IFD.GPSInfo).update(north)
    draw_photo(np.random.default_rng(seed), 0.5).save(folder / name, exif=exif)
    return name, (folder / name).read_bytes(), "image/jpeg"


def rows_of(client, *photos):
    answer = upload(client, *photos)
    assert answer.status_code == 200
    return answer.json()["predictions"]


def save(client, rows, paddocks, **more):
    return client.post("/api/farm", json={"predictions": rows, "paddocks": paddocks, **more})


def counts(answer):
    assert answer.status_code == 200, answer.text
    return {name: value for name, value in answer.json().items() if isinstance(value, int) and value}


def draw_paddocks(farm, folder):
    features = [
        {
            "type": "Feature",
            "properties": {"name": name},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[w, -41.6], [w + 0.1, -41.6], [w + 0.1, -41.4], [w, -41.4], [w, -41.6]]],
            },
        }
        for name, w in SQUARES.items()
    ]
    (folder / "paddocks.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    farm.import_paddocks(folder / "paddocks.geojson")


def test_saving_is_as_adding_the_photos_and_saving_again_changes_nothing(client, model, farm, tmp_path):
    folder = tmp_path / "photos/North"
    folder.mkdir(parents=True)
    photos = [a_photo(folder, f"{n}.jpg", seed=n) for n in range(3)]
    rows = rows_of(client, *photos)
    answer = save(client, rows, ["North"] * 3)
    assert counts(answer) == {"added": 3}
    assert answer.json()["text"] == "3 photos added"
    assert answer.json()["paddocks_added"] == ["North"]
    assert [(one["what"], one["is_warning"]) for one in answer.json()["remarks"]] == [("farm_paddocks_added", False)]
    before = farm.visits()
    again = save(client, rows, ["North"] * 3).json()
    assert (again["text"], again["remarks"]) == ("0 photos added, 3 already there", [])
    assert farm.visits().equals(before)

    other = Farm(tmp_path / "other.gpkg")
    other.add(model, tmp_path / "photos", paddocks="folder")
    own = ["paddock_id"]
    assert other.visits().drop(columns=own).equals(before.drop(columns=own))


def test_a_second_server_with_the_file_finds_the_photos(client, farm, model, tmp_path):
    rows = rows_of(client, a_photo(tmp_path, "a.jpg"))
    save(client, rows, ["North"])
    with TestClient(make_app(model, model.open_backbone(), farm=Farm(farm.path))) as later:
        renamed = rows_of(later, a_photo(tmp_path, "b.jpg"))
        assert counts(save(later, renamed, ["North"])) == {"unchanged": 1}


def test_photos_without_a_capture_time_need_a_day(client, farm, tmp_path):
    rows = rows_of(client, a_photo(tmp_path, "a.jpg", taken=None), a_photo(tmp_path, "b.jpg", seed=1))
    answer = save(client, rows, ["North", "North"])
    problem(answer, 422, "1 photo without a capture time cannot be assigned to a visit: a.jpg. Pass the day on which")
    assert "such as `day=2026-09-04`." in answer.json()["detail"]
    assert farm.is_new, "nothing is saved of a request that is refused"
    assert counts(save(client, rows, ["North", "North"], day="2026-09-02")) == {"added": 2}
    assert farm.visits()["date"].tolist() == ["2026-09-02", "2026-09-04"], "a day is only that of undated photos"
    for day in ("4.9.2026", 20260904, "2026-09-04T00:00:00", "2026-02-30"):
        problem(save(client, rows, ["North", "North"], day=day), 422, "body.day: ")


def test_rows_that_a_farm_could_not_trust_are_refused(client, farm, tmp_path):
    (row,) = rows_of(client, a_photo(tmp_path, "a.jpg"))
    for change, message in (
        ({"model": "0" * 64}, "a.jpg was estimated by another model. Estimate it again."),
        ({"model": None}, "a.jpg was estimated by another model. Estimate it again."),
        ({"photo_sha256": None}, "a.jpg has no photo_sha256"),
        ({"Dry_Total_g": None}, "a.jpg has no Dry_Total_g, which its model estimates."),
        ({"taken_at": "2026-09-04T10:00:00Z"}, "a.jpg: taken_at=2026-09-04 10:00:00+00:00 has a time zone"),
        ({"status": "unreadable"}, "There is no photo with an estimate, so there is nothing to save."),
    ):
        problem(save(client, [row | change], ["North"]), 422, message)
        problem(
            client.post("/api/files/walk.json", json={"predictions": [row | change], "paddocks": ["North"]}),
            422,
            message,
        )
    problem(save(client, [row], ["North", "South"]), 422, "paddocks: expected 1 names, one per photo; got 2.")
    problem(save(client, [], []), 422, "nothing to save")
    problem(save(client, [row], ["North"], replace=True), 422, "body.replace: Extra inputs are not permitted")
    problem(save(client, [row], ["North"], reassign="no"), 422, "body.reassign: ")
    assert farm.is_new
    good_and_bad = [row, {"photo": "b.jpg", "status": "unreadable"}]
    assert counts(save(client, good_and_bad, ["North", "North"])) == {"added": 1}


def test_kept_photos_change_only_on_request(client, farm, tmp_path):
    (row,) = rows_of(client, a_photo(tmp_path, "a.jpg"))
    save(client, [row], ["North"])
    other = [row | {"Dry_Total_g": row["Dry_Total_g"] + 1}]
    answer = save(client, other, ["South"])
    assert counts(answer) == {"kept": 1, "elsewhere": 1}
    messages = " ".join(one["message"] for one in answer.json()["remarks"])
    assert "pass `replace_estimates=true` to replace it: a.jpg." in messages
    assert "pass `reassign=true` to move them: a.jpg." in messages
    assert farm.visits()["paddock"].tolist() == ["North"]
    assert counts(save(client, other, ["South"], replace_estimates=True)) == {"replaced": 1, "elsewhere": 1}
    assert counts(save(client, other, ["South"], reassign=True)) == {"unchanged": 1, "moved": 1}
    assert farm.visits()["paddock"].tolist() == ["South"]


def test_photos_without_a_name_are_assigned_by_their_position(client, farm, tmp_path):
    draw_paddocks(farm, tmp_path)
    places = {"a.jpg": 147.05, "b.jpg": 147.15, "c.jpg": 150.0, "d.jpg": None, "e.jpg": 147.05}
    photos = [a_photo(tmp_path, name, place=place, seed=n) for n, (name, place) in enumerate(places.items())]
    rows, names = rows_of(client, *photos), [None, None, None, None, "South"]
    answer = save(client, rows, names)
    assert counts(answer) == {"added": 5, "by_position": 2, "unassigned": 2}
    assert answer.json()["paddocks_added"] == [], "South is the paddock that was drawn"
    visits = farm.visits()
    assert dict(zip(visits["paddock"], visits["photos"], strict=True)) == {"North": 1, "South": 2}
    (remark,) = answer.json()["remarks"]
    assert remark["names"] == ["c.jpg", "d.jpg"]
    body = {"predictions": rows, "paddocks": names}
    summary = client.post("/api/paddocks", json=body).json()
    assert {row["paddock"]: row["photos"] for row in summary["paddocks"]} == {"North": 1, "South": 2}
    assert [one["names"] for one in summary["remarks"] if one["what"] == "photos_without_paddock"] == [remark["names"]]
    table = client.post("/api/files/paddocks.csv", json=body).text
    assert {line.split(",")[0] for line in table.splitlines()[1:]} == {"North", "South"}
    assert client.get("/api/farm").json()["paddocks"] == ["North", "South"]


def test_paddocks_of_the_same_name_are_told_apart_by_their_labels(client, farm, tmp_path):
    draw_paddocks(farm, tmp_path)
    with closing(sqlite3.connect(farm.path)) as connection, connection:
        connection.execute("UPDATE paddocks SET name = 'Home'")
    labels = client.get("/api/farm").json()["paddocks"]
    rows = rows_of(client, a_photo(tmp_path, "a.jpg"))
    problem(save(client, rows, ["Home"]), 422, f"season.gpkg: Home may be {' and '.join(labels)}.")
    answer = save(client, rows, [labels[1]])
    assert (counts(answer), answer.json()["paddocks_added"]) == ({"added": 1}, [])
    assert farm.visits()["paddock"].tolist() == [labels[1]]


def test_a_copy_is_saved_once_in_the_paddock_that_is_named(client, farm, tmp_path):
    name, content, kind = a_photo(tmp_path, "a.jpg")
    rows = rows_of(client, (name, content, kind), ("copy.jpg", content, kind))
    problem(save(client, rows, ["North", "South"]), 422, "a.jpg and copy.jpg are byte-equal, but in the paddocks")
    answer = save(client, rows, [None, "North"])
    assert counts(answer) == {"added": 1}
    assert answer.json()["remarks"][0]["what"] == "copies"
    assert farm.visits()["paddock"].tolist() == ["North"]


def test_the_season_is_that_of_the_farm(client, farm, tmp_path):
    empty = client.get("/api/farm").json()
    assert empty == {
        "farm": "season.gpkg", "paddocks": [], "level": 0.9, "walk": None, "wedge": [], "not_visited": [],
        "remarks": [],
    }  # fmt: skip
    problem(client.get("/season.html"), 404, "Nothing was saved to the farm yet")
    draw_paddocks(farm, tmp_path)
    drawn = client.get("/api/farm").json()
    assert (drawn["walk"], drawn["wedge"], drawn["paddocks"]) == (None, [], ["North", "South"])
    assert [one["what"] for one in drawn["remarks"]] == ["no_visits"]

    for day in (1, 8):
        photos = [
            a_photo(tmp_path, f"{day}-{n}.jpg", taken=f"2026:09:{day:02d} 10:00:00", seed=10 * day + n)
            for n in range(3)
        ]
        save(client, rows_of(client, *photos), ["North"] * 3)
    season, expected = client.get("/api/farm").json(), farm.season()
    walk, newest = season["walk"], expected.newest
    assert (walk["day"], walk["paddocks"]) == ("2026-09-08", 1)
    assert walk["kg_per_ha"] == pytest.approx(newest.cover.mean, abs=0.05)
    assert walk["area_ha"] == pytest.approx(newest.area_ha)
    assert walk["feed_kg"] == pytest.approx(expected.feed()[0].kg, abs=0.05)
    assert walk["feed_above_residual_kg"] is None, "no paddock has a residual"
    assert [row["paddock"] for row in season["wedge"]] == ["North"]
    assert season["wedge"][0]["days_note"] == "no target"
    assert season["not_visited"] == [{"paddock": "South", "last_visit": None}]

    page = client.get("/season.html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "North" in page.text
    assert "script-src" not in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_without_a_farm_there_is_nothing_to_save_to(lonely, client, tmp_path):
    rows = rows_of(lonely, a_photo(tmp_path, "a.jpg"))
    for answer in (save(lonely, rows, ["North"]), lonely.get("/api/farm"), lonely.get("/season.html")):
        problem(answer, 404, "This server has no farm; it has one if it is started with herbage serve MODEL --farm")
    assert lonely.get("/api/model").json()["farm"] is None
    assert client.get("/api/model").json()["farm"] == "season.gpkg", "without the folder"


def test_a_file_that_another_program_writes_is_reported_and_blocks_nobody_else(client, farm, tmp_path, monkeypatch):
    rows = rows_of(client, a_photo(tmp_path, "a.jpg"))
    save(client, rows, ["North"])
    monkeypatch.setattr(geopackage, "WAIT_S", 0.1)
    other = sqlite3.connect(farm.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = save(client, rows, ["North"])
    problem(answer, 422, "season.gpkg is being written by another program")
    assert str(tmp_path) not in answer.text
    assert client.get("/api/farm").json()["walk"]["paddocks"] == 1, "reading still works"

    monkeypatch.setattr(geopackage, "WAIT_S", PATIENCE_S)
    answers = []
    waiting = [threading.Thread(target=lambda: answers.append(save(client, rows, ["North"]))) for _ in range(3)]
    for one in waiting:
        one.start()
    time.sleep(0.3)
    assert client.get("/healthz").status_code == 200
    assert upload(client, a_photo(tmp_path, "b.jpg", seed=1)).status_code == 200
    assert answers == []
    other.execute("ROLLBACK")
    other.close()
    for one in waiting:
        one.join(PATIENCE_S)
    assert [counts(one) for one in answers] == [{"unchanged": 1}] * 3


def test_the_file_of_a_walk_adds_what_saving_adds(lonely, model, farm, tmp_path):
    photos = [
        a_photo(tmp_path, "a.jpg"),
        a_photo(tmp_path, "b.jpg", seed=1, taken=None),
        a_photo(tmp_path, "c.jpg", seed=2),
    ]
    rows = rows_of(lonely, *photos)
    body = {"predictions": rows, "paddocks": ["North", "North", None]}
    problem(lonely.post("/api/files/walk.json", json=body), 422, "without a capture time")
    answer = lonely.post("/api/files/walk.json", json=body | {"day": "2026-09-05"})
    assert answer.headers["content-type"] == "application/json"
    assert "walk-2026-09-05.json" in answer.headers["content-disposition"]
    (tmp_path / "walk.json").write_bytes(answer.content)
    walk = WalkFile.read(tmp_path / "walk.json")
    assert walk.model == ModelRecord.of(model)
    assert [(one.photo, one.paddock, one.day) for one in walk.photos] == [
        ("a.jpg", "North", None), ("b.jpg", "North", date(2026, 9, 5)), ("c.jpg", None, None),
    ]  # fmt: skip
    assert "/api/maps" not in answer.text
    assert farm.add_walk(tmp_path / "walk.json").counts["added"] == 3
    with TestClient(make_app(model, model.open_backbone(), farm=farm)) as client:
        assert counts(save(client, rows, ["North", "North", None], day="2026-09-05")) == {"unchanged": 3}


def test_a_page_of_another_site_cannot_save(client, farm, tmp_path):
    rows = rows_of(client, a_photo(tmp_path, "a.jpg"))
    content = json.dumps({"predictions": rows, "paddocks": ["North"]})
    for headers in ({"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}, {}):
        problem(client.post("/api/farm", content=content, headers=headers), 415, "Expected application/json")
    assert farm.is_new
    assert "access-control-allow-origin" not in client.options("/api/farm").headers


def test_the_season_needs_the_token(model, farm):
    with TestClient(make_app(model, model.open_backbone(), farm=farm, token="sesame")) as client:
        for path in ("/api/farm", "/season.html"):
            problem(client.get(path), 401, "token")
        client.get("/?token=sesame")
        assert client.get("/api/farm").status_code == 200


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("pass `replace_estimates=True`", "pass `replace_estimates=true`"),
        ("such as `date=2026-09-04`.", "such as `day=2026-09-04`."),
        ("with `drop_visit` to", "with herbage farm --drop-visit to"),
        ("import polygons with `paddocks`, or", "import polygons with herbage farm --paddocks, or"),
        ("a `b", "a `b"),
    ],
)
def test_messages_name_what_a_client_can_set(message, shown):
    assert as_fields(message) == shown
