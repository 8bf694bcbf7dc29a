"""The complete estimator in ONNX, compared with herbage in fp32."""

import json

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

import onnxruntime

from herbage import steps
from herbage.recipe import load_recipe

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
    record = json.loads((tmp_path / "out/onnx.json").read_text())
    session = onnxruntime.InferenceSession(tmp_path / "out/estimator.onnx")
    assert [one.name for one in session.get_inputs()] == list(record["input"])
    assert [one.name for one in session.get_outputs()] == list(record["output"])
