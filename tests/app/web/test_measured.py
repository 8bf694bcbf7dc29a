"""Measured values in the API: the figures of the model, a message for each mistake, and facts for the page."""

import json

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from herbage import steps
from herbage.app.web.api import make_app
from herbage.model.model import HerbageModel
from herbage.page.facts import model_facts
from herbage.targets import TARGETS
from tests.app.web.test_api import problem, upload

HEIGHT, NDVI = "Height_Ave_cm", "Pre_GSHH_NDVI"


@pytest.fixture
def client(measured_model):
    with TestClient(make_app(measured_model, measured_model.open_backbone())) as client:
        yield client


@pytest.fixture
def photo(weighed_photos):
    return "a.png", (weighed_photos / "train/ID3.png").read_bytes(), "image/png"


def figures(row):
    return [row[target + end] for end in ("", "_low", "_high") for target in TARGETS]


def estimated(estimate):
    return np.concatenate([estimate.grams, estimate.low, estimate.high]).round(6).tolist()


def test_measured_values_give_the_figures_of_the_model_per_photo(client, measured_model, weighed_photos, photo):
    path = weighed_photos / "train/ID3.png"
    given = [{HEIGHT: 12.5, NDVI: 0.6}, None, {NDVI: 0.1, HEIGHT: 9}, {HEIGHT: 12.5}, {HEIGHT: 12.5, NDVI: None}, {}]
    rows = upload(client, *[photo] * 6, data={"measured": json.dumps(given)}).json()["predictions"]
    alone = measured_model.estimate(path)
    for row, values in zip(rows, given, strict=True):
        complete = values is not None and None not in (values.get(HEIGHT), values.get(NDVI))
        expected = measured_model.estimate(path, measured=values) if complete else alone
        assert row["measured"] is complete
        assert figures(row) == estimated(expected)
    assert figures(rows[0]) != figures(rows[1]) != figures(rows[2]) != figures(rows[0])
    shown = client.get(rows[0]["map"]).json()
    assert np.mean(shown["values"]["Dry_Total_g"]) * rows[0]["quadrat_area_m2"] == pytest.approx(
        rows[0]["Dry_Total_g"], abs=0.05
    )


def test_measured_values_and_corners_are_used_together(client, photo):
    corners = json.dumps([[[10, 5], [100, 5], [100, 55], [10, 55]]])
    measured = json.dumps([{HEIGHT: 12.5, NDVI: 0.6}])
    rows = [
        upload(client, photo, data=data).json()["predictions"][0]
        for data in ({"corners": corners, "measured": measured}, {"corners": corners}, {"measured": measured})
    ]
    assert [row["measured"] for row in rows] == [True, False, True]
    assert len({row["Dry_Total_g"] for row in rows}) == 3
    overlay = client.post(rows[0]["map"] + "/overlay", files={"photo": photo})
    assert overlay.status_code == 200


def test_a_value_outside_the_training_range_is_in_the_message(client, photo):
    (row,) = upload(client, photo, data={"measured": json.dumps([{HEIGHT: 40, NDVI: 0.6}])}).json()["predictions"]
    assert "Height_Ave_cm 40 is outside the training range" in row["message"]


@pytest.mark.parametrize(
    ("measured", "detail"),
    [
        ("12.5", "measured: expected a JSON list of null or objects of numbers; Input should be a valid array."),
        ("{Height_Ave_cm: 1}", "measured: expected a JSON list of null or objects of numbers; Invalid JSON"),
        ("[" * 100_000, "measured: expected a JSON list of null or objects of numbers; Invalid JSON"),
        ("[12.5]", "measured: the entry of photo 1 is 12.5; expected null or an object of numbers."),
        ("[]", "measured: expected 1 entries, one per photo; got 0."),
        ("[null, null]", "measured: expected 1 entries, one per photo; got 2."),
        (
            '[{"height": 1}]',
            "measured: the model uses no measured column height; it uses Height_Ave_cm, Pre_GSHH_NDVI.",
        ),
        (
            '[{"Height_Ave_cm": "12.5"}]',
            "measured: Height_Ave_cm of photo 1 is '12.5'; expected a finite number, or null if not measured.",
        ),
        ('[{"Height_Ave_cm": true}]', "measured: Height_Ave_cm of photo 1 is True; expected a finite number"),
        ('[{"Height_Ave_cm": NaN}]', "measured: Height_Ave_cm of photo 1 is nan; expected a finite number"),
        ('[{"Height_Ave_cm": 1e999}]', "measured: Height_Ave_cm of photo 1 is inf; expected a finite number"),
        ('[{"Height_Ave_cm": 1, "Height_Ave_cm": 2}]', "measured: a name occurs more than once in an object."),
    ],
)
def test_a_mistake_is_refused_with_what_is_expected(client, photo, measured, detail):
    problem(upload(client, photo, data={"measured": measured}), 422, detail)


def test_the_field_occurs_once(client, photo):
    answer = upload(client, photo, data={"measured": ["[null]", "[null]"]})
    problem(answer, 422, "measured: expected one form field of this name; got 2.")


def test_a_model_without_measured_columns_refuses_values(model, photo):
    with TestClient(make_app(model, model.open_backbone())) as client:
        answer = upload(client, photo, data={"measured": '[{"Height_Ave_cm": 12.5}]'})
        problem(answer, 422, "measured: the model uses no measured column Height_Ave_cm; it uses none.")
        (row,) = upload(client, photo, data={"measured": "[null]"}).json()["predictions"]
        assert row["measured"] is False
        facts = client.get("/api/model").json()
    assert (facts["measured_columns"], facts["measured_score"]) == ([], None)
    assert facts["no_better_than_mean"] == {"photo": model.evidence.alone.no_better_than_mean, "measured": []}


def test_the_flag_is_in_the_files(client, photo):
    given = json.dumps([{HEIGHT: 12.5, NDVI: 0.6}, None])
    rows = upload(client, photo, photo, data={"measured": given}).json()["predictions"]
    table = client.post("/api/files/predictions.csv", json={"predictions": rows}).text
    assert [line.rpartition(",")[2] for line in table.splitlines()] == ["measured", "True", "False"]
    rows = [row | {"latitude": -41.0, "longitude": 147.0} for row in rows]
    points = client.post("/api/files/photos.geojson", json={"predictions": rows}).json()
    assert [one["properties"]["measured"] for one in points["features"]] == [True, False]


def test_the_facts_describe_the_measured_columns_and_both_scores(client, measured_model):
    facts = client.get("/api/model").json()
    height, ndvi = measured_model.config.measured_columns
    assert facts["measured_columns"] == [
        {"name": HEIGHT, "label": "Height Ave", "unit": "cm", "low": height.low, "high": height.high},
        {"name": NDVI, "label": "Pre GSHH NDVI", "unit": None, "low": ndvi.low, "high": ndvi.high},
    ]
    evidence = measured_model.evidence
    assert facts["score"]["weighted_r2"] == evidence.alone.score.weighted_r2
    assert facts["measured_score"]["weighted_r2"] == evidence.measured.score.weighted_r2
    assert facts["no_better_than_mean"] == {"photo": ["Dry_Clover_g"], "measured": []}, "the heights tell the clover"


def test_an_imported_model_has_no_measured_columns_and_no_uninformative_targets(measured_model):
    imported = HerbageModel(measured_model.config, measured_model.heads)
    facts = model_facts(imported)
    assert (facts["measured_columns"], facts["measured_score"]) == ([], None)
    assert facts["no_better_than_mean"] == {"photo": [], "measured": []}


def test_measured_columns_that_own_cuts_did_not_calibrate_are_not_used(measured_model, weighed_photos, photo):
    cuts = pd.read_csv(weighed_photos / "wide.csv").iloc[:6]
    corrected = steps.calibrate(measured_model, cuts, photos=weighed_photos)
    with TestClient(make_app(corrected, corrected.open_backbone())) as client:
        facts = client.get("/api/model").json()
        assert (facts["measured_columns"], facts["measured_score"]) == ([], None)
        assert facts["no_better_than_mean"]["measured"] == []
        answer = upload(client, photo, data={"measured": '[{"Height_Ave_cm": 12.5}]'})
        problem(answer, 422, "measured: the model uses no measured column Height_Ave_cm; it uses none.")
