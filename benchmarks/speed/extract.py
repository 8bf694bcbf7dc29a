"""A photo from JPEG to tokens, compared with the notebook's six views at 224: ViT-S, and the shape of the giant.

    python -m benchmarks extract [--quick] [--shape vits giant] [--precision auto int8]

`seed` has the notebook's views; `field` has one view in prediction and four in training, of both halves at 518. The
giant has random weights; ViT-S is the real one in HERBAGE_REAL/vits14, or else has random weights too. ViT-S is
timed as the complete command without imports: opening the backbone, 24 photos, and writing the store. The giant is
timed on two photos with the backbone already open. int8 is an export of the same backbone to OpenVINO, calibrated on a
few views, since only its speed matters here.
"""

import gc
import shutil
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import get_args

import torch
from torch import nn

from benchmarks.harness import option_parser, parse
from benchmarks.speed import notebook
from benchmarks.speed.backbones import backbone_of, flop_per_image, int8_of, photos
from benchmarks.speed.timing import compared, in_turn, report
from herbage import steps
from herbage.backbones.engine import Precision
from herbage.backbones.opening import open_backbone
from herbage.backbones.views import CROPS
from herbage.photos.discovery import find_photos
from herbage.recipe import load_recipe
from herbage.tokens.extraction import stream_tokens

PHOTOS = {"vits": 24, "giant": 2}
CALIBRATION_VIEWS = {"vits": 48, "giant": 4}
TURNS = {"vits": 3, "giant": 2}
PATCH_PX = 14

WORK = {"seed, six views": ("seed", 6), "field, one view": ("field", 1)}
TRAINING = {"field, four views": ("field", 4)}
"""What is timed of herbage: a recipe and its views. With the giant, four views of `field` would take too long."""

NOTEBOOK = "notebook"

Work = dict[str, tuple[str, int]]
Ways = dict[str, Callable[[], object]]
"""The notebook's way, and herbage's by the name of the work."""


def notebook_backbone(folder: Path) -> nn.Module:
    """As in the notebook: float32."""
    from transformers import AutoModel

    return AutoModel.from_pretrained(folder, dtype=torch.float32).eval()


def whole_command(listed: Path, source: Path, ours: Path, precision: Precision, store: Path, work: Work) -> Ways:
    """Open the backbone and fill a store, in every way."""

    def theirs() -> None:
        backbone = notebook_backbone(source)
        for number, file in enumerate(find_photos(listed)):
            store.mkdir(parents=True, exist_ok=True)
            torch.save(notebook.tokens(backbone, file.path), store / f"{number}.pt")

    def own(recipe: str, views: int) -> None:
        shutil.rmtree(store / "own", ignore_errors=True)
        steps.extract(listed, store=store / "own", recipe=recipe, views=views, backbone=ours, precision=precision)

    return {NOTEBOOK: theirs, **{name: partial(own, *of) for name, of in work.items()}}


def opened(listed: Path, source: Path, ours: Path, precision: Precision, _: Path, work: Work) -> Ways:
    """Photos to tokens in memory, with backbones already open, in every way."""
    backbone, own_backbone = notebook_backbone(source), open_backbone(ours, precision=precision)
    files = find_photos(listed)

    def own(recipe: str, views: int) -> None:
        list(stream_tokens(files, own_backbone, load_recipe(recipe).in_prediction(views)))

    theirs = {NOTEBOOK: lambda: [notebook.tokens(backbone, file.path) for file in files]}
    return {**theirs, **{name: partial(own, *of) for name, of in work.items()}}


def main() -> None:
    """Time both, print the ratios, write extract-SHAPE-PRECISION.json."""
    parser = option_parser(__doc__)
    parser.add_argument("--shape", nargs="*", default=list(PHOTOS), choices=list(PHOTOS))
    parser.add_argument("--precision", nargs="*", default=["auto", "int8"], choices=[*get_args(Precision), "int8"])
    options = parse(parser)
    for shape, precision in product(options.shape, options.precision):
        count = 2 if options.quick and shape == "vits" else PHOTOS[shape]
        listed = photos(count, options.work)
        source = ours = backbone_of(shape, options.work)
        if precision == "int8":
            ours, precision = int8_of(source, options.work, listed, CALIBRATION_VIEWS[shape]), "auto"
        timing, work = (opened, WORK) if shape == "giant" else (whole_command, WORK | TRAINING)
        ways = timing(listed, source, ours, precision, options.work / "store", work)
        seconds = in_turn(1 if options.quick else TURNS[shape], **ways)
        theirs = [one / count for one in seconds[NOTEBOOK]]
        engine = open_backbone(ours, precision=precision).engine
        dtype = torch.float32 if engine.precision == "fp32" else torch.bfloat16
        lines = []
        for what, (name, views) in work.items():
            recipe = load_recipe(name)
            flop = flop_per_image(source, recipe.grid * PATCH_PX) * views * CROPS[recipe.crops]
            own = [one / count for one in seconds[what]]
            line = compared(f"{shape}, one photo from JPEG, {what}", theirs, own, dtype, flop)
            lines.append(line | {"precision": engine.precision})
        report(f"extract-{shape}-{engine.precision}", lines, options.out)
        del ways
        gc.collect()
