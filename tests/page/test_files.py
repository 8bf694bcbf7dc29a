"""The files that the browser writes: their readers find in them what they find in those of the server."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from herbage.app.web.service import PaddockSummary
from herbage.farm.farm import Farm
from herbage.farm.walk_file import WalkFile
from herbage.results.predictions import plain_text
from tests.page import reference

FILES = """async (cases) => {
  const { writeFile } = await import("./files.js");
  return cases.map(([kind, model, body]) => {
    try {
      return writeFile(kind, model, body);
    } catch (error) {
      if (error.status !== 422) throw error;
      return { detail: error.message };
    }
  });
}"""
TODAY = datetime.now(UTC).date()


@pytest.fixture(autouse=True)
def models_are_records(monkeypatch):
    monkeypatch.setattr(PaddockSummary, "of", reference.summary_of)


def make_cases(seed, count):
    """Cases in which undated photos mostly get a day."""
    rng = np.random.default_rng(seed)
    cases = [reference.a_case(rng) for _ in range(count)]
    return [(record, body | {"day": "2025-09-05"} if rng.uniform() < 0.8 else body) for record, body in cases]


def written(page, kind, cases):
    return page.evaluate(FILES, [[kind, reference.facts_of(record), body] for record, body in cases])


def both(page, kind, cases):
    """The browser's and the server's file of each case; refusals, names and types are compared here."""
    files = []
    for (record, body), own in zip(cases, written(page, kind, cases), strict=True):
        other = reference.file_of(record, kind, body)
        assert {**own, "text": ""} == {**other, "text": ""}
        if "text" in own:
            files.append((own["text"], other["text"]))
    assert len(files) > len(cases) / 2
    return files


@pytest.mark.parametrize("kind", ["predictions.csv", "paddocks.csv"])
def test_tables_have_the_same_cells(modules, kind):
    for own, other in both(modules, kind, make_cases(10, 60)):
        assert own.endswith("\n")
        cells, expected = (list(csv.reader(io.StringIO(text))) for text in (own, other))
        assert [len(line) for line in cells] == [len(line) for line in expected]
        for one, two in zip(np.ravel(cells), np.ravel(expected), strict=True):
            assert one == two or float(one) == float(two)
        read, as_expected = (pd.read_csv(io.StringIO(text)) for text in (own, other))
        pd.testing.assert_frame_equal(read, as_expected, check_dtype=False)


def test_texts_of_a_table_are_safe_in_a_spreadsheet(modules):
    cases = make_cases(11, 1)
    (record, body), row = cases[0], reference.some_rows(np.random.default_rng(0), cases[0][0], 1)[0]
    texts = [
        "=1+1",
        " -2",
        "\t3",
        "\r4",
        "\n@5",
        "\x0b\x856",
        "\u00a0=7",
        "8",
        '9,"x"',
        "10\r\nx",
        "'=11",
        "\ud83d\udc04 12",
    ]
    texts = [text.encode("utf-16", "surrogatepass").decode("utf-16") for text in texts]
    rows = [row | {"photo": text, "message": text} for text in texts]
    ((own, other),) = both(modules, "predictions.csv", [(record, body | {"predictions": rows})])
    lines = [list(csv.DictReader(io.StringIO(text))) for text in (own, other)]
    assert [line["photo"] for line in lines[0]] == [line["photo"] for line in lines[1]]
    assert [line["photo"][0] for line in lines[0][:5]] == ["'"] * 5
    assert own.count("\n") == len(texts) + 1
    assert plain_text(lines[0][0]["message"]) == "=1+1"


def test_points_are_equal(modules):
    count = 0
    for own, other in both(modules, "photos.geojson", make_cases(12, 60)):
        assert json.loads(own) == json.loads(other)
        assert [list(one["properties"]) for one in json.loads(own)["features"]] == [
            list(one["properties"]) for one in json.loads(other)["features"]
        ]
        count += len(json.loads(own)["features"])
    assert count > 100


def test_walks_are_equal_and_a_farm_takes_them(modules, tmp_path):
    added = 0
    for number, (own, other) in enumerate(both(modules, "walk.json", make_cases(13, 120))):
        path = tmp_path / f"{number}.json"
        path.write_text(own, "utf-8")
        walk = WalkFile.read(path)
        assert walk == WalkFile.model_validate_json(other)
        assert json.loads(own).keys() == {"herbage_walk", "model", "photos"}
        if number < 5:
            added += Farm(tmp_path / f"{number}.gpkg").add_walk(path).counts["added"]
    assert added


def test_a_walk_has_only_what_a_farm_reads(modules):
    record, body = walk_of_two()
    rows = [row | {"map": "/api/maps/1", "density": [1.0] * 5, "file": "C:/home/a.jpg"} for row in body["predictions"]]
    (file,) = written(modules, "walk.json", [(record, body | {"predictions": rows})])
    for word in ("maps", "density", "home", "null"):
        assert word not in file["text"]


def walk_of_two(**change):
    """A model that knows all targets, with two photos, of which the first is changed."""
    rng = np.random.default_rng(5)
    record = next(one for one in iter(lambda: reference.a_record(rng), None) if len(one.targets) == 5)
    rows = [
        row | {"status": "ok", "photo": name, "photo_sha256": digest * 64, "taken_at": "2025-09-04T10:00:00"}
        for row, name, digest in zip(reference.some_rows(rng, record, 2), ("a.jpg", "b, c.jpg"), "ab", strict=True)
    ]
    rows = [row | dict.fromkeys(record.targets, 1.5) for row in rows]
    return record, {"predictions": [rows[0] | change, rows[1]], "paddocks": ["North", None]}


CHANGES = {
    "estimated by another model": {"model": "0" * 64},
    "was estimated by another": {"model": None},
    "no photo_sha256": {"photo_sha256": None},
    "no Dry_Total_g": {"Dry_Total_g": None},
    "has a time zone": {"taken_at": "2025-09-04T10:00:00Z"},
    "+05:30 has a time zone": {"taken_at": "2025-09-04T10:00:00+05:30"},
    "the day 1989-12-31; expected one from 1990": {"taken_at": "1989-12-31T23:59:59"},
    "to tomorrow": {"taken_at": f"{TODAY + timedelta(days=3)}T00:00:00"},
    "1 photo without a capture time": {"taken_at": None},
}


@pytest.mark.parametrize("zone", ["UTC", "America/Sao_Paulo", "Pacific/Apia"])
def test_photos_that_a_farm_would_not_take_are_refused_alike(chromium, modules, zone):
    context = chromium.new_context(timezone_id=zone)
    page = context.new_page()
    page.goto(modules.url)
    cases = [walk_of_two(**change) for change in CHANGES.values()]
    answers = written(page, "walk.json", cases)
    for text, (record, body), answer in zip(CHANGES, cases, answers, strict=True):
        assert text in answer["detail"]
        assert answer == reference.file_of(record, "walk.json", body)
    good = [walk_of_two(), walk_of_two(taken_at=f"{TODAY}T00:00:00"), walk_of_two(taken_at="1990-01-01T00:00:00")]
    names = [file["name"] for file in written(page, "walk.json", good)]
    assert names == ["walk-2025-09-04.json", f"walk-{TODAY}.json", "walk-2025-09-04.json"]
    context.close()


def test_other_requests_are_refused_alike(modules):
    record, body = walk_of_two()
    rows = body["predictions"]
    copies = [rows[0], rows[1] | {"photo_sha256": rows[0]["photo_sha256"]}]
    cases = {
        "paddocks: expected 2 names, one per photo; got 1.": body | {"paddocks": ["North"]},
        "nothing to save": {"predictions": [rows[0] | {"status": "skipped"}], "paddocks": [None]},
        "`paddocks`: a.jpg and b, c.jpg are byte-equal": {"predictions": copies, "paddocks": ["North", "South"]},
        "Pass the day": {"predictions": [row | {"taken_at": None} for row in rows * 4], "paddocks": [None] * 8},
    }
    answers = written(modules, "walk.json", [(record, case) for case in cases.values()])
    for (text, case), answer in zip(cases.items(), answers, strict=True):
        assert text in answer["detail"]
        assert answer == reference.file_of(record, "walk.json", case)
    days = ["4.9.2026", "20260904", "2026-09-04T00:00:00", "", "2026-02-30", "2026-13-01"]
    for answer in written(modules, "walk.json", [(record, body | {"day": day}) for day in days]):
        assert answer == {"detail": "body.day: Value error, expected a day as YYYY-MM-DD, such as 2026-09-04"}


def test_a_copy_without_a_paddock_is_in_that_of_the_other(modules):
    record, body = walk_of_two(photo_sha256="b" * 64)
    (file,) = written(modules, "walk.json", [(record, body | {"paddocks": [None, " North\u200b "]})])
    assert [(one["photo"], one["paddock"]) for one in json.loads(file["text"])["photos"]] == [("a.jpg", "North")]
