"""Parity with the public notebook, reimplemented plainly in benchmarks: one view and one head at a time."""

import numpy as np
import pandas as pd
import pytest
import torch
from benchmarks.speed.notebook import tokens
from PIL import Image

from herbage.app.cli import run
from herbage.targets import TARGETS
from tests.model.test_notebook import write_checkpoints


def notebook(folder, backbone_folder, photos):
    """Grams by photo and target: one head's output per view, fold and target, and its mean over folds and views."""
    from transformers import Dinov2Model

    backbone = Dinov2Model.from_pretrained(backbone_folder).eval()
    estimates = {}
    for path in photos:
        outputs = np.zeros((5, 5, 6))
        for v, patches in enumerate(tokens(backbone, path, torch.float64)):
            for t in range(5):
                for f in range(5):
                    state = torch.load(folder / f"target{t}/plain{f}.pt", weights_only=True)
                    hidden = patches @ state["net.0.weight"].T + state["net.0.bias"]
                    hidden = torch.where(hidden > 0, hidden, 0.01 * hidden)
                    out = hidden @ state["net.2.weight"].T + state["net.2.bias"]
                    outputs[t, f, v] = torch.clamp(out, min=0).mean().item()
        estimates[path.name] = outputs.mean((1, 2))
    return estimates


@pytest.fixture(scope="module")
def notebook_estimates(tmp_path_factory, tiny_dinov2):
    """Four photos, the notebook's estimates of them, and a folder to work in."""
    folder = tmp_path_factory.mktemp("parity")
    write_checkpoints(folder / "checkpoints")
    (folder / "test").mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for n in range(4):
        pixels = rng.integers(0, 255, (5, 9, 3), np.uint8)
        photo = Image.fromarray(pixels).resize((500, 260), Image.Resampling.BICUBIC)
        photo.save(folder / "test" / f"ID{n}.png")
        rows += [(f"ID{n}__{target}", f"test/ID{n}.png", target) for target in reversed(TARGETS)]
    pd.DataFrame(rows, columns=["sample_id", "image_path", "target_name"]).to_csv(folder / "test.csv", index=False)
    estimates = notebook(folder / "checkpoints", tiny_dinov2, sorted((folder / "test").iterdir()))
    expected = [estimates[path.split("/")[1]][TARGETS.index(target)] for _, path, target in rows]
    return folder, rows, np.array(expected)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 5e-5), ("auto", 1e-2)])
def test_import_heads_and_submit_equal_the_notebook(notebook_estimates, tiny_dinov2, tmp_path, precision, tolerance):
    folder, rows, expected = notebook_estimates
    engine = ["--backbone", str(tiny_dinov2), "--precision", precision, "--quiet"]
    assert run(["import-heads", str(folder / "checkpoints"), "--model", str(tmp_path / "model"), *engine]) == 0
    out = tmp_path / "submission.csv"
    command = ["submit", str(tmp_path / "model"), str(folder / "test.csv"), "--photos", str(folder / "test")]
    assert run([*command, "--out", str(out), *engine]) == 0
    submission = pd.read_csv(out)
    assert list(submission.columns) == ["sample_id", "target"]
    assert submission["sample_id"].tolist() == [row[0] for row in rows]
    assert (expected > 0).sum() > 10
    np.testing.assert_allclose(submission["target"], expected, rtol=tolerance, atol=tolerance * expected.mean())


def test_imported_heads_leave_interval_and_domain_empty_and_ask_for_a_table(
    notebook_estimates, tiny_dinov2, tmp_path, capfd
):
    folder, _, _ = notebook_estimates
    engine = ["--backbone", str(tiny_dinov2), "--quiet"]
    run(["import-heads", str(folder / "checkpoints"), "--model", str(tmp_path / "model"), *engine])
    assert (
        run(["predict", str(tmp_path / "model"), str(folder / "test"), "--out", str(tmp_path / "r"), "--maps", *engine])
        == 0
    )
    frame = pd.read_csv(tmp_path / "r/predictions.csv")
    assert frame[["Dry_Total_g_low", "GDM_g_high", "in_domain"]].isna().all(axis=None)
    assert len(list((tmp_path / "r/maps").glob("*.png"))) == 4
    assert run(["score", str(tmp_path / "model")]) == 2
    assert "Train a model, or score this one on a weighed --table with its --photos" in capfd.readouterr().err
