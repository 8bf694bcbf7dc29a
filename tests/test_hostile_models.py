"""Model folders, checkpoints and archives that are malicious or damaged."""

import json
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from herbage import steps
from herbage.errors import CheckpointRefused, ModelInvalid, WeightsMissing
from herbage.model.model import HerbageModel
from herbage.model.notebook import read_head
from tests.conftest import needs_links, tensors_of


@pytest.mark.parametrize(
    ("damage", "message"),
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
def test_a_model_with_damaged_tensors_is_refused(model_folder, damage, message):
    file = model_folder / "model.safetensors"
    save_file(damage(tensors_of(file)), file)
    with pytest.raises(ModelInvalid, match=message):
        HerbageModel.from_pretrained(model_folder)


def test_a_header_with_a_wrong_size_is_refused(model_folder):
    file = model_folder / "model.safetensors"
    for length in (2**63, 2**40, 0, 7):
        file.write_bytes(
            length.to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[99999999],"data_offsets":[0,4]}}'
        )
        with pytest.raises(ModelInvalid, match="damaged"):
            HerbageModel.from_pretrained(model_folder)


class Canary:
    """Creates a file when it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return Path.touch, (self.place,)


def test_a_pickled_backbone_of_a_model_is_not_loaded(model_folder, tiny_dinov2, tmp_path):
    untrusted, elsewhere, created = tmp_path / "untrusted", tmp_path / "elsewhere", tmp_path / "created"
    shutil.copytree(model_folder, untrusted)
    elsewhere.mkdir()
    shutil.copy(tiny_dinov2 / "config.json", elsewhere)
    (elsewhere / "pytorch_model.bin").write_bytes(pickle.dumps(Canary(created)))
    config = json.loads((untrusted / "config.json").read_text("utf-8"))
    config["backbone"]["name"] = str(untrusted / "../elsewhere")
    (untrusted / "config.json").write_text(json.dumps(config))
    model = HerbageModel.from_pretrained(untrusted)
    with pytest.raises(WeightsMissing, match="Could not load the weights of"):
        model.open_backbone()
    assert not created.exists()
    pickle.loads((elsewhere / "pytorch_model.bin").read_bytes())
    assert created.exists(), "loading the pickle would have created it"


@needs_links
@pytest.mark.parametrize("name", ["model.safetensors", "report.html", "oof.csv", "config.json"])
def test_a_link_that_leads_out_of_a_models_folder_is_not_opened(model_folder, tmp_path, name):
    untrusted, secret = tmp_path / "untrusted", tmp_path / "secret"
    shutil.copytree(model_folder, untrusted)
    (untrusted / name).rename(secret)
    (untrusted / name).symlink_to(secret)
    with pytest.raises(ModelInvalid, match="leads out of the model's folder"):
        HerbageModel.from_pretrained(untrusted)
    snapshot = tmp_path / "models--x/snapshots/abc"
    shutil.copytree(model_folder, snapshot)
    (tmp_path / "models--x/blobs").mkdir()
    (snapshot / name).rename(tmp_path / "models--x/blobs/123")
    (snapshot / name).symlink_to("../../blobs/123")
    HerbageModel.from_pretrained(snapshot)


def test_archives_with_parent_paths_write_nothing(tmp_path):
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
