"""Checkpoints that would run code. Each would create a canary file, which must not exist afterwards."""

import builtins
import importlib
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from herbage.backbones.opening import open_backbone
from herbage.errors import CheckpointRefused
from herbage.model.notebook import STAND_INS, import_heads, read_head
from herbage.recipe import load_recipe

WRITER = """
import sys, torch
from pathlib import Path
from torch import nn

class BiomassMLP(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, 128), nn.LeakyReLU(), nn.Linear(128, 1))

    def forward(self, x):
        return torch.relu(self.net(x)).mean(1)

folder, width, form = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
torch.manual_seed(0)
for t in range(5):
    (folder / f"target{t}").mkdir(parents=True)
    for f in range(5):
        head = BiomassMLP(width)
        torch.save(head if form == "module" else head.state_dict(), folder / f"target{t}" / f"fold{f}.pt")
        torch.save(head.state_dict(), folder / f"target{t}" / f"plain{f}.pt")
"""


def write_checkpoints(folder, width=24, form="module"):
    """25 heads as the notebook saves them: from a process in which BiomassMLP is `__main__`'s."""
    subprocess.run([sys.executable, "-c", WRITER, str(folder), str(width), form], check=True)
    return folder


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    return write_checkpoints(tmp_path_factory.mktemp("checkpoints"))


@pytest.mark.parametrize("form", ["module", "state"])
def test_modules_and_state_dicts_become_the_same_heads(tmp_path, tiny_dinov2, form):
    write_checkpoints(tmp_path, form=form)
    model = import_heads(tmp_path, open_backbone(tiny_dinov2))
    assert not model.config.colours_converted
    assert "BiomassMLP" not in vars(sys.modules["__main__"])
    tokens = torch.randn(6, 16, 24)
    for t in range(5):
        for f in range(5):
            state = torch.load(tmp_path / f"target{t}/plain{f}.pt", weights_only=True)
            hidden = nn.functional.leaky_relu(tokens @ state["net.0.weight"].T + state["net.0.bias"])
            plain = torch.relu(hidden @ state["net.2.weight"].T + state["net.2.bias"]).mean((1, 2))
            torch.testing.assert_close(
                model.heads.fold_grams(tokens)[t, f], plain.double().mean(), rtol=1e-5, atol=1e-6
            )
    assert model.recipe == load_recipe("seed").model_copy(update={"backbone": str(tiny_dinov2)})


def test_a_file_saved_from_a_gpu_is_read(checkpoints, tmp_path):
    """Its storages are tagged cuda:0; the tag is inserted here, since no GPU is needed."""
    source, tagged = checkpoints / "target0/fold0.pt", tmp_path / "gpu.pt"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(tagged, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("data.pkl"):
                assert b"X\x03\x00\x00\x00cpu" in content
                content = content.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
            new.writestr(name, content)
    for one, two in zip(read_head(source), read_head(tagged), strict=True):
        assert torch.equal(one, two)


class Reduces:
    """Pickles as a call of the given function."""

    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


def hostile(canary):
    touch = f"open({str(canary)!r}, 'w').close()"
    path = str(canary)
    return {
        "os.system": Reduces(os.system, f"echo > {path}"),
        "eval": Reduces(eval, f"open({path!r}, 'w')"),
        "exec": Reduces(exec, touch),
        "open": Reduces(builtins.open, path, "w"),
        "subprocess": Reduces(subprocess.check_call, ["touch", path]),
        "import": Reduces(importlib.import_module, "this"),
        "Path.touch": Reduces(Path.touch, Path(path)),
        "in a module": {"net": nn.Linear(2, 2), "hook": Reduces(os.mkdir, path)},
        "in a list": [torch.zeros(2), Reduces(os.system, f"echo > {path}")],
        "getattr": Reduces(getattr, Path(path), "touch"),
    }


@pytest.mark.parametrize("form", ["zip", "legacy", "bare pickle", "protocol 0"])
@pytest.mark.parametrize("name", list(hostile("x")))
def test_a_checkpoint_that_would_run_code_is_refused_by_name_and_does_not_run_it(tmp_path, name, form):
    canary, path = tmp_path / "canary", tmp_path / "fold0.pt"
    payload = hostile(canary)[name]
    if form == "bare pickle":
        path.write_bytes(pickle.dumps(payload))
    elif form == "protocol 0":
        path.write_bytes(pickle.dumps(payload, protocol=0))
    else:
        torch.save(payload, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(CheckpointRefused) as caught:
        read_head(path)
    assert not canary.exists()
    assert "this" not in sys.modules
    named = {
        "os.system": "system",
        "subprocess": "check_call",
        "Path.touch": "pathlib",
        "in a list": "system",
        "import": "import_module",
    }
    if form != "protocol 0":
        assert named.get(name, name.removeprefix("in a module")) in str(caught.value)


def test_the_hostile_pickle_does_run_in_an_ordinary_unpickler(tmp_path):
    """So the test above can fail."""
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(hostile(canary)["os.system"]))
    assert canary.exists()


def test_stand_ins_have_no_methods():
    for stand_in in STAND_INS.values():
        assert not [name for name in vars(stand_in) if callable(vars(stand_in)[name])]


@pytest.mark.parametrize(("content", "message"), [
    ({"a": torch.zeros(2)}, "linear layers"),
    ({"0.weight": torch.zeros(8, 4), "0.bias": torch.zeros(8), "1.weight": torch.zeros(2, 8), "1.bias": torch.zeros(2)}, "shapes"),
    ({"0.weight": torch.full((8, 4), torch.nan), "0.bias": torch.zeros(8), "1.weight": torch.zeros(1, 8), "1.bias": torch.zeros(1)}, "finite"),
    ([1, 2], "contains a list"),
])  # fmt: skip
def test_a_checkpoint_without_a_head_is_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "fold0.pt")
    with pytest.raises(CheckpointRefused, match=message):
        read_head(tmp_path / "fold0.pt")


def test_a_missing_or_foreign_file_is_named(checkpoints, tmp_path, tiny_dinov2):
    with pytest.raises(CheckpointRefused, match=r"target0/fold0\.pt cannot be read"):
        import_heads(tmp_path, open_backbone(tiny_dinov2))
    (tmp_path / "fold0.pt").write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointRefused, match="not a checkpoint"):
        read_head(tmp_path / "fold0.pt")
    with pytest.raises(CheckpointRefused, match="take vectors of 24 dimensions, but texture gives"):
        import_heads(checkpoints, open_backbone("texture"))


@pytest.mark.parametrize("layers", [
    [nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, 1)], [nn.Linear(24, 8), nn.Linear(8, 1), nn.ReLU()],
    [nn.Linear(24, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1)], [nn.LeakyReLU(), nn.Linear(24, 8), nn.Linear(8, 1)], [],
])  # fmt: skip
def test_another_network_is_refused(tmp_path, layers):
    torch.save(nn.Sequential(*layers), tmp_path / "fold0.pt")
    with pytest.raises(CheckpointRefused, match=r"expected (Linear, LeakyReLU, Linear|0\.01)"):
        read_head(tmp_path / "fold0.pt")


def test_a_module_that_contains_itself_is_refused_in_finite_time(tmp_path):
    network = nn.Sequential(nn.Linear(24, 8))
    network._modules["again"] = network
    torch.save(network, tmp_path / "fold0.pt")
    with pytest.raises(CheckpointRefused, match="nests more than|expected Linear"):
        read_head(tmp_path / "fold0.pt")
    bare = nn.Sequential()
    bare._modules["again"] = bare
    torch.save(bare, tmp_path / "fold1.pt")
    with pytest.raises(CheckpointRefused, match="nests more than 32 modules"):
        read_head(tmp_path / "fold1.pt")


def test_a_last_relu_is_allowed(tmp_path):
    network = nn.Sequential(nn.Linear(24, 8), nn.LeakyReLU(), nn.Linear(8, 1), nn.ReLU())
    torch.save(network, tmp_path / "fold0.pt")
    assert torch.equal(read_head(tmp_path / "fold0.pt")[0], network[0].weight.T)


def test_broken_checkpoints_raise_checkpoint_refused_and_nothing_else(checkpoints, tmp_path):
    import numpy as np

    complete = (checkpoints / "target0/fold0.pt").read_bytes()
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(checkpoints / "target0/fold0.pt") as archive:
        names = archive.namelist()
        pickled = next(name for name in names if name.endswith("data.pkl"))
        parts = {name: archive.read(name) for name in names}
    for number in range(200):
        if number % 2:
            damaged = bytearray(complete)
            damaged[rng.integers(len(complete))] ^= 1 << rng.integers(8)
            (tmp_path / "x.pt").write_bytes(damaged)
        else:
            content = bytearray(parts[pickled])
            content[rng.integers(len(content))] = rng.integers(256)
            with zipfile.ZipFile(tmp_path / "x.pt", "w") as new:
                for name in names:
                    new.writestr(name, bytes(content) if name == pickled else parts[name])
        try:
            read_head(tmp_path / "x.pt")
        except CheckpointRefused:
            continue
