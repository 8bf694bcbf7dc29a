import json
from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
import shapely
from scipy import stats

from herbage.model.estimate import Estimate
from herbage.model.paddock_error import MeanErrors
from herbage.photos.exif import PhotoFacts
from herbage.results.paddock_polygons import Polygons
from herbage.results.paddocks import COLUMNS, PaddockSummary
from herbage.results.wedge import draw_wedge
from herbage.targets import SUMS

ALL = (True,) * 5
KG = 10 / 0.21


def an_estimate(total, *, day=None, time=None, place=(None, None), clover=0.1, dead=0.3, area=0.21, **more):
    components = np.array([clover, dead, 1 - clover - dead]) * total * area / 0.21
    time = time if day is None else f"{day}T10:00"
    taken = None if time is None else datetime.fromisoformat(time)
    return Estimate("a.jpg", grams=SUMS @ components, quadrat_area_m2=area, facts=PhotoFacts(taken, *place), **more)


def errors():
    rng = np.random.default_rng(0)
    estimated = rng.uniform(5, 40, (60, 5))
    shared = np.repeat(rng.normal(0, 2, (20, 5)), 3, axis=0)
    return MeanErrors.fit(
        estimated + shared + rng.normal(0, 4, estimated.shape), estimated, np.repeat(np.arange(20), 3)
    )


def paddocks(**more):
    return PaddockSummary(**{"errors": errors(), "known": ALL, "quadrat_area_m2": 0.21, "level": 0.9, **more})


def summarised(estimates, **more):
    summary = paddocks(**more)
    for name, estimate in estimates:
        summary.add(name, estimate)
    return summary.table().set_index("paddock")


def test_means_intervals_and_shares_agree_with_plain_arithmetic():
    totals = np.array([20.0, 26.0, 31.0, 35.0])
    row = summarised([("Home", an_estimate(total)) for total in totals]).loc["Home"]
    assert row["photos"] == 4
    assert row["kg_per_ha"] == pytest.approx(totals.mean() * KG, abs=1e-3)
    low, high = stats.t.interval(0.9, 3, totals.mean(), totals.std(ddof=1) / 2)
    assert row["sampling_kg_per_ha"] == pytest.approx((high - low) / 2 * KG, abs=1e-3)
    model = errors().half_width_g(SUMS @ np.array([0.1, 0.3, 0.6]) * totals.mean(), 4, 0.9)[3] * KG
    assert row["model_kg_per_ha"] == pytest.approx(model, abs=1e-3)
    half = np.hypot(row["sampling_kg_per_ha"], model)
    assert row["kg_per_ha_high"] - row["kg_per_ha"] == pytest.approx(half, abs=1e-2)
    assert (row["green_share"], row["legume_share"]) == pytest.approx((0.7, 0.1))
    assert row["variation"] == pytest.approx(totals.std(ddof=1) / totals.mean(), abs=1e-4)
    assert row["GDM_kg_per_ha"] == pytest.approx(0.7 * totals.mean() * KG, abs=1e-3)


def test_the_stated_number_of_additional_photos_halves_the_sampling_error():
    few = summarised([("Home", an_estimate(total)) for total in (20, 30, 25, 25)]).loc["Home"]
    many = summarised([("Home", an_estimate(total)) for total in (20, 30, 25, 25) * 4]).loc["Home"]
    assert many["photos"] == few["photos"] + few["photos_to_halve_sampling"]
    standard_error = [row["sampling_kg_per_ha"] / stats.t.ppf(0.95, row["photos"] - 1) for row in (few, many)]
    assert standard_error[1] == pytest.approx(standard_error[0] / 2, rel=0.12)


def test_a_calibration_widens_the_interval_and_without_errors_there_is_none():
    estimates = [("Home", an_estimate(total)) for total in (20, 30)]
    plain, wide = (
        summarised(estimates, errors=replace(errors(), widened=widened)).loc["Home"] for widened in (1.0, 2.0)
    )
    assert wide["model_kg_per_ha"] == pytest.approx(2 * plain["model_kg_per_ha"], rel=1e-5)
    without_errors = summarised(estimates, errors=None).loc["Home"]
    assert np.isnan(without_errors["kg_per_ha_low"])
    assert without_errors["sampling_kg_per_ha"] == plain["sampling_kg_per_ha"]
    alone = summarised(estimates[:1]).loc["Home"]
    assert np.isnan(alone["kg_per_ha_low"])
    assert pd.isna(alone["variation"])


def test_photos_of_another_quadrat_count_by_weight_per_area():
    one = summarised([("Home", an_estimate(20)), ("Home", an_estimate(30))])
    two = summarised([("Home", an_estimate(20)), ("Home", an_estimate(30, area=0.42))])
    pd.testing.assert_frame_equal(one, two)


def test_the_highest_cover_comes_first_and_photos_without_a_paddock_are_counted():
    summary = paddocks()
    for name, total in (("b", 10), ("a", 30), (None, 99), ("c", 20)):
        summary.add(name, an_estimate(total))
    table = summary.table()
    assert table["paddock"].tolist() == ["a", "c", "b"]
    assert list(table.columns) == list(COLUMNS)
    assert summary.unassigned == 1


def growing(first, second, days):
    before = [("Home", an_estimate(total, day="2025-03-01")) for total in first]
    day = str(np.datetime64("2025-03-01") + days)
    return summarised(before + [("Home", an_estimate(total, day=day)) for total in second]).loc["Home"]


def test_growth_is_given_only_where_its_interval_is_narrow_enough():
    row = growing([20, 22, 24, 21, 23], [30, 32, 34, 31, 33], 60)
    assert row["kg_per_ha"] == pytest.approx(32 * KG, abs=1e-3)
    assert row["growth_kg_per_ha_day"] == pytest.approx(10 * KG / 60, abs=1e-3)
    assert row["growth_low"] < row["growth_kg_per_ha_day"] < row["growth_high"]
    assert row["growth_since"] == "2025-03-01"
    assert row["taken_on"] == "2025-04-30"
    assert pd.isna(growing([20, 22, 24], [30, 32, 34], 2)["growth_kg_per_ha_day"])


SQUARE = {"type": "Polygon", "coordinates": [[[147, -42], [148, -42], [148, -41], [147, -41], [147, -42]]]}


def test_the_map_of_paddocks_has_their_polygons_or_the_mean_position_of_their_photos():
    summary = paddocks()
    for total in (10, 20):
        summary.add("River", an_estimate(total, place=(-41.5, 147.5)))
    farm = Polygons(["River"], [shapely.geometry.shape(SQUARE)])
    (feature,) = json.loads(summary.geojson(farm))["features"]
    assert feature["geometry"] == SQUARE
    assert feature["properties"]["kg_per_ha"] == pytest.approx(15 * KG, abs=1e-3)
    assert feature["properties"]["growth_low"] is None
    (point,) = json.loads(summary.geojson(None))["features"]
    assert point["geometry"] == {"type": "Point", "coordinates": [147.5, -41.5]}


@pytest.mark.parametrize("count", [1, 5, 90])
def test_a_wedge_can_be_drawn_of_farms_of_any_size(count):
    table = summarised([(f"paddock {n} with a long name", an_estimate(10 + n)) for n in range(count) for _ in "ab"])
    picture = draw_wedge(table.reset_index(), pre_grazing=2800, residual=1500)
    assert picture.startswith(b"\x89PNG")
    assert picture == draw_wedge(table.reset_index(), pre_grazing=2800, residual=1500)
    assert picture != draw_wedge(table.reset_index())
