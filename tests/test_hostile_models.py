"""Model folders, checkpoints and archives that were made or harmed to do something else than estimate."""

import json
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from herbage import steps
from herbage.errors import CheckpointRefused, ModelInvalid, WeightsMissing
from herbage.model.model import HerbageModel
from herbage.model.notebook import read_head


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        pytest.param(lambda tensors: dict(list(tensors.items())[1:]), ".", id="a tensor is missing"),
        pytest.param(
            lambda tensors: {k: torch.full_like(v, torch.nan) if v.is_floating_point() and "heads" in k else v for k, v in tensors.items()},
            "not finite", id="NaN",
        ),
        pytest.param(
            lambda tensors: {k: v[..., :1].contiguous() if v.ndim > 1 else v for k, v in tensors.items()}, ".", id="another shape"
        ),
    ],
)  # fmt: skip
def test_a_model_with_harmed_tensors_is_refused(model_folder, harm, said):
    file = model_folder / "model.safetensors"
    save_file(harm(load_file(file)), file)
    with pytest.raises(ModelInvalid, match=said):
        HerbageModel.from_pretrained(model_folder)


def test_a_header_that_lies_about_its_size_is_refused(model_folder):
    file = model_folder / "model.safetensors"
    for length in (2**63, 2**40, 0, 7):
        file.write_bytes(
            length.to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[99999999],"data_offsets":[0,4]}}'
        )
        with pytest.raises(ModelInvalid, match="damaged"):
            HerbageModel.from_pretrained(model_folder)


class Canary:
    """What a pickle may do when it is loaded."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return Path.touch, (self.place,)


def test_a_model_that_names_a_backbone_elsewhere_runs_nothing_of_it(model_folder, tiny_dinov2, tmp_path):
    stranger, elsewhere, sung = tmp_path / "stranger", tmp_path / "elsewhere", tmp_path / "sung"
    shutil.copytree(model_folder, stranger)
    elsewhere.mkdir()
    shutil.copy(tiny_dinov2 / "config.json", elsewhere)
    (elsewhere / "pytorch_model.bin").write_bytes(pickle.dumps(Canary(sung)))
    config = json.loads((stranger / "config.json").read_text())
    config["backbone"]["name"] = str(stranger / "../elsewhere")
    (stranger / "config.json").write_text(json.dumps(config))
    model = HerbageModel.from_pretrained(stranger)
    with pytest.raises(WeightsMissing, match="cannot be had"):
        model.open_backbone()
    assert not sung.exists()
    pickle.loads((elsewhere / "pytorch_model.bin").read_bytes())
    assert sung.exists(), "it would have sung"


@pytest.mark.parametrize("name", ["model.safetensors", "report.html", "oof.csv", "config.json"])
def test_a_models_file_that_is_a_link_out_of_its_folder_is_not_opened(model_folder, tmp_path, name):
    stranger, secret = tmp_path / "stranger", tmp_path / "secret"
    shutil.copytree(model_folder, stranger)
    (stranger / name).rename(secret)
    (stranger / name).symlink_to(secret)
    with pytest.raises(ModelInvalid, match="leads out of the model's folder"):
        HerbageModel.from_pretrained(stranger)
    snapshot = tmp_path / "models--x/snapshots/abc"
    shutil.copytree(model_folder, snapshot)
    (tmp_path / "models--x/blobs").mkdir()
    (snapshot / name).rename(tmp_path / "models--x/blobs/123")
    (snapshot / name).symlink_to("../../blobs/123")
    HerbageModel.from_pretrained(snapshot)


def test_archives_with_names_that_climb_out_write_nothing(tmp_path):
    place = tmp_path / "a/b/c"
    place.mkdir(parents=True)
    for name in ("fold0.pt", "table.xlsx"):
        with zipfile.ZipFile(place / name, "w") as archive:
            for inside in ("../../../out.txt", "/tmp/herbage-out.txt", "archive/data.pkl"):
                archive.writestr(inside, b"out")
    with pytest.raises(CheckpointRefused):
        read_head(place / "fold0.pt")
    with pytest.raises(Exception, match="xlsx"):
        steps.train(place / "table.xlsx", photos=place, backbone="texture")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [place / "fold0.pt", place / "table.xlsx"]
    assert not Path("/tmp/herbage-out.txt").exists()
