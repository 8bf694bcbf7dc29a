"""Shapes are checked in every test: jaxtyping's hook goes in before herbage is first imported."""

import hypothesis
from jaxtyping import install_import_hook

import tests.typecheck  # noqa: F401  # the hook looks it up by name

install_import_hook("herbage", "tests.typecheck.check")

import os  # noqa: E402
import shutil  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402

import matplotlib  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

matplotlib.use("agg")
os.environ["HF_HUB_OFFLINE"] = "1"
CACHE = tempfile.TemporaryDirectory(prefix="herbage-cache-")
os.environ["XDG_CACHE_HOME"] = CACHE.name

from herbage.targets import SUMS, TARGETS  # noqa: E402

HERBAGE = [sys.executable, "-c", "from herbage.app.cli import main; main()"]
"""The command line as a process of its own."""

# A test never fails for the time it took.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def tiny_dinov2(tmp_path_factory):
    """A folder with a random DINOv2 of the giant's kind (SwiGLU), 2 layers, width 24."""
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=70, patch_size=14, use_swiglu_ffn=True,
        layerscale_value=0.7,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("dinov2")
    Dinov2Model(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_dinov3(tmp_path_factory):
    """A folder with a random DINOv3 ViT: patches of 16 pixels, 4 registers, width 24."""
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    torch.manual_seed(0)
    config = DINOv3ViTConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, num_register_tokens=4
    )
    folder = tmp_path_factory.mktemp("dinov3")
    DINOv3ViTModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_depth_anything(tmp_path_factory):
    """A folder with a random Depth Anything model, whose encoder is a DINOv2 of width 24."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    torch.manual_seed(0)
    encoder = Dinov2Config(
        hidden_size=24, num_hidden_layers=4, num_attention_heads=2, image_size=70, patch_size=14,
        out_indices=[1, 2, 3, 4], reshape_hidden_states=False, layerscale_value=0.7,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=encoder, neck_hidden_sizes=[8] * 4, reassemble_hidden_size=24, fusion_hidden_size=8,
        head_hidden_size=4,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("depth_anything")
    DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    return folder


def draw_photo(rng: np.random.Generator, green: float, size=(120, 60)) -> Image.Image:
    """A soil-brown picture with a share of green pixels in blocks."""
    pixels = np.tile(np.array([110, 85, 60], np.uint8), (size[1], size[0], 1))
    blocks = rng.uniform(size=(size[1] // 6, size[0] // 6)) < green
    pixels[np.kron(blocks, np.ones((6, 6), bool))] = (70, 150, 50)
    noise = rng.integers(-12, 12, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def weighed_photos(tmp_path_factory):
    """A folder of 24 small photos in 6 groups whose green weight follows their green pixels, with both tables."""
    folder = tmp_path_factory.mktemp("weighed")
    (folder / "train").mkdir()
    rng = np.random.default_rng(3)
    rows = []
    for number in range(24):
        green = rng.uniform(0.05, 0.9)
        draw_photo(rng, green).save(folder / "train" / f"ID{number}.png")
        components = np.array([5 * rng.uniform(), 8 * (1 - green), 40 * green])
        group = number // 4
        place = {"Sampling_Date": f"2015/{group + 1}/1", "State": ["Tas", "Vic"][group % 2]}
        rows.append(
            {"image_path": f"train/ID{number}.png", **place, **dict(zip(TARGETS, SUMS @ components, strict=True))}
        )
    wide = pd.DataFrame(rows)
    wide.to_csv(folder / "wide.csv", index=False)
    long = wide.melt(["image_path", "Sampling_Date", "State"], list(TARGETS), "target_name", "target")
    long.insert(0, "sample_id", long["image_path"].str[6:-4] + "__" + long["target_name"])
    long = long.sample(frac=1, random_state=0)
    long.to_csv(folder / "train.csv", index=False)
    long[["sample_id", "image_path", "target_name"]].to_csv(folder / "test.csv", index=False)
    return folder


@pytest.fixture(scope="session")
def quick_model(weighed_photos, tmp_path_factory):
    """A trained model of recipe field, small and with one view, on `texture`."""
    from herbage import steps
    from herbage.recipe import load_recipe

    recipe = load_recipe("field").model_copy(update={"grid": 6, "views": 1})
    place = tmp_path_factory.mktemp("quick") / "model"
    return steps.train(
        weighed_photos / "train.csv", photos=weighed_photos, model=place, recipe=recipe, backbone="texture"
    )


def photos_that_differ(weighed_photos: Path, place: Path, copies: int) -> Path:
    """So many copies of the weighed photos below `place`, no two of which have the same bytes."""
    for copy in range(copies):
        shutil.copytree(weighed_photos / "train", place / str(copy))
    for number, path in enumerate(sorted(place.rglob("*.png"))):
        with path.open("ab") as file:
            file.write(number.to_bytes(4, "big"))
    return place


@pytest.fixture(scope="session")
def real_folder() -> Path:
    """The folder of real photos and weights, where there is one."""
    if not os.environ.get("HERBAGE_REAL"):
        pytest.skip("HERBAGE_REAL is not set: it names a folder with train.csv, train/*.jpg and vits14/")
    return Path(os.environ["HERBAGE_REAL"])
