"""Walks, means of the farm, feed on hand and days to the target, against plain arithmetic."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import numpy as np
import pytest

from herbage.farm.season import WEDGE_COLUMNS
from tests.farm.conftest import polygon, write_polygons
from tests.farm.walks import DAY, a_model, a_walk


def walk(farm, days, covers, **more):
    more = {"model": a_model(), "seed": days, **more}
    model = more.pop("model")
    farm.add_estimates(a_walk(DAY + timedelta(days=days), covers, **more), model)


def set_areas(farm, **areas):
    with closing(sqlite3.connect(farm.path)) as plain, plain:
        for name, area in areas.items():
            plain.execute("UPDATE paddocks SET effective_area_ha = ? WHERE name = ?", (area, name))


def visit_of(season, name, number=-1):
    return season.visits[season.paddocks.find(name).id][number]


def test_the_mean_of_the_farm_is_weighted_by_area_and_shares_the_models_error(farm):
    walk(farm, 0, {"North": 2000, "South": 1000})
    set_areas(farm, North=3.0, South=1.0)
    season = farm.season()
    cover, parts = season.newest.cover, [visit_of(season, name).cover for name in ("North", "South")]
    assert cover.mean == pytest.approx(1750)
    assert cover.sampling == pytest.approx(np.hypot(0.75 * parts[0].sampling, 0.25 * parts[1].sampling))
    assert cover.model == pytest.approx(0.75 * parts[0].model + 0.25 * parts[1].model)
    assert season.newest.area_ha == 4
    set_areas(farm, South=9.0)
    assert farm.season().newest.cover.mean == pytest.approx(1250)


def test_without_areas_the_mean_is_plain_and_there_is_no_feed(tmp_path, farm):
    walk(farm, 0, {"East": 2000, "West": 1000})
    season = farm.season()
    assert season.newest.cover.mean == pytest.approx(1500)
    assert np.isnan(season.feed()[0].kg)
    assert [remark.what for remark in season.remarks()] == ["no_areas"]
    walk(farm, 1, {"North": 4000})
    season = farm.season(residual=1500)
    assert season.newest.cover.mean == pytest.approx(4000)  # East and West have no area
    (remark,) = season.remarks()
    assert (remark.what, set(remark.names)) == ("paddocks_without_area", {"East", "West"})


def test_a_walk_may_take_days_and_the_next_begins_where_a_paddock_is_visited_again(farm):
    for days, names in ((0, "AB"), (2, "CD"), (7, "AC"), (9, "BD"), (14, "AB"), (40, "D")):
        walk(farm, days, dict.fromkeys(names, 2000.0))
    walks = farm.season().walks
    assert [(walk.day - DAY).days for walk in walks] == [2, 9, 14, 40]
    assert [len(walk.own) for walk in walks] == [4, 4, 2, 1]
    assert [len(walk.state) for walk in walks] == [4, 4, 4, 1]  # what was visited within 14 days


def test_the_growth_of_the_farm_leaves_out_grazed_paddocks_and_averages_sampling_alone(farm):
    walk(farm, 0, {"North": 2000, "South": 1500, "East": 3000})
    walk(farm, 20, {"North": 2400, "South": 2300, "East": 900})
    set_areas(farm, North=1.0, South=3.0, East=10.0)
    season = farm.season()
    newest = season.newest
    assert {season.paddocks.label(visit.paddock_id) for visit in newest.growing} == {"North", "South"}
    assert newest.growth.rate == pytest.approx(0.25 * 20 + 0.75 * 40)
    north, south = ([visit_of(season, name, n).cover for n in (0, 1)] for name in ("North", "South"))
    sampling = [share * cover.sampling for share, own in ((0.25, north), (0.75, south)) for cover in own]
    model = [0.25 * north[n].model + 0.75 * south[n].model for n in (0, 1)]
    assert newest.growth.half_width == pytest.approx(np.linalg.norm([*sampling, *model]) / 20)
    of_farm = season.growth_table().query("paddock.isna()")
    assert of_farm["paddocks"].tolist() == [0, 2]
    assert of_farm["growth_note"].tolist()[0] == "no paddock with growth"
    ((before, after),) = season.grazings()
    assert (before.cover.mean, after.cover.mean) == pytest.approx((3000, 900))


def test_feed_on_hand_and_above_the_residual(farm):
    walk(farm, 0, {"North": 2000, "South": 1000, "East": 3000})
    set_areas(farm, North=2.0, South=4.0)
    season = farm.season(residual=1500)
    total, above = season.feed()
    assert total.kg == pytest.approx(2 * 2000 + 4 * 1000)
    cover = season.newest.cover
    assert (total.low, total.high) == pytest.approx((6 * cover.low, 6 * cover.high))
    assert above.kg == pytest.approx(2 * 500)  # South is below the residual, East has no area
    north = visit_of(season, "North").cover
    assert above.kg < above.high < 2 * (north.high - 1500) + 4 * visit_of(season, "South").cover.sampling + 1
    assert 0 <= above.low < above.kg
    with closing(sqlite3.connect(farm.path)) as plain, plain:
        plain.execute("UPDATE paddocks SET residual_kg_per_ha = 800 WHERE name = 'South'")
    assert farm.season(residual=1500).feed()[1].kg == pytest.approx(2 * 500 + 4 * 200)
    assert farm.season().feed()[1].kg == pytest.approx(4 * 200)  # North has no residual of its own


def test_the_wedge_is_in_order_of_cover_with_days_to_the_target(farm):
    quiet = a_model(shared=0.2, own=0.5)
    for days, north, south, east in ((0, 1500, 2900, 2000), (20, 2100, 2950, 1990), (40, 2700, 3000, 1000)):
        walk(farm, days, {"North": north, "South": south, "East": east}, model=quiet, spread=30.0)
    wedge = farm.wedge(pre_grazing=2900, residual=1500)
    assert list(wedge.columns) == list(WEDGE_COLUMNS)
    assert wedge["paddock"].tolist() == ["South", "North", "East"]
    south, north, east = (wedge.iloc[n] for n in range(3))
    assert (south["days_to_target"], south["days_note"]) == (0, "at the target")
    assert north["days_to_target"] == pytest.approx(200 / 30, abs=1e-3)
    assert north["days_low"] == pytest.approx(200 / north["growth_high"], abs=1e-3)
    assert north["days_high"] == pytest.approx(200 / north["growth_low"], abs=1e-3)
    assert east["possible_grazing"]
    assert east["days_note"] == "growth may be zero"  # -0.5 per day, before it was grazed
    assert farm.wedge()["days_note"].tolist() == ["no target"] * 3
    with closing(sqlite3.connect(farm.path)) as plain, plain:
        plain.execute("UPDATE paddocks SET pre_grazing_kg_per_ha = 3300 WHERE name = 'North'")
    assert farm.wedge(pre_grazing=2900).iloc[1]["days_to_target"] == pytest.approx(600 / 30, abs=1e-3)


def test_paddocks_not_visited_for_14_days_are_not_in_the_newest_walk(farm, tmp_path):
    farm.import_paddocks(write_polygons(tmp_path / "far.geojson", Far=polygon(148, -41.5)))
    walk(farm, 0, {"North": 2000, "South": 2000})
    walk(farm, 14, {"South": 2000})
    assert farm.wedge()["paddock"].tolist() == ["North", "South"]
    walk(farm, 15, {"South": 2100})
    season = farm.season()
    assert season.wedge_table()["paddock"].tolist() == ["South"]
    assert [(paddock.label, day) for paddock, day in season.not_visited()] == [("Far", None), ("North", DAY)]


def test_a_single_photo_leaves_the_farm_without_an_interval_and_says_so(farm):
    walk(farm, 0, {"North": 2000})
    walk(farm, 1, {"South": 2000}, photos=1)
    season = farm.season()
    assert np.isnan(season.newest.cover.half_width)
    assert [(remark.what, remark.names) for remark in season.remarks()] == [("single_photos", ("South",))]


@pytest.mark.parametrize("level", [0.5, 0.8])
def test_intervals_have_the_level_that_is_asked_for(walked, level):
    wide, narrow = walked.visits(), walked.visits(level=level)
    assert (narrow["kg_per_ha_high"] < wide["kg_per_ha_high"]).all()
    assert np.isnan(walked.visits(level=0.99)["kg_per_ha_high"]).all()  # 20 groups allow 0.95
