"""A backbone exported to OpenVINO, by itself and through the commands."""

import json
import shutil

import pandas as pd
import pytest
import torch

pytest.importorskip("openvino")

from herbage.app.cli import run
from herbage.backbones.dinov2 import Dinov2Backbone
from herbage.backbones.opening import open_backbone
from herbage.backbones.openvino import export_backbone
from herbage.errors import BackboneInvalid, DeviceMissing
from herbage.photos.discovery import find_photos
from herbage.recipe import load_recipe
from herbage.tokens.extraction import stream_tokens
from herbage.tokens.store import TokensIdentity

RECIPE = 'crops = "halves"\ngrid = 4\nviews = 2\nheads = "ridge"\nbackbone = "texture"\nbalance = true\n'


@pytest.fixture(scope="module", params=["tiny_dinov2", "tiny_dinov3"])
def exported(request, tmp_path_factory):
    """A source in fp32, and its fp32 export."""
    source = Dinov2Backbone(str(request.getfixturevalue(request.param)), device="cpu", precision="fp32")
    place = tmp_path_factory.mktemp("export")
    export_backbone(source, place, "fp32")
    return source, open_backbone(place), place


def test_an_fp32_export_gives_the_vectors_of_its_source_at_any_size(exported):
    source, export, _ = exported
    for patches in (4, 7):
        images = torch.randn(3, 3, patches * source.patch_px, patches * source.patch_px)
        for theirs, ours in zip(source(images), export(images), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_an_export_has_its_own_digest_and_that_of_its_source(exported):
    source, export, _ = exported
    recipe = load_recipe("seed")
    assert export.source_digest == source.digest != export.digest
    assert TokensIdentity.of(export, recipe).digest != TokensIdentity.of(source, recipe).digest
    assert (export.width, export.patch_px, export.engine.precision) == (source.width, source.patch_px, "fp32")


def test_threads_share_an_export_and_change_nothing(exported, weighed_photos):
    _, export, _ = exported
    recipe = load_recipe("seed").model_copy(update={"grid": 4})
    files = find_photos(weighed_photos / "train")[:6]
    together = [item.tokens for item in stream_tokens(files, export, recipe)]
    alone = [next(iter(stream_tokens([file], export, recipe))).tokens for file in files]
    for ours, theirs in zip(together, alone, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_options_that_do_not_fit_an_export_and_damaged_exports_are_refused(exported, tmp_path):
    *_, place = exported
    with pytest.raises(BackboneInvalid, match="was exported in fp32"):
        open_backbone(place, precision="bf16")
    with pytest.raises(DeviceMissing, match="runs on the CPU"):
        open_backbone(place, device="cuda")
    for name, content, message in (
        ("openvino.json", "{", "is damaged"),
        ("openvino.json", json.dumps({"format": 99}), "is damaged"),
        ("backbone.bin", None, "is not a complete export"),
    ):
        broken = shutil.copytree(place, tmp_path / "broken", dirs_exist_ok=True)
        if content is None:
            (broken / name).unlink()
        else:
            (broken / name).write_text(content, "utf-8")
        with pytest.raises(BackboneInvalid, match=message):
            open_backbone(broken)
        shutil.rmtree(broken)


@pytest.fixture(scope="module")
def story(tiny_dinov2, weighed_photos, tmp_path_factory):
    """A model trained on the tiny network, and its int8 export, by the commands."""
    pytest.importorskip("nncf")
    place = tmp_path_factory.mktemp("story")
    (place / "small.toml").write_text(RECIPE, "utf-8")
    train = ["train", weighed_photos / "train.csv", "--photos", weighed_photos, "--model", place / "model"]
    assert (
        run([*map(str, train), "--recipe", str(place / "small.toml"), "--backbone", str(tiny_dinov2), "--quiet"]) == 0
    )
    return place


def export(story, photos, *more):
    command = ["export", story / "model", "--out", story / "int8", "--precision", "int8", "--photos", photos, *more]
    return run([*map(str, command), "--quiet"])


def test_an_int8_export_works_with_the_model_and_is_replaced_only_on_request(story, weighed_photos, monkeypatch, capfd):
    monkeypatch.setattr("herbage.results.export.CALIBRATION_IMAGES", 8)
    assert export(story, weighed_photos / "train") == 0
    printed = capfd.readouterr().out
    parity = json.loads((story / "int8/parity.json").read_text("utf-8"))
    assert f"tokens of {parity['photos']} photos: cosine {parity['cosine_median']:.5f} median" in printed
    assert parity["photos"] == parity["trained_photos"] == 24
    assert parity["cosine_median"] > 0.99
    oof = pd.read_csv(story / "model/oof.csv")
    assert len(oof) == 24
    config = json.loads((story / "model/config.json").read_text("utf-8"))
    assert parity["score_source"] == pytest.approx(config["score"]["weighted_r2"], abs=1e-4)

    predict = ["predict", story / "model", weighed_photos / "train", "--out", story / "r", "--backbone", story / "int8"]
    assert run([*map(str, predict)]) == 0
    assert (
        "is an export of the model's backbone: estimates differ by the amount in its parity report"
        in capfd.readouterr().err
    )
    assert len(pd.read_csv(story / "r/predictions.csv")) == 24

    assert export(story, weighed_photos / "train") == 2
    assert "already exists; pass --overwrite to replace it" in capfd.readouterr().err
    assert export(story, weighed_photos / "train", "--overwrite") == 0


def test_int8_without_photos_and_an_output_that_is_not_an_export_are_refused(story, tmp_path, capfd):
    assert run(["export", str(story / "model"), "--out", str(tmp_path / "a"), "--precision", "int8"]) == 2
    assert "--precision int8 needs --photos" in capfd.readouterr().err
    assert not (tmp_path / "a").exists()
    assert run(["export", str(story / "model"), "--out", str(story / "model"), "--overwrite"]) == 2
    assert "exists and is not an export, so it is not replaced" in capfd.readouterr().err


def test_training_photos_are_recognised_by_content_not_by_name(story, weighed_photos, tmp_path):
    names = sorted(path.name for path in (weighed_photos / "train").iterdir())
    (tmp_path / "photos").mkdir()
    for name in names[:3]:
        shutil.copy(weighed_photos / "train" / name, tmp_path / "photos" / f"other-{name}")
    (tmp_path / "photos" / names[0]).write_bytes((weighed_photos / "train" / names[5]).read_bytes() + b"0")
    command = ["export", story / "model", "--out", tmp_path / "fp32", "--precision", "fp32"]
    assert run([*map(str, command), "--photos", str(tmp_path / "photos"), "--quiet"]) == 0
    parity = json.loads((tmp_path / "fp32/parity.json").read_text("utf-8"))
    assert (parity["photos"], parity["trained_photos"]) == (4, 3)
