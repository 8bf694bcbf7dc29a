"""Shapes are checked in every test: jaxtyping's hook goes in before herbage is first imported."""

import hypothesis
from jaxtyping import install_import_hook

import tests.typecheck  # noqa: F401  # the hook looks it up by name

install_import_hook("herbage", "tests.typecheck.check")

import atexit  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import shutil  # noqa: E402
import signal  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from contextlib import suppress  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402

import matplotlib  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from filelock import FileLock  # noqa: E402
from PIL import ExifTags, Image  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

matplotlib.use("agg")
os.environ["HF_HUB_OFFLINE"] = "1"
CACHE = tempfile.mkdtemp(prefix="herbage-cache-")
atexit.register(shutil.rmtree, CACHE, ignore_errors=True)
os.environ["XDG_CACHE_HOME"] = CACHE
# Figures are those of a CPU; and a virtual Mac has a GPU on which nothing can be allocated.
torch.backends.mps.is_available = lambda: False

from herbage.targets import SUMS, TARGETS  # noqa: E402

START = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from herbage.app.cli import main
main()
"""
HERBAGE = [sys.executable, "-c", START]
"""The command line as a process of its own. It obeys Ctrl-C even where the tests run as a background job, whose
processes inherit that SIGINT is ignored."""
PATIENCE_S = 600
"""How long a test waits for another process, on however busy a machine, before it takes it for dead."""

TEXTURE = ["--backbone", "texture", "--quiet"]

posix_only = partial(pytest.mark.skipif, os.name != "posix")
"""Skips a test on Windows; `reason` says what Windows lacks."""


def can_link():
    """Whether this system and user can make symbolic links."""
    with tempfile.TemporaryDirectory() as folder, suppress(OSError):
        Path(folder, "link").symlink_to("nowhere")
        return True
    return False


needs_links = pytest.mark.skipif(not can_link(), reason="Windows makes symbolic links only with a privilege")

NAMES_ARE_BYTES = sys.platform == "linux"
"""Whether names of files need not be UTF-8."""

ODD_NAME = "b <script>.png" if os.name == "posix" else "b &script;.png"
"""A name that has to be escaped in HTML; Windows has no names with < and >."""

SMALL_RECIPE = 'backbone="texture"\ncrops="{crops}"\ngrid=6\nviews=2\nheads="{heads}"\nbalance={balance}\n[patch]\nepochs=8\nhidden=16\n'
"""A recipe of few patches and little training, to be filled in."""

# A test never fails for the time it took.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


SLOW_FIRST = (
    "end_to_end/test_demo.py", "tokens/test_cluster.py", "steps/", "test_interruption.py", "test_permissions_and_disks.py",
    "results/test_onnx.py", "end_to_end/", "test_docs.py", "backbones/test_openvino.py",
)  # fmt: skip
"""Where a file is the unit of work, one that is slow and comes last leaves the other processes idle."""


def pytest_collection_modifyitems(items):
    def rank(item):
        name = item.path.relative_to(Path(__file__).parent).as_posix()
        return next((n for n, start in enumerate(SLOW_FIRST) if name.startswith(start)), len(SLOW_FIRST))

    items.sort(key=rank)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Builds a folder by a function, once for all the processes that share the tests."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make(name, build):
        with FileLock(shared / f"{name}.lock"):
            if not (shared / f"{name}.done").exists():
                shutil.rmtree(shared / name, ignore_errors=True)
                (shared / name).mkdir()
                build(shared / name)
                (shared / f"{name}.done").touch()
        return shared / name

    return make


@pytest.fixture(autouse=True)
def messages_reach_caplog():
    """The command line sends herbage's messages to the console alone; pytest before 9 then captures none of later tests."""
    logging.getLogger("herbage").propagate = True


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
def weighed_photos(made_once):
    """A folder of 24 small photos in 6 groups whose green weight follows their green pixels, with both tables."""
    return made_once("weighed", weigh_photos)


def weigh_photos(folder):
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


def stop_midway(command, count, *, least, most, before=lambda: None, again=lambda: None, **options):
    """Start a command and stop it (SIGSTOP) when `count()` of its results are there: `least` or more, fewer than `most`.

    `before()` is called as soon as `least` are there. A run that ended before it was stopped is started anew, after
    `again()`, so that a slow test beside a fast command never fails by chance.
    """
    if os.name != "posix":
        pytest.skip("Windows has no signal that stops a process")
    for _ in range(10):
        process = subprocess.Popen([*map(str, command)], **options)
        deadline = time.monotonic() + PATIENCE_S
        while count() < least:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"only {count()} results: {process.communicate()}")
            time.sleep(0.005)
        before()
        process.send_signal(signal.SIGSTOP)
        if process.poll() is None and count() < most:
            return process
        process.kill()
        process.communicate()
        again()
    pytest.fail("the command always ended before it could be stopped")


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


@pytest.fixture(scope="session")
def recipes(tmp_path_factory):
    """A folder with three small recipes: ridge.toml, patch.toml and balanced.toml."""
    folder = tmp_path_factory.mktemp("recipes")
    kinds = {
        "ridge": ("halves", "ridge", "true"),
        "patch": ("whole", "patch", "false"),
        "balanced": ("whole", "patch", "true"),
    }
    for name, (crops, heads, balance) in kinds.items():
        (folder / f"{name}.toml").write_text(SMALL_RECIPE.format(crops=crops, heads=heads, balance=balance), "utf-8")
    return folder


@pytest.fixture(scope="session")
def models(weighed_photos, recipes, made_once):
    """A folder with a trained model of each of the small recipes."""
    from herbage import steps

    def build(place):
        for name in ("ridge", "patch", "balanced"):
            recipe = recipes / f"{name}.toml"
            steps.train(weighed_photos / "train.csv", photos=weighed_photos, model=place / name, recipe=recipe)

    return made_once("models", build)


@pytest.fixture(scope="session")
def trained(weighed_photos, made_once):
    """A folder where `herbage train` wrote a small model and its tokens."""
    from herbage.app.cli import run

    def build(place):
        recipe = place.with_suffix(".toml")
        recipe.write_text('backbone="texture"\ncrops="halves"\ngrid=8\nviews=1\nheads="ridge"\nbalance=true\n')
        command = ["train", weighed_photos / "train.csv", "--photos", weighed_photos, "--model", place / "model"]
        assert run([*map(str, [*command, "--recipe", recipe]), *TEXTURE]) == 0

    return made_once("trained", build)


@pytest.fixture
def survey(weighed_photos, tmp_path):
    """Two photos, one with GPS, and a broken one."""
    photos = tmp_path / "survey"
    photos.mkdir()
    exif = Image.Exif()
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "S", (42.0, 30.0, 36.0)
    gps[ExifTags.GPS.GPSLongitudeRef], gps[ExifTags.GPS.GPSLongitude] = "E", (147.0, 15.0, 0.0)
    Image.open(weighed_photos / "train/ID0.png").save(photos / "a.jpg", exif=exif)
    shutil.copy(weighed_photos / "train/ID1.png", photos / ODD_NAME)
    (photos / "c.jpg").write_bytes(b"broken")
    return photos


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


@pytest.fixture
def model(quick_model):
    """`quick_model`, by a shorter name."""
    return quick_model


@pytest.fixture
def model_folder(model, tmp_path):
    """The folder of `quick_model`, a copy that a test may change."""
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def tokens_of(root: Path) -> dict[Path, bytes]:
    """The token files below a folder and what is in them."""
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*.safetensors")}


def tensors_of(path):
    """The tensors of a file, as copies: a file that is mapped into memory cannot be written on Windows."""
    return {name: tensor.clone() for name, tensor in load_file(path).items()}


def overwrite(path):
    """Write zeros over the content of a file, in place."""
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))


def files_of(folder):
    """The files of a folder and what is in them."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="session")
def many(weighed_photos, tmp_path_factory):
    """Forty-eight photos that all differ."""
    return photos_that_differ(weighed_photos, tmp_path_factory.mktemp("many") / "photos", copies=2)


@pytest.fixture(scope="session")
def measured_model(weighed_photos, tmp_path_factory):
    """`weighed_photos` with two measured columns that add up to the clover, which the photos do not show."""
    from herbage import steps
    from herbage.recipe import load_recipe

    rng = np.random.default_rng(5)
    table = pd.read_csv(weighed_photos / "wide.csv")
    table["Sampling_Date"] = [f"2015/{number // 2 + 1}/1" for number in range(len(table))]  # enough groups for 90 %
    table["Pre_GSHH_NDVI"] = rng.uniform(-0.1, 0.9, len(table)).round(3)
    table["Height_Ave_cm"] = (4 * table["Dry_Clover_g"] - 5 * table["Pre_GSHH_NDVI"] + 8).round(2)
    place = tmp_path_factory.mktemp("measured") / "model"
    return steps.train(
        table,
        photos=weighed_photos,
        model=place,
        recipe=load_recipe("field").model_copy(update={"grid": 6, "views": 1}),
        backbone="texture",
        measured=["Height_Ave_cm", "Pre_GSHH_NDVI"],
    )
