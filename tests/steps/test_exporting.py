"""`herbage export` and `steps.export` with --format onnx; tests/backbones/test_openvino.py has the other format."""

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from herbage import steps
from herbage.app.cli import run
from herbage.errors import InputInvalid
from herbage.recipe import load_recipe

FIELD = load_recipe("field").model_copy(update={"grid": 4})
SMALL = {"inner_width": 24, "widths": (8, 8, 16), "networks": 1, "epochs": 1}
CROSSPVT = load_recipe("crosspvt")
TILES = CROSSPVT.model_copy(update={"grid": 4, "crosspvt": CROSSPVT.crosspvt.model_copy(update=SMALL)})


def test_onnx_from_the_command_line(weighed_photos, other_shapes, tmp_path, capsys):
    steps.train(
        weighed_photos / "train.csv", photos=weighed_photos, model=tmp_path / "model", recipe=FIELD, backbone="texture"
    )
    command = ["export", tmp_path / "model", "--out", tmp_path / "out", "--format", "onnx", "--photos", other_shapes]
    assert run([*map(str, command), "--quiet"]) == 0
    assert "3 photos: largest difference of grams" in capsys.readouterr().out
    assert run([*map(str, command), "--precision", "int8", "--quiet"]) == 2
    assert run([*map(str, command), "--overwrite", "--precision", "bf16", "--quiet"]) == 2
    assert "onnx has fp32 and int8, not bf16" in capsys.readouterr().err
    assert run([*map(str, command), "--overwrite", "--precision", "int8", "--quiet"]) == 2
    assert "the backbone texture has no weights; pass --precision fp32" in capsys.readouterr().err
    assert run([*map(str, command), "--overwrite", "--quiet"]) == 0


def test_onnx_refuses_recipes_with_tiles(weighed_photos, tmp_path):
    model = steps.train(weighed_photos / "train.csv", photos=weighed_photos, recipe=TILES, backbone="texture")
    with pytest.raises(InputInvalid, match="`as_format=onnx` does not support the tiles of recipe crosspvt"):
        steps.export(model, out=tmp_path / "out", as_format="onnx")
