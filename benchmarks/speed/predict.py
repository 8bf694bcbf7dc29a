"""Estimates of photos whose tokens are cached, compared with the notebook's heads on tokens that it saved.

python -m benchmarks predict [--quick]

Recipe seed, tokens (6, 256, 1536). The backbone is a stand-in, since it is never called.
"""

import tempfile
from pathlib import Path

import torch
from torch import Tensor

import herbage
from benchmarks.harness import option_parser, parse
from benchmarks.speed import notebook
from benchmarks.speed.backbones import photos
from benchmarks.speed.heads import PATCHES, VIEWS, WIDTH, bank_of
from benchmarks.speed.timing import compared, in_turn, report
from herbage.backbones.engine import resolve_engine
from herbage.heads.patch import computing_type
from herbage.model.config import BackboneRecord, ModelConfig
from herbage.model.model import HerbageModel
from herbage.photos.discovery import find_photos
from herbage.photos.photo import open_photo
from herbage.recipe import load_recipe
from herbage.tokens.store import TokenStore

PHOTOS = 24


class StandIn:
    """Has the giant's shape and is never called."""

    name = "stand-in"
    digest = source_digest = "0" * 64
    patch_px, width, batch_patches = 14, WIDTH, 0
    engine = resolve_engine("cpu", library="none")

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Never called: all tokens are in the store."""
        raise AssertionError(images.shape)


def main() -> None:
    """Time both, print the ratio, write predict.json."""
    options = parse(option_parser(__doc__))
    torch.manual_seed(0)
    heads = [notebook.head(WIDTH) for _ in range(25)]
    backbone, recipe = StandIn(), load_recipe("seed")
    model = HerbageModel(
        ModelConfig(herbage=herbage.__version__, recipe=recipe, backbone=BackboneRecord.of(backbone), folds=5),
        bank_of(heads),
    )
    files = find_photos(photos(4 if options.quick else PHOTOS, options.work))
    with tempfile.TemporaryDirectory(dir=options.work) as scratch:
        store = TokenStore(Path(scratch) / "tokens", backbone, recipe)
        for number, file in enumerate(files):
            tokens = torch.randn(VIEWS, PATCHES, WIDTH)
            torch.save(tokens, Path(scratch) / f"{number}.pt")
            store.save(open_photo(file).sha256, tokens.half())

        def theirs() -> None:
            for number in range(len(files)):
                notebook.grams(heads, torch.load(Path(scratch) / f"{number}.pt")).mean(1)

        def ours() -> None:
            list(model.estimates(files, backbone, store=Path(scratch) / "tokens"))

        seconds = in_turn(1 if options.quick else 5, theirs=theirs, ours=ours)
    slow, fast = ([one / len(files) for one in seconds[name]] for name in ("theirs", "ours"))
    flop = 2 * VIEWS * PATCHES * WIDTH * notebook.HIDDEN * len(heads)
    report("predict", [compared("one photo from the store", slow, fast, computing_type(torch.empty(0).half()), flop)],
           options.out)  # fmt: skip
