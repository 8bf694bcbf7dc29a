"""Visits and growth, against the summary of one run and plain arithmetic."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herbage.errors import InputInvalid
from herbage.farm.visits import GRAZING, LONG_GAP, OTHER_MODEL, SAME_DAY, SINGLE_PHOTO
from herbage.farm.walk_file import ModelRecord
from herbage.results.paddocks import PaddockSummary
from tests.farm.simulation import seasons
from tests.farm.walks import AREA_M2, DAY, a_model, a_photo, a_walk

ALL = (True,) * 5


def visits_of(tmp_path, photos, model=None):
    """The visits to the one paddock of these photos."""
    path = tmp_path / "farm.gpkg"
    path.unlink(missing_ok=True)
    photos = [(estimate, identity) for estimate, identity in photos]
    (season,) = seasons(path, [([(e, rename(i)) for e, i in photos], model or a_model())])
    return season.visits["0/N"]


def rename(identity):
    return type(identity)(identity.key, identity.day, "0/N")


def photos_at(*times, cover=2000.0):
    return [a_photo(f"{n}.jpg", cover + 50 * n, day=time.date(), at=time.time()) for n, time in enumerate(times)]


@settings(max_examples=25)
@given(st.lists(st.integers(0, 24 * 60 * 9), min_size=1, max_size=30))
def test_visits_and_means_are_those_of_predict(tmp_path_factory, minutes):
    """`predict` divides the photos of one run into visits, with sums in another unit and by another route."""
    photos = photos_at(*(datetime(2025, 9, 1) + timedelta(minutes=minute) for minute in minutes))
    model = a_model()
    visits = visits_of(tmp_path_factory.mktemp("visits"), photos, model)
    errors = model.alone.errors()
    summary = PaddockSummary(errors, known=ALL, quadrat_area_m2=AREA_M2, level=0.9)
    for estimate, _ in photos:
        summary.add("N", estimate)
    row, last = summary.table().iloc[0], visits[-1]
    assert (row["photos"], row["earlier_photos"]) == (last.sums.photos, sum(one.sums.photos for one in visits[:-1]))
    assert row["taken_on"] == last.day.isoformat()
    assert row["kg_per_ha"] == pytest.approx(last.cover.mean, abs=1e-3)
    for column, value in (("sampling_kg_per_ha", last.cover.sampling), ("model_kg_per_ha", last.cover.model)):
        assert row[column] == pytest.approx(value, abs=1e-3, nan_ok=True)
    if len(visits) > 1 and visits[-1].before is visits[-2] and last.has_growth:
        assert row["growth_kg_per_ha_day"] == pytest.approx(last.growth.rate, abs=1e-3)
        assert row["growth_high"] == pytest.approx(last.growth.high, abs=1e-3)


def test_photos_whose_day_was_given_are_taken_at_noon(tmp_path):
    given_day = [a_photo("noon.jpg", 2000, at=None), a_photo("next.jpg", 2000, day=DAY + timedelta(days=1), at=None)]
    evening = photos_at(datetime(2025, 9, 1, 17), datetime(2025, 9, 2, 5, 59))
    assert [visit.sums.photos for visit in visits_of(tmp_path, given_day)] == [1, 1]
    assert [visit.sums.photos for visit in visits_of(tmp_path, [*given_day[:1], *evening])] == [3]


def test_a_day_corrected_in_a_gis_moves_the_photo(walked):
    with closing(sqlite3.connect(walked.path)) as plain, plain:
        plain.execute("UPDATE photos SET date = '2025-08-31' WHERE photo LIKE '%North%'")
    assert walked.visits()[["paddock", "date"]].to_numpy().tolist() == [
        ["North", "2025-08-31"],
        ["South", "2025-09-01"],
    ]
    with closing(sqlite3.connect(walked.path)) as plain, plain:
        plain.execute("UPDATE photos SET date = 'yesterday' WHERE photo LIKE '%North%'")
    with pytest.raises(Exception, match="The table photos has a value that cannot be read: .*yesterday"):
        walked.visits()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("date", None, "date of .*North/0.jpg is empty; expected a day as YYYY-MM-DD"),
        ("date", "2025", "date of .*North/0.jpg is 2025; expected a day"),
        ("date", "20250901", "date of .*North/0.jpg is 20250901; expected a day"),
        ("date", "2025-09", "date of .*North/0.jpg is '2025-09'; expected a day"),
        ("taken_at", "10 am", "taken_at of .*North/0.jpg is '10 am'; expected a local time"),
        ("Dry_Total_g", None, "Dry_Total_g of .*North/0.jpg is empty; expected grams"),
        ("Dry_Total_g", -1, "Dry_Total_g of .*North/0.jpg is -1.0; expected grams, at least 0"),
        ("GDM_g", "a lot", "GDM_g of .*North/0.jpg is 'a lot'; expected grams, at least 0"),
        ("quadrat_area_m2", None, "quadrat_area_m2 of .*North/0.jpg is empty; expected square metres"),
        ("quadrat_area_m2", 0, "quadrat_area_m2 of .*North/0.jpg is 0.0; expected square metres"),
        ("measured", "true", "measured of .*North/0.jpg is 'true'; expected 1"),
        ("in_domain", "x", "in_domain of .*North/0.jpg is 'x'; expected 1"),
    ],
)
def test_a_cell_that_cannot_be_right_is_refused_with_its_photo(walked, column, value, message):
    with closing(sqlite3.connect(walked.path)) as plain, plain:
        plain.execute(f"UPDATE photos SET {column} = ? WHERE photo LIKE '%North/0.jpg'", (value,))
    with pytest.raises(InputInvalid, match=f"{message}.*delete the row to leave the photo out"):
        walked.visits()
    with closing(sqlite3.connect(walked.path)) as plain, plain:
        plain.execute("DELETE FROM photos WHERE photo LIKE '%North/0.jpg'")
    assert walked.visits()["photos"].tolist() == [3, 4]


def test_a_time_that_a_gis_adds_to_a_day_is_of_no_meaning(walked):
    before = walked.visits()
    with closing(sqlite3.connect(walked.path)) as plain, plain:
        plain.execute("UPDATE photos SET date = date || 'T23:00:00.000Z' WHERE photo LIKE '%North/0.jpg'")
    pd.testing.assert_frame_equal(walked.visits(), before)


def test_growth_is_the_difference_of_means_with_both_errors(walked):
    walked.add_estimates(a_walk(DAY + timedelta(days=25), {"North": 2500}, seed=4), a_model())
    visits = walked.visits().query("paddock == 'North'")
    first, last = visits.iloc[0], visits.iloc[1]
    half = np.linalg.norm([row[f"{of}_kg_per_ha"] for row in (first, last) for of in ("sampling", "model")]) / 25
    assert last["growth_kg_per_ha_day"] == pytest.approx(20)
    assert last["growth_high"] - 20 == pytest.approx(half, abs=1e-3)
    assert last["growth_since"] == "2025-09-01"
    assert first["growth_note"] == "first visit"


def test_growth_that_is_not_known_is_empty_with_its_reason(farm):
    def add(days, cover, *, model=None, photos=4, at=None):
        walk = a_walk(DAY + timedelta(days=days), {"North": cover}, photos=photos, seed=days)
        farm.add_estimates(walk, model or a_model())
        row = farm.visits().iloc[-1]
        assert (row["growth_note"] is None or pd.isna(row["growth_note"])) == pd.notna(row["growth_kg_per_ha_day"])
        return row["growth_note"], row["possible_grazing"]

    other = a_model(digest="b" * 64, seed=3)
    without = a_model(digest="c" * 64).model_copy(update={"alone": None})
    assert add(0, 2900)[0] == "first visit"
    assert add(20, 1200) == (GRAZING, True)
    note, grazing = add(22, 1250)
    assert note.startswith("interval too wide to be of use: +25 ± ")
    assert not grazing
    assert add(40, 1900, photos=1)[0] == SINGLE_PHOTO
    assert add(60, 1000, model=other) == (OTHER_MODEL, False)
    assert add(80, 1400, model=without)[0] == OTHER_MODEL
    assert add(100, 1600, model=without)[0].startswith("interval unknown, because the model's errors")


def test_two_visits_on_one_day_have_no_growth(tmp_path):
    times = [datetime(2025, 9, 1, 0, 10), datetime(2025, 9, 1, 0, 30), datetime(2025, 9, 1, 23, 0)]
    first, second = visits_of(tmp_path, photos_at(*times))
    assert (first.day, second.note) == (second.day, SAME_DAY)


def test_growth_goes_back_as_far_as_it_must_and_no_further_than_a_grazing(farm):
    for days, cover in ((0, 3000), (5, 1000), (10, 1200), (15, 1400), (20, 1600)):
        farm.add_estimates(a_walk(DAY + timedelta(days=days), {"North": cover}, seed=days), a_model(shared=8))
    visits = farm.visits()
    assert visits["possible_grazing"].tolist() == [False, True, False, False, False]
    since = visits["growth_since"].tolist()
    halves = (visits["growth_high"] - visits["growth_kg_per_ha_day"]).tolist()
    assert since[3:] == ["2025-09-06", "2025-09-11"]
    assert visits["growth_kg_per_ha_day"].tolist()[3:] == pytest.approx([40] * 2)
    assert all(half <= 100 for half in halves[3:])
    assert "too wide" in visits["growth_note"].tolist()[2]


def test_growth_is_not_taken_over_a_gap_in_which_a_paddock_may_have_been_grazed(farm):
    for days in (0, 91):
        farm.add_estimates(a_walk(DAY - timedelta(days=200 - days), {"North": 1500 + days}, seed=days), a_model())
    assert farm.visits()["growth_note"].tolist()[1] == LONG_GAP


def test_growth_is_not_taken_over_a_fall_in_several_steps(farm):
    loud = a_model(shared=8)
    for days, cover in ((0, 3000), (3, 2500), (6, 2000), (9, 1500), (12, 1000)):
        farm.add_estimates(a_walk(DAY + timedelta(days=days), {"North": cover}, seed=days), loud)
    visits = farm.season().visits[farm.paddocks().find("North").id]
    assert not any(visit.possible_grazing for visit in visits)  # no step is larger than both intervals
    for visit in visits[1:]:
        assert visit.before.cover.low <= visit.cover.high


def test_estimates_of_different_heads_in_a_visit_add_their_errors(farm):
    measured = a_model(shared=0.5, own=1, seed=9).alone
    model = ModelRecord(**{**a_model().model_dump(), "measured": measured.model_dump()})
    alone, both = a_walk(DAY, {"North": 2000}, photos=6), []
    for number, (estimate, identity) in enumerate(alone):
        both.append((type(estimate)(**{**vars(estimate), "measured": number < 3}), identity))
    farm.add_estimates(both, model)
    visit = farm.season().visits[farm.paddocks().find("North").id][0]
    halves = []
    for own, photos in ((measured, both[:3]), (model.alone, both[3:])):
        grams = np.mean([estimate.grams for estimate, _ in photos], axis=0)
        halves.append(own.errors().half_width_g(grams, 3, 0.9)[3] * 10 / AREA_M2)
    assert visit.cover.model == pytest.approx(np.mean(halves))


def test_visits_of_a_season_follow_each_other(walked):
    for days in (20, 40):
        walked.add_estimates(a_walk(DAY + timedelta(days=days), {"North": 2000}, seed=days), a_model())
    for visits in walked.season().visits.values():
        for earlier, later in pairwise(visits):
            assert earlier.day < later.day
            assert later.before is earlier
