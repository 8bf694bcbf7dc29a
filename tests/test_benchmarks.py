"""Benchmarks measure what herbage delivers and notice broken promises, and the pages have the figures of docs/data."""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks.nested import Photos, Trained, Variant, nested_estimates, outer_folds
from benchmarks.pages import PAGES, fill
from benchmarks.reliability.kills import FARM, JOURNAL, JOURNAL_MAGIC, Job, farm_contents

from herbage import steps
from herbage.backbones.opening import open_backbone
from herbage.farm.farm import Farm
from herbage.heads.finalise import finalise_grams
from herbage.recipe import load_recipe
from herbage.tables.weighed import WeighedTable, read_weighed_table
from herbage.tokens.extraction import stream_tokens
from tests.conftest import PATIENCE_S
from tests.farm.walks import DAY, a_model, a_walk

ROOT = Path(__file__).parent.parent
HEIGHT = ("Height_Ave_cm",)
RECIPE = load_recipe("field").model_copy(update={"grid": 4, "crops": "whole", "views": 2})


@pytest.fixture(scope="module")
def measured_table(weighed_photos):
    table = pd.read_csv(weighed_photos / "wide.csv")
    rng = np.random.default_rng(1)
    heights = np.exp(table["Dry_Total_g"] / 12 + rng.normal(0, 0.2, len(table)))
    days = [f"2015/{1 + row // 2}/1" for row in range(len(table))]  # nested folds need more groups than the fixture has
    return table.assign(Sampling_Date=days, Height_Ave_cm=heights)


@pytest.fixture(scope="module")
def photos(weighed_photos, measured_table):
    table = read_weighed_table(measured_table, weighed_photos)
    items = list(stream_tokens(table.files, open_backbone("texture"), RECIPE))
    return Photos(table, [item.tokens for item in items], [item.sha256 for item in items])


@pytest.mark.parametrize("recipe", [RECIPE, RECIPE.model_copy(update={"predict_views": None, "balance": False})])
def test_a_benchmark_trains_and_estimates_as_herbage_does(recipe, photos, weighed_photos, measured_table):
    rows, held_out = list(range(20)), [20, 21, 22, 23]
    model = steps.train(
        measured_table.iloc[rows], photos=weighed_photos, recipe=recipe, backbone="texture", measured=HEIGHT
    )
    alone, measured = (Trained.on(photos.take(rows), Variant("", recipe, columns)) for columns in ((), HEIGHT))
    np.testing.assert_allclose(alone.oof_g, model.evidence.oof.estimated_g, atol=1e-5)
    np.testing.assert_allclose(measured.oof_g, model.evidence.oof.measured_g, atol=1e-5)
    new, heights = photos.take(held_out), measured_table["Height_Ave_cm"].iloc[held_out]
    paths = [file.path for file in new.table.files]
    delivered = [model.estimate(path).grams for path in paths]
    np.testing.assert_allclose(alone.estimates(new), delivered, rtol=1e-4)
    delivered = [
        model.estimate(path, measured={"Height_Ave_cm": of}).grams for path, of in zip(paths, heights, strict=True)
    ]
    np.testing.assert_allclose(measured.estimates(new), delivered, rtol=1e-4)


@pytest.mark.parametrize("columns", [(), HEIGHT])
def test_held_out_weights_do_not_change_their_estimates(photos, columns):
    variant = Variant("", RECIPE, columns)
    before = nested_estimates(photos, variant, assignment=0)
    assert not np.isnan(before).any()
    _, held_out = next(outer_folds(photos, 0))
    grams = photos.table.grams.copy()
    grams[held_out] *= 10
    table = WeighedTable(photos.table.files, grams, photos.table.frame)
    after = nested_estimates(Photos(table, photos.tokens, photos.digests), variant, assignment=0)
    np.testing.assert_array_equal(after[held_out], before[held_out])
    assert not np.allclose(after, before)


def test_outer_folds_split_no_group(photos):
    groups = photos.table.frame[["State", "Sampling_Date"]].astype(str).agg(" ".join, axis=1)
    tested = []
    for rows, held_out in outer_folds(photos, 1):
        assert not set(groups.iloc[rows]) & set(groups.iloc[held_out])
        tested += held_out
    assert sorted(tested) == list(range(24))


def test_a_linear_head_scores_the_same_out_of_fold_and_nested(photos):
    variant = Variant("", RECIPE)
    single = Trained.on(photos, variant, fold_seed=2).oof_g
    np.testing.assert_allclose(nested_estimates(photos, variant, assignment=2), single, rtol=1e-4)


def test_the_mean_of_fold_heads_differs_from_the_head_fitted_to_all(photos):
    trained = Trained.on(photos, Variant("", RECIPE, mean_of_folds=True))
    raw = trained.heads.fold_grams(photos.tokens[0][:1]).mean(1)
    estimate = trained.estimates(photos.take([0]))[0]
    np.testing.assert_allclose(estimate, finalise_grams(raw.numpy(), RECIPE))
    assert not np.allclose(estimate, Trained.on(photos, Variant("", RECIPE)).estimates(photos.take([0]))[0])


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_the_figures_of_the_data_and_no_others(name, tmp_path):
    docs = shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "README.md", tmp_path)
    page = (tmp_path if name == "README" else docs) / f"{name}.md"
    committed = page.read_text("utf-8")
    fill(name, docs, docs / "data")
    assert page.read_text("utf-8") == committed, f"run python -m benchmarks pages {name}"
    assert committed.count("<!-- begin") == len(PAGES[name])


def test_the_benchmark_of_a_farm_measures_a_small_one(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "farm", "--quick", "--work", tmp_path, "--out", tmp_path / "data"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=PATIENCE_S, stdout=subprocess.DEVNULL)
    result = json.loads((tmp_path / "data/farm.json").read_text("utf-8"))
    assert {name: result["farm"][name] for name in ("paddocks", "walks", "photos")} == {
        "paddocks": 20, "walks": 6, "photos": 600,
    }  # fmt: skip
    assert [line["peak_gb"] < line["bar_gb"] for line in result["lines"]] == [True, True]
    added, drawn = (Farm(tmp_path / "farm" / name).visits() for name in ("added.gpkg", "farm.gpkg"))
    assert (added["photos"].sum(), drawn["photos"].sum()) == (660, 600)
    docs = shutil.copytree(ROOT / "docs", tmp_path / "docs")
    assert fill("scale", docs, tmp_path / "data") == ["scale.json", "many.json", "parts.json"]
    page = (docs / "scale.md").read_text("utf-8")
    assert "20 paddocks, 6 walks, 600 photos" in page
    assert "docs/data has no result of `python -m benchmarks parts`" in page
    assert "H100, 16 cores" not in page, "figures without their data"


@pytest.mark.parametrize(
    ("fault", "parts"),
    [
        ("DELETE FROM photos WHERE fid = 3", {"photos"}),
        ("UPDATE photos SET Dry_Total_g = Dry_Total_g + 1 WHERE fid = 3", {"photos"}),
        ("UPDATE photos SET paddock_id = (SELECT max(id) FROM paddocks WHERE name = 'North')", {"photos"}),
        ("DELETE FROM visits WHERE fid = (SELECT max(fid) FROM visits)", {"visits"}),
        ("UPDATE paddocks SET name = 'East' WHERE name = 'South'", {"paddocks", "photos"}),
    ],
)
def test_what_a_killed_run_broke_in_a_farm_is_noticed(fault, parts, tmp_path):
    for name in ("a", "b"):
        farm = Farm(tmp_path / f"{name}.gpkg")
        for weeks in (0, 1):
            walk = a_walk(DAY + timedelta(weeks=weeks), {"North": 2000.0, "South": 1500.0}, seed=weeks)
            farm.add_estimates(walk, a_model())
    first, second = (farm_contents(tmp_path / f"{name}.gpkg") for name in ("a", "b"))
    assert first == second, "farms of the same photos differ, although ids and times are left out"
    with closing(sqlite3.connect(tmp_path / "b.gpkg")) as connection:
        connection.execute(fault)
        connection.commit()
    second = farm_contents(tmp_path / "b.gpkg")
    assert {name for name in first if first[name] != second[name]} == {f"{FARM}: {part}" for part in parts}


def test_the_stage_of_a_run_that_adds_to_a_farm(tmp_path):
    job, stages = Job([], photos=2), []
    (tmp_path / "results").mkdir()
    for name, content in (
        ("results/predictions.csv", b"photo\n1\n"),
        ("results/predictions.csv", b"photo\n1\n2\n"),
        (JOURNAL, bytes(512)),
        (JOURNAL, JOURNAL_MAGIC + bytes(504)),
    ):
        (tmp_path / name).write_bytes(content)
        stages.append(job.stage(tmp_path))
    assert stages == ["start", "rows", "journal", "file"]
