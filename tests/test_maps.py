"""The measures of maps, on maps with faults made on purpose, and the table made from them."""

import json

import numpy as np
import pytest
import torch
from benchmarks.maps import RECIPE, agreement, measure, middle, place_share, step_at_join
from benchmarks.pages import fill
from PIL import Image

from herbage.backbones.views import grid_shape
from herbage.heads.ridge import RidgeHeads
from herbage.photos.photo import PhotoFile, open_photo

RNG = np.random.default_rng(0)
SWARD = RNG.gamma(2, size=(200, 6, 12))


def test_the_place_explains_what_all_maps_have_in_common():
    place = RNG.normal(size=(6, 12))
    assert place_share(SWARD) == pytest.approx(1 / 200, rel=0.5)
    assert place_share(SWARD * 0.001 + place) > 0.99
    half = place / place.std() * SWARD.std()
    assert place_share(SWARD + half) == pytest.approx(0.5, abs=0.05)
    assert place_share(SWARD + 100 * RNG.normal(size=(200, 1, 1))) == pytest.approx(place_share(SWARD))


def test_only_a_step_at_the_join_counts_as_one():
    assert step_at_join(SWARD) == pytest.approx(1, abs=0.1)
    checked = np.indices((6, 12)).sum(0)[None] % 2 + np.zeros((3, 1, 1))  # every step is 1
    assert step_at_join(checked) == 1
    assert step_at_join(checked + 5 * (np.arange(12) >= 6)) == pytest.approx(5)  # 4 and 6 by turns
    assert step_at_join(checked + 5 * (np.arange(12) >= 5)) < 1


def test_agreement_is_the_correlation_within_a_photo():
    other = SWARD + RNG.normal(size=SWARD.shape)
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(SWARD, other, strict=True)]
    assert agreement(SWARD, other) == pytest.approx(np.mean(expected))
    assert agreement(SWARD, 3 * SWARD + 5) == pytest.approx(1)
    level = np.arange(200.0)[:, None, None]
    assert abs(agreement(level + RNG.normal(size=SWARD.shape), level + SWARD)) < 0.02
    assert agreement(np.ones_like(SWARD), SWARD) == 0


def faulty_photos(count):
    """Heads, and tokens of photos and windows whose raw maps show the sward, the place and a level of each half."""
    rows, columns = grid_shape(RECIPE)
    side, left = RECIPE.grid, RECIPE.grid // 2
    place = 2 * np.cos(np.linspace(-2, 2, side)) * np.ones((rows, 1))
    photos, windows = [], []
    for _ in range(count):
        sward = RNG.normal(size=(rows, columns)) + np.sin(np.arange(columns) / 9 + RNG.uniform(0, 6)) + 20
        levels = np.repeat(RNG.normal(size=2), side)
        photos.append(sward + np.tile(place, 2) + levels)
        windows.append(sward[:, left : left + side] + place)
    common = np.tile(place - place.mean(), 2).ravel()
    tensors = {
        "coefficient": torch.ones(5, 1, 1),
        "intercept": torch.zeros(5, 1),
        "common": torch.from_numpy(common).float().expand(5, 1, -1),
    }
    photos, windows = ([torch.from_numpy(one).float().reshape(1, -1, 1) for one in of] for of in (photos, windows))
    return RidgeHeads(tensors, RECIPE), photos, windows


def test_the_corrections_remove_the_place_and_the_step_and_nothing_else():
    photos = faulty_photos(12)
    before, after = (measure(*photos, is_after) for is_after in (False, True))
    assert before["place_share"] > 0.3
    assert after["place_share"] < 0.15
    assert before["step_of_column_means"] > 3 * after["step_of_column_means"]
    assert after["windows"] > 0.9999  # not exactly 1: the level of a half is removed before grams are squared
    assert after["across_join"] > max(before["across_join"], 0.97)
    assert set(before) == set(after)


def test_the_window_in_the_middle_has_the_patches_of_the_photo(tmp_path):
    pixels = RNG.integers(0, 255, (100, 740, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    window = open_photo(middle(PhotoFile("a.png", tmp_path / "a.png"))).pixels()
    assert np.array_equal(window, pixels[:, 180:550])  # 740 pixels are 74 columns; the window starts at the 18th


def test_the_table_of_the_page(tmp_path):
    values = {name: 0.25 + number for number, name in enumerate(measure(*faulty_photos(2), True))}
    lines = [{"views": views, "maps": when, **values, "folds": [values] * 3} for views in (1, 4) for when in ("a", "b")]
    machine = {"model": "M", "processor": "2 cores", "memory": "1 GB", "torch": "2"}
    result = {"date": "2026-01-01", "command": "c", "machine": machine, "photos": 112, "groups": 30, "lines": lines}
    (tmp_path / "maps.json").write_text(json.dumps(result))
    page = tmp_path / "explanation/patches.md"
    page.parent.mkdir()
    page.write_text("above\n<!-- begin maps -->\n\n<!-- end maps -->\nbelow\n")
    assert fill("explanation/patches", tmp_path, tmp_path) == []
    text = page.read_text("utf-8")
    assert "| measure | 1 view, a | 1 view, b | 4 views, a | 4 views, b |" in text
    assert "| 25 % | 25 % |" in text
    assert text.count("\n|") == 2 + len(values)
    assert text.startswith("above\n")
    assert text.endswith("\nbelow\n")
