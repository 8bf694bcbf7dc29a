"""Intervals of cover and growth contain the truth as often as they say, whatever part of the error visits share."""

import numpy as np
import pytest

from tests.farm.simulation import a_season, a_trained_model, seasons

FARMS, PADDOCKS = 60, 5
LEVEL, DAYS = 0.9, 21


def shared_errors(kind, rng):
    """Standard normal errors (paddock, visit) of two visits."""
    return {
        "of each visit": rng.normal(size=(PADDOCKS, 2)),
        "of each paddock": np.repeat(rng.normal(size=(PADDOCKS, 1)), 2, axis=1),
        "of each walk": np.repeat(rng.normal(size=(1, 2)), PADDOCKS, axis=0),
        "of the farm": np.full((PADDOCKS, 2), rng.normal()),
    }[kind]


def least(inside):
    """The stated level less the sampling error of the measured coverage, three standard errors; farms are independent."""
    by_farm = np.array([np.mean(farm) for farm in inside if len(farm)])
    return LEVEL - 3 * max(by_farm.std(ddof=1), 0.1) / np.sqrt(len(by_farm))


def covered(inside):
    return np.mean([value for farm in inside for value in farm])


@pytest.mark.parametrize("kind", ["of each visit", "of each paddock", "of each walk", "of the farm"])
def test_growth_and_cover_of_paddocks_and_farm_are_inside_their_intervals(tmp_path, kind):
    rng = np.random.default_rng(5)
    start = rng.uniform(1200, 2600, (FARMS, PADDOCKS))
    growth = rng.uniform(-10, 70, (FARMS, PADDOCKS))
    truth = np.stack([start, start + DAYS * growth], axis=2)
    models = [a_trained_model(rng, number) for number in range(FARMS)]
    made = [(a_season(rng, n, truth[n], shared_errors(kind, rng), days=DAYS), models[n]) for n in range(FARMS)]
    cover, pair, mean, farm_growth, falls = [], [], [], [], 0
    for n, season in enumerate(seasons(tmp_path / "farm.gpkg", made)):
        cover.append([]), pair.append([])
        included = []
        for name, (_, last) in season.visits.items():
            paddock = int(name.split("/")[1])
            cover[-1].append(last.cover.low <= truth[n, paddock, 1] <= last.cover.high)
            falls += last.possible_grazing
            if last.growth is not None:
                included.append(paddock)
                pair[-1].append(last.growth.low <= growth[n, paddock] <= last.growth.high)
        walk = season.newest
        mean.append([walk.cover.low <= truth[n, :, 1].mean() <= walk.cover.high])
        if walk.growth:
            farm_growth.append([walk.growth.low <= growth[n, included].mean() <= walk.growth.high])
    for inside in (cover, pair, mean, farm_growth):
        print(kind, covered(inside), least(inside))
        assert covered(inside) >= least(inside), (kind, covered(inside))
    assert falls / (FARMS * PADDOCKS) < 0.05  # no paddock was grazed


def test_grazing_is_seen_and_left_out_of_growth(tmp_path):
    rng = np.random.default_rng(6)
    truth = np.tile([[3400.0, 900.0], [2000.0, 2600.0], [1500.0, 2100.0]], (20, 1, 1))
    models = [a_trained_model(rng, number) for number in range(len(truth))]
    made = [(a_season(rng, n, truth[n], rng.normal(size=(3, 2)), photos=12), models[n]) for n in range(len(truth))]
    seen, growing = [], []
    for n, season in enumerate(seasons(tmp_path / "farm.gpkg", made)):
        grazed, *others = (season.visits[f"{n}/{paddock}"][1] for paddock in range(3))
        seen.append(grazed.possible_grazing)
        assert not any(visit.possible_grazing for visit in others if visit.cover.mean > visit.before.cover.mean)
        if grazed.possible_grazing:
            assert len(season.newest.growing) == 2
            growing.append(season.newest.growth.rate)
    assert np.mean(seen) > 0.5
    assert np.mean(growing) == pytest.approx(600 / 21, abs=6)


def test_an_interval_without_the_models_error_would_be_too_narrow(tmp_path):
    """The simulation is able to fail: sampling alone does not reach the stated level."""
    rng = np.random.default_rng(7)
    truth = rng.uniform(1200, 2600, (40, PADDOCKS, 1))
    models = [a_trained_model(rng, number) for number in range(len(truth))]
    made = [
        (a_season(rng, n, truth[n], rng.normal(size=(PADDOCKS, 1)), photos=10), models[n]) for n in range(len(truth))
    ]
    inside = [
        [
            abs(visit.cover.mean - truth[n, int(name.split("/")[1]), 0]) <= visit.cover.sampling
            for name, (visit,) in season.visits.items()
        ]
        for n, season in enumerate(seasons(tmp_path / "farm.gpkg", made))
    ]
    assert covered(inside) < least(inside)
