"""The whole estimator in ONNX, beside herbage in fp32."""

import json

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

import onnxruntime
from PIL import Image

from herbage import steps
from herbage.app.cli import run
from herbage.errors import InputInvalid
from herbage.recipe import load_recipe

FIELD = load_recipe("field").model_copy(update={"grid": 4})
PATCH = {"grid": 3, "patch": load_recipe("seed").patch.model_copy(update={"hidden": 8, "epochs": 2})}
SEED = load_recipe("seed").model_copy(update=PATCH)
SMALL = {"inner_width": 24, "widths": (8, 8, 16), "networks": 1, "epochs": 1}
CROSSPVT = load_recipe("crosspvt")
TILES = CROSSPVT.model_copy(update={"grid": 4, "crosspvt": CROSSPVT.crosspvt.model_copy(update=SMALL)})


@pytest.fixture
def other_shapes(tmp_path):
    """Photos of other sizes, upright and lying."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for width, height in ((200, 100), (333, 171), (90, 400)):
        pixels = rng.integers(0, 256, (height // 5 + 1, width // 5 + 1, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((width, height)).save(folder / f"{width}.png")
    return folder


@pytest.mark.parametrize(
    ("recipe", "backbone"),
    [(FIELD, "texture"), (FIELD, "tiny_dinov2"), (SEED, "tiny_dinov2"), (SEED, "tiny_dinov3")],
    ids=["field texture", "field dinov2", "seed dinov2", "seed dinov3"],
)
def test_onnx_says_what_herbage_says(recipe, backbone, weighed_photos, other_shapes, tmp_path, request):
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


def test_onnx_by_the_command_line(weighed_photos, other_shapes, tmp_path, capsys):
    steps.train(
        weighed_photos / "train.csv", photos=weighed_photos, model=tmp_path / "model", recipe=FIELD, backbone="texture"
    )
    command = ["export", tmp_path / "model", "--out", tmp_path / "out", "--format", "onnx", "--photos", other_shapes]
    assert run([*map(str, command), "--quiet"]) == 0
    assert "3 photos: largest difference of grams" in capsys.readouterr().out
    assert run([*map(str, command), "--precision", "int8", "--quiet"]) == 2
    assert run([*map(str, command), "--overwrite", "--precision", "int8", "--quiet"]) == 2
    assert "onnx is fp32, not int8" in capsys.readouterr().err
    assert run([*map(str, command), "--overwrite", "--quiet"]) == 0


def test_tiles_are_refused_by_name(weighed_photos, tmp_path):
    model = steps.train(weighed_photos / "train.csv", photos=weighed_photos, recipe=TILES, backbone="texture")
    with pytest.raises(InputInvalid, match="cannot follow the tiles of recipe crosspvt"):
        steps.export(model, out=tmp_path / "out", as_format="onnx")
