import json
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import ExifTags, Image
from safetensors.torch import save_file

import herbage
from herbage import steps
from herbage.errors import BackboneInvalid, ModelInvalid, PhotoUnreadable
from herbage.heads.finalise import photo_map
from herbage.model.config import CoverageRecord
from herbage.model.estimate import COLUMNS
from herbage.model.intervals import LEVELS, Intervals, coverage
from herbage.model.model import HerbageModel
from herbage.photos.icc import DISPLAY_P3, profile_of
from herbage.targets import SUMS, TARGETS, balance
from tests.conftest import SMALL_RECIPE, files_of, overwrite, tensors_of


@pytest.mark.parametrize("name", ["ridge", "patch"])
def test_two_runs_give_the_same_bytes(models, weighed_photos, recipes, tmp_path, name):
    steps.train(
        weighed_photos / "train.csv", photos=weighed_photos, model=tmp_path / "m", recipe=recipes / f"{name}.toml"
    )
    one, two = files_of(models / name), files_of(tmp_path / "m")
    assert set(one) == {"model.safetensors", "config.json", "README.md", "oof.csv", "report.html", "run.json"}
    del one["run.json"], two["run.json"]
    assert one == two


@pytest.mark.parametrize("name", ["ridge", "patch", "balanced"])
def test_a_saved_and_opened_model_gives_the_same_estimates(models, weighed_photos, tmp_path, name):
    model = HerbageModel.from_pretrained(models / name)
    model.save_pretrained(tmp_path / "copy")
    saved = files_of(models / name)
    assert files_of(tmp_path / "copy") == {k: v for k, v in saved.items() if k != "run.json"}
    again = HerbageModel.from_pretrained(str(tmp_path / "copy"))
    pd.testing.assert_frame_equal(model.predict(weighed_photos / "train"), again.predict(weighed_photos / "train"))


def test_a_model_does_not_change_with_its_file_once_it_is_opened(model_folder):
    """Tensors that map their file into memory would, and Windows would not let such a model be replaced."""
    model = HerbageModel.from_pretrained(model_folder)
    before = model.digest
    overwrite(model_folder / "model.safetensors")
    model.save_pretrained(model_folder)
    assert HerbageModel.from_pretrained(model_folder).digest == before


@pytest.mark.parametrize("name", ["ridge", "patch", "balanced"])
def test_the_map_averages_to_the_estimate_and_is_balanced_where_the_recipe_says_so(models, weighed_photos, name):
    model = HerbageModel.from_pretrained(models / name)
    for photo in ("ID0.png", "ID7.png", "ID20.png"):
        estimate = model.estimate(weighed_photos / "train" / photo)
        assert estimate.map.shape == (5, 6, 12 if name == "ridge" else 6)
        np.testing.assert_allclose(estimate.map.mean((1, 2)), estimate.grams, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(estimate.map_g_per_m2 * 0.21, estimate.map)
        assert (estimate.map >= 0).all()
        if model.recipe.balance:
            np.testing.assert_allclose(estimate.grams, SUMS @ estimate.grams[:3], atol=1e-9)
            np.testing.assert_allclose(estimate.map, np.einsum("tc,crk->trk", SUMS, estimate.map[:3]), atol=1e-9)


def test_a_component_whose_patches_are_all_below_0_is_spread_evenly(models):
    model = HerbageModel.from_pretrained(models / "ridge")
    model.heads.coefficient[0] *= 0
    model.heads.intercept[0] = -1.0
    grams = np.array([2.0, 1.0, 1.0, 4.0, 3.0])
    tokens = torch.randn(2, 72, model.config.backbone.width)
    np.testing.assert_allclose(photo_map(model.heads, tokens, grams, model.recipe)[0], 2.0)


def test_a_balanced_model_carries_balanced_grams_everywhere(models, weighed_photos, tmp_path):
    model = HerbageModel.from_pretrained(models / "balanced")
    frame = model.predict(weighed_photos / "train")
    for table in (frame[list(TARGETS)], model.evidence.oof.frame()[[f"{t}_estimated" for t in TARGETS]]):
        grams = table.to_numpy(float)
        np.testing.assert_allclose(grams, grams[:, :3] @ SUMS.T, atol=3e-6)
    steps.submit(model, weighed_photos / "test.csv", photos=weighed_photos, out=tmp_path / "s.csv")
    wide = pd.read_csv(tmp_path / "s.csv")["sample_id"].str.split("__", expand=True)
    wide["grams"] = pd.read_csv(tmp_path / "s.csv")["target"]
    grams = wide.pivot(index=0, columns=1, values="grams")[list(TARGETS)].to_numpy()
    np.testing.assert_allclose(grams, grams[:, :3] @ SUMS.T, atol=1e-9)


def test_the_table_has_the_promised_columns_and_intervals_hold_the_estimate(models, weighed_photos):
    model = HerbageModel.from_pretrained(models / "ridge")
    frame = model.predict(weighed_photos / "train", level=0.8)
    assert list(frame.columns) == list(COLUMNS)
    assert frame["photo"].tolist() == sorted(f"ID{n}.png" for n in range(24))
    for target in TARGETS:
        assert (frame[f"{target}_low"] <= frame[target]).all()
        assert (frame[target] <= frame[f"{target}_high"]).all()
    assert model.predict(weighed_photos / "train", level=0.95)["GDM_g_high"].isna().all()
    np.testing.assert_allclose(frame["Dry_Total_kg_per_ha"], frame["Dry_Total_g"] / 0.21 * 10, rtol=1e-6)


def test_another_quadrat_changes_grams_but_not_kg_per_hectare(models, weighed_photos):
    model = HerbageModel.from_pretrained(models / "ridge")
    one = model.predict(weighed_photos / "train", level=0.8)
    two = model.predict(weighed_photos / "train", level=0.8, quadrat_area_m2=0.42)
    np.testing.assert_allclose(two["Dry_Total_g_high"], 2 * one["Dry_Total_g_high"], rtol=1e-6)
    np.testing.assert_allclose(two["GDM_kg_per_ha"], one["GDM_kg_per_ha"], rtol=1e-6)


def test_a_broken_photo_is_raised_by_estimate_and_a_row_of_predict(models, tmp_path):
    model = HerbageModel.from_pretrained(models / "ridge")
    (tmp_path / "a.jpg").write_bytes(b"broken")
    with pytest.raises(PhotoUnreadable, match=r"a\.jpg"):
        model.estimate(tmp_path / "a.jpg")
    row = model.predict(tmp_path).iloc[0]
    assert (row["status"], pd.isna(row["Dry_Total_g"])) == ("unreadable", True)
    assert "not a readable image" in row["message"]


def test_other_weights_are_refused(models, tiny_dinov2):
    with pytest.raises(BackboneInvalid, match="trained on texture"):
        HerbageModel.from_pretrained(models / "ridge").open_backbone(tiny_dinov2)


def broken_model(models, tmp_path, change):
    shutil.copytree(models / "ridge", tmp_path / "m")
    tensors = tensors_of(tmp_path / "m/model.safetensors")
    config = json.loads((tmp_path / "m/config.json").read_text("utf-8"))
    change(tmp_path / "m", tensors, config)
    return tmp_path / "m"


def rewrite(folder, tensors, config):
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(("change", "message"), [
    (lambda f, t, c: rewrite(f, t, {**c, "format": 5, "herbage": "9.9"}), "format 5, written by herbage 9.9.*Upgrade"),
    (lambda f, t, c: rewrite(f, t, {**c, "format": 2}), "format 2.*Train the model again"),
    (lambda f, t, c: rewrite(f, {k: v for k, v in t.items() if k != "heads.intercept"}, c), "need the tensors coefficient, common, intercept"),
    (lambda f, t, c: rewrite(f, {k: v for k, v in t.items() if k != "domain.centre"}, c), "lacks the tensor 'domain.centre'"),
    (lambda f, t, c: rewrite(f, {**t, "heads.intercept": t["heads.intercept"] * torch.nan}, c), "not finite"),
    (lambda f, t, c: rewrite(f, t, {**c, "surprise": 1}), "damaged: surprise"),
    (lambda f, t, c: (f / "model.safetensors").unlink(), "no model.safetensors"),
    (lambda f, t, c: (f / "model.safetensors").write_bytes(b"1234567890"), "is damaged"),
    (lambda f, t, c: (f / "config.json").unlink(), "no config.json"),
    (lambda f, t, c: (f / "config.json").write_text("{"), "not readable JSON"),
    (lambda f, t, c: (f / "config.json").write_text("{}"), "no `format`"),
])  # fmt: skip
def test_a_folder_that_is_not_a_complete_model_is_refused_with_the_reason(models, tmp_path, change, message):
    with pytest.raises(ModelInvalid, match=message):
        HerbageModel.from_pretrained(broken_model(models, tmp_path, change))


def test_a_name_that_is_neither_a_folder_nor_on_the_hub_is_refused_with_the_reason():
    with pytest.raises(ModelInvalid, match="neither a model folder on this machine nor"):
        HerbageModel.from_pretrained("nobody/nothing-of-the-kind")
    with pytest.raises(ModelInvalid, match="neither a model folder on this machine nor"):
        HerbageModel.from_pretrained("./not/a/folder/at/all")


def test_the_contracts_python_lines_work(weighed_photos, recipes):
    model = herbage.train(
        weighed_photos / "train.csv", photos=weighed_photos, recipe=recipes / "ridge.toml", backbone="texture"
    )
    frame = model.predict(weighed_photos / "train")
    estimate = model.estimate(weighed_photos / "train/ID3.png")
    row = frame.set_index("photo").loc["ID3.png"]
    np.testing.assert_allclose(estimate.grams, row[list(TARGETS)].to_numpy(float), atol=1e-6)


def test_oof_csv_has_the_promised_columns(models):
    oof = pd.read_csv(models / "ridge/oof.csv")
    assert list(oof.columns) == ["image_path", "group", "fold", "State", *TARGETS, *(f"{t}_estimated" for t in TARGETS)]
    assert oof.groupby("group")["fold"].nunique().eq(1).all()


def test_the_files_pushed_to_the_hub_are_those_of_the_model_folder(models, monkeypatch):
    """Against a stand-in for the hub: exactly the files of the model folder, and nothing executable."""
    from huggingface_hub import HfApi

    sent = {}
    monkeypatch.setattr(HfApi, "create_repo", lambda self, repo_id, **_: type("Repo", (), {"repo_id": repo_id})())
    monkeypatch.setattr(HfApi, "upload_folder", lambda self, folder_path, **_: sent.update(files_of(Path(folder_path))))
    HerbageModel.from_pretrained(models / "patch").push_to_hub("someone/pasture")
    assert sent == {name: content for name, content in files_of(models / "patch").items() if name != "run.json"}


@pytest.mark.parametrize("heads", ["ridge", "patch"])
def test_heads_on_class_vectors_have_no_map(weighed_photos, tmp_path, heads):
    recipe = SMALL_RECIPE.format(crops="halves", heads=heads, balance="true").replace("grid=6", 'grid=6\nkeep="class"')
    (tmp_path / "class.toml").write_text(recipe, "utf-8")
    model = steps.train(weighed_photos / "wide.csv", photos=weighed_photos, recipe=tmp_path / "class.toml")
    assert model.evidence.alone.score.weighted_r2 > 0.5
    assert model.estimate(weighed_photos / "train/ID0.png").map is None
    steps.predict(model, weighed_photos / "train", out=tmp_path / "r", maps=True)
    assert not (tmp_path / "r/maps").exists()


@pytest.mark.parametrize("groups", range(2, 14))
def test_levels_whose_coverage_was_not_measured_are_named(models, groups):
    rng, group = np.random.default_rng(groups), np.arange(groups)
    weighed, estimated = rng.uniform(1, 9, (2, groups, 5))
    measured = [level for level in LEVELS if coverage(weighed, estimated, group, level)]
    given = [level for level in LEVELS if np.isfinite(Intervals.fit(weighed, estimated, group).quantile(level)).all()]
    evidence = HerbageModel.from_pretrained(models / "ridge").evidence
    none = (None,) * 5
    records = tuple(CoverageRecord(level=level, share=none, width_g=none) for level in measured)
    text = replace(
        evidence,
        training=evidence.training.model_copy(update={"groups": groups}),
        alone=replace(evidence.alone, coverage=records),
    ).unmeasured_coverage
    missing = [f"{level:.0%}" for level in given if level not in measured]
    assert text.startswith(f"The coverage of {' and '.join(missing)} intervals cannot be measured") == bool(missing)
    assert text.startswith("There are too few training groups to measure") == (not measured and not missing)


@pytest.mark.parametrize(("name", "change"), [
    ("heads.coefficient", lambda t: t[..., :-1].contiguous()), ("heads.coefficient", lambda t: t.double()),
    ("heads.intercept", lambda t: t[:4].contiguous()), ("domain.centre", lambda t: t[:3].contiguous()),
    ("domain.axes", lambda t: t[:0].contiguous()), ("intervals.ratio", lambda t: t[:, :3].contiguous()),
    ("intervals.unit_g", lambda t: t * torch.nan), ("intervals.group", lambda t: t.double()),
])  # fmt: skip
def test_a_tensor_of_another_shape_or_type_or_with_nan_is_named(models, tmp_path, name, change):
    folder = broken_model(models, tmp_path, lambda f, t, c: rewrite(f, {**t, name: change(t[name])}, c))
    with pytest.raises(ModelInvalid, match=name):
        HerbageModel.from_pretrained(folder)


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "\x00\x01"])
def test_a_damaged_oof_table_is_named(models, tmp_path, content):
    shutil.copytree(models / "ridge", tmp_path / "m")
    (tmp_path / "m/oof.csv").write_text(content, "utf-8")
    with pytest.raises(ModelInvalid, match=r"oof\.csv is damaged"):
        HerbageModel.from_pretrained(tmp_path / "m")


def of_version_0_1_0(folder, place, **recipe):
    """The model as version 0.1.0 wrote it."""
    shutil.copytree(folder, place)
    config = json.loads((place / "config.json").read_text("utf-8"))
    assert config.pop("colours_converted") is True
    for name in ("measured", "measured_columns"):
        assert not config.pop(name)
    del (
        config["recipe"]["predict_views"],
        config["recipe"]["ridge"]["link"],
        config["recipe"]["ridge"]["corrected_maps"],
    )
    config["recipe"]["ridge"]["heterogeneity_weight"] = 1.0
    config["recipe"] |= {"heterogeneity": False, **recipe}
    tensors = tensors_of(place / "model.safetensors")
    if "heads.common" in tensors:
        del tensors["heads.common"]
        tensors |= {f"heads.{n}": tensors[f"heads.{n}"][:, :-1].contiguous() for n in ("coefficient", "intercept")}
    rewrite(place, tensors, {**config, "format": 3})
    return place


def test_a_ridge_model_of_version_0_1_0_has_its_old_meaning(models, weighed_photos, tmp_path):
    """The mean of linear heads over folds and views; grams per patch below 0 count as 0, and nothing is removed."""
    old = HerbageModel.from_pretrained(of_version_0_1_0(models / "ridge", tmp_path / "old"))
    assert old.recipe.ridge.link == "linear"
    tensors = tensors_of(tmp_path / "old/model.safetensors")
    coefficient, intercept = tensors["heads.coefficient"].double(), tensors["heads.intercept"].double()
    _, tokens = steps.photo_tokens(weighed_photos / "train/ID3.png", recipe=old.recipe)
    vectors = torch.from_numpy(tokens[0]).double()
    patches = torch.einsum("vpw,tfw->tfvp", vectors, coefficient) + intercept[:, :, None, None]
    estimate = old.estimate(weighed_photos / "train/ID3.png")
    assert vectors.shape[0] == 2
    plain = balance(patches.mean((1, 2, 3)).numpy())
    np.testing.assert_allclose(estimate.grams, plain, rtol=1e-4)
    density = patches.mean((1, 2)).clamp(min=0)[0].reshape(6, 12).numpy()
    np.testing.assert_allclose(estimate.map[0], density * plain[0] / density.mean(), rtol=1e-3, atol=1e-4)
    old.save_pretrained(tmp_path / "again")
    again = HerbageModel.from_pretrained(tmp_path / "again")
    assert again.config.format == 4
    np.testing.assert_allclose(again.estimate(weighed_photos / "train/ID3.png").grams, estimate.grams, rtol=1e-12)


def test_a_model_trained_with_heterogeneity_is_refused(models, tmp_path):
    place = of_version_0_1_0(models / "ridge", tmp_path / "old", heterogeneity=True)
    with pytest.raises(ModelInvalid, match="trained with heterogeneity by herbage .*Train the model again"):
        HerbageModel.from_pretrained(place)


def photos_with_profile(weighed_photos, place):
    """Two of the photos: one with a profile of Display P3, and one as it is."""
    place.mkdir()
    for name, options in (("ID0.png", {"icc_profile": profile_of(DISPLAY_P3)}), ("ID1.png", {})):
        Image.open(weighed_photos / "train" / name).save(place / name, **options)
    return place


def test_a_model_trained_without_conversion_says_where_colours_are_converted(models, weighed_photos, tmp_path):
    photos = photos_with_profile(weighed_photos, tmp_path / "photos")
    new = HerbageModel.from_pretrained(models / "patch")
    old = HerbageModel.from_pretrained(of_version_0_1_0(models / "patch", tmp_path / "old"))
    assert (new.config.colours_converted, old.config.colours_converted) == (True, False)
    said = "colours converted from Display P3; the model was trained without conversion"
    assert [said in (message or "") for message in old.predict(photos)["message"]] == [True, False]
    assert not new.predict(photos)["message"].str.contains("converted", na=False).any()
    old.save_pretrained(tmp_path / "again")
    assert not HerbageModel.from_pretrained(tmp_path / "again").config.colours_converted
    figures = [name for name in COLUMNS if name.endswith("_g")]
    pd.testing.assert_frame_equal(old.predict(photos)[figures], new.predict(photos)[figures])


def test_a_training_photo_is_known_although_its_colours_are_now_converted(models, weighed_photos, tmp_path):
    """Version 0.1.0 gave it the digest of its bytes. ID1.png is one of the model's training photos, byte for byte."""
    photos = photos_with_profile(weighed_photos, tmp_path / "photos")
    model = HerbageModel.from_pretrained(of_version_0_1_0(models / "patch", tmp_path / "old"))
    photo = (photos / "ID0.png").read_bytes()
    assert list(model.predict(photos)["training_photo"]) == [False, True]
    model.evidence.photos[3] = torch.tensor(list(sha256(photo).digest()), dtype=torch.uint8)
    assert list(model.predict(photos)["training_photo"]) == [True, True]


def test_remarks_on_a_photo_are_in_its_row_whether_or_not_its_tokens_are_stored(models, weighed_photos, tmp_path):
    model = HerbageModel.from_pretrained(models / "patch")
    exif = Image.Exif()
    exif[ExifTags.Base.DateTime] = "2026:02:01 21:00:00"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)})
    (tmp_path / "photos").mkdir()
    Image.open(weighed_photos / "train/ID0.png").save(tmp_path / "photos/a.jpg", exif=exif, icc_profile=b"no profile")
    rows = [model.predict(tmp_path / "photos", store=tmp_path / "store").iloc[0] for _ in range(2)]
    assert (
        rows[0]["message"]
        == rows[1]["message"]
        == (
            "it has no capture time: 2026:02:01 21:00:00 is only the date of the last change of the file; its position was "
            "not used: it is 0, 0, as written without a fix; its colour profile is damaged and was not used"
        )
    )
    assert rows[0]["status"] == "ok"
    assert rows[0][["taken_at", "latitude", "longitude"]].isna().all()
