"""The complete estimator in ONNX, compared with herbage in fp32."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

import onnx
import onnxruntime
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from herbage import steps
from herbage.photos.photo import PhotoFile, open_photo
from herbage.recipe import load_recipe
from herbage.results.onnx_int8 import eight_bits

FIELD = load_recipe("field").model_copy(update={"grid": 4})
PATCH = {"grid": 3, "patch": load_recipe("seed").patch.model_copy(update={"hidden": 8, "epochs": 2})}
SEED = load_recipe("seed").model_copy(update=PATCH)


@pytest.mark.parametrize(
    ("recipe", "backbone"),
    [(FIELD, "texture"), (FIELD, "tiny_dinov2"), (SEED, "tiny_dinov2"), (SEED, "tiny_dinov3")],
    ids=["field texture", "field dinov2", "seed dinov2", "seed dinov3"],
)
def test_onnx_agrees_with_herbage(recipe, backbone, weighed_photos, other_shapes, tmp_path, request):
    folder = backbone if backbone == "texture" else request.getfixturevalue(backbone)
    table, place = weighed_photos / "train.csv", tmp_path / "model"
    steps.train(table, photos=weighed_photos, model=place, recipe=recipe, backbone=folder)
    parity = steps.export(place, out=tmp_path / "out", as_format="onnx", photos=other_shapes)
    assert parity.photos == 3
    assert parity.grams_apart < 1e-4
    assert (parity.map_apart is None) == (not recipe.has_map)
    assert parity.map_apart is None or parity.map_apart < 1e-3
    assert parity.interval_apart < 1e-4
    assert parity.distance_apart < 1e-3
    record = json.loads((tmp_path / "out/onnx.json").read_text("utf-8"))
    session = onnxruntime.InferenceSession(tmp_path / "out/estimator.onnx")
    assert [one.name for one in session.get_inputs()] == list(record["input"])
    assert [one.name for one in session.get_outputs()] == list(record["output"])


def test_measured_values_are_a_second_input_and_nan_means_none(weighed_photos, other_shapes, tmp_path):
    table = pd.read_csv(weighed_photos / "wide.csv")
    table["Height_Ave_cm"] = np.exp(table["Dry_Total_g"] / 12)
    table["sensor"] = np.arange(len(table)) % 7.0
    model = steps.train(
        table, photos=weighed_photos, recipe=FIELD, backbone="texture", measured=["Height_Ave_cm", "sensor"]
    )
    parity = steps.export(model, out=tmp_path / "out", as_format="onnx", photos=other_shapes)
    assert (parity.photos, parity.grams_apart < 1e-4, parity.map_apart < 1e-3) == (3, True, True)
    record = json.loads((tmp_path / "out/onnx.json").read_text("utf-8"))
    assert "Height_Ave_cm, sensor" in record["input"]["measured"]
    session = onnxruntime.InferenceSession(tmp_path / "out/estimator.onnx")
    photo = weighed_photos / "train/ID5.png"
    pixels = open_photo(PhotoFile("ID5.png", photo)).pixels()
    for height, sensor, used in ((9.0, 3.0, True), (9.0, np.nan, False), (0.0, 3.0, False), (np.nan, np.nan, False)):
        made = session.run(["grams", "high"], {"photo": pixels, "measured": np.array([height, sensor], np.float32)})
        own = model.estimate(photo, measured={"Height_Ave_cm": height, "sensor": sensor})
        assert own.measured == used
        np.testing.assert_allclose(made[0], own.grams, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(made[1], own.high, rtol=1e-3, atol=1e-3)


def test_interval_and_domain_are_those_of_predict(weighed_photos, tmp_path):
    table = pd.read_csv(weighed_photos / "wide.csv")
    table["Sampling_Date"] = [f"2015-01-{1 + number // 2}" for number in range(len(table))]  # enough groups for 90 %
    model = steps.train(table, photos=weighed_photos, recipe=FIELD, backbone="texture")
    steps.export(model, out=tmp_path / "out", as_format="onnx")
    record = json.loads((tmp_path / "out/onnx.json").read_text("utf-8"))
    session = onnxruntime.InferenceSession(tmp_path / "out/estimator.onnx")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (200, 400, 3)).astype(np.uint8)).save(tmp_path / "noise.png")
    for photo, is_inside in ((weighed_photos / "train/ID5.png", True), (tmp_path / "noise.png", False)):
        pixels = open_photo(PhotoFile(photo.name, photo)).pixels()
        grams, low, high, distance = session.run(["grams", "low", "high", "distance"], {"photo": pixels})
        own = model.estimate(photo)
        assert own.level == record["level"]
        assert np.isfinite(own.high).all()
        for ours, theirs in ((grams, own.grams), (low, own.low), (high, own.high)):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)
        assert (distance <= record["distance_limit"]) == own.in_domain == is_inside


def test_int8_shrinks_the_backbone_alone_and_says_what_it_moves(tiny_dinov2, weighed_photos, tmp_path):
    model = steps.train(
        weighed_photos / "train.csv",
        photos=weighed_photos,
        model=tmp_path / "model",
        recipe=FIELD,
        backbone=tiny_dinov2,
    )
    common = {"as_format": "onnx", "photos": weighed_photos / "train"}
    exact = steps.export(model, out=tmp_path / "fp32", **common)
    found = steps.export(model, out=tmp_path / "int8", precision="int8", **common)
    assert exact.main_apart_median < found.main_apart_median < 0.05
    assert (found.photos, found.trained_photos) == (24, 24)
    assert exact.score_export == pytest.approx(exact.score_source, abs=1e-6)
    assert found.score_export == pytest.approx(found.score_source, abs=0.05)
    assert json.loads((tmp_path / "int8/onnx.json").read_text("utf-8"))["precision"] == "int8"
    assert not list((tmp_path / "int8").glob("*.data"))
    weights = {name: onnx.load(tmp_path / name / "estimator.onnx").graph.initializer for name in ("fp32", "int8")}
    kinds = {name: [one.data_type for one in of] for name, of in weights.items()}
    matrices = 2 * (4 + 3)  # two layers of query, key, value and output; gate and value of the MLP, and its output
    assert kinds["fp32"].count(onnx.TensorProto.INT8) == 0
    assert sum(len(one.dims) == 2 and one.data_type == onnx.TensorProto.INT8 for one in weights["int8"]) == matrices


def test_an_exported_file_does_not_tell_where_it_was_made(weighed_photos, quick_model, tmp_path):
    steps.export(quick_model, out=tmp_path / "out", as_format="onnx")
    source = Path(steps.__file__).parent.parent
    for path in (tmp_path / "out").iterdir():
        if path.name != "run.json":
            assert str(source).encode() not in path.read_bytes()


@given(arrays(np.float32, (5, 3), elements=st.floats(-1e3, 1e3, width=32)))
def test_eight_bits_are_as_near_as_they_can_be(weight):
    integers, scale = eight_bits(weight)
    assert integers.dtype == np.int8
    assert (np.abs(integers * scale - weight) <= 0.5001 * scale + 1e-12).all()
    assert ((np.abs(integers).max(0) == 127) | (np.abs(weight).max(0) < 1e-36)).all()
