"""What the maps of `field` show on left-out photos: the sward, or the place in the frame and the join of the halves.

HERBAGE_REAL=DIR python -m benchmarks maps [--work WORK]

DIR holds train.csv, its photos and a backbone in vits14/. Heads are fitted to two of three grouped folds, and measured
on the maps of Dry_Total_g of the third. `before` has neither the correction for the place in the frame nor the join of
the halves. Tokens are cached below WORK, also those of a window in the middle of each photo, as wide as a half, which
shows the backbone both sides of the join at once. `pages explanation/patches` makes docs/explanation/patches.md.
"""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from benchmarks.harness import option_parser, parse, write_result
from herbage.backbones.opening import open_backbone
from herbage.evaluation.folds import make_folds
from herbage.heads.finalise import finalise_grams, photo_map
from herbage.heads.ridge import RidgeHeads
from herbage.heads.training_data import FitOptions, TrainingData
from herbage.photos.photo import PhotoFile, open_photo
from herbage.recipe import Recipe, load_recipe
from herbage.tables.weighed import read_weighed_table
from herbage.targets import TOTAL
from herbage.tokens.extraction import stream_tokens
from herbage.tokens.store import TokenStore

FOLDS = 3
VIEWS = (1, 4)
"""Views in prediction; the heads are trained on all views."""

RECIPE = load_recipe("field")
ALONE = RECIPE.model_copy(update={"crops": "whole"})
"""The recipe of a window as wide as a half, seen as a photo of its own."""

SHIFT = RECIPE.grid // 2
"""Columns of patches from the photo's left edge to the window in its middle."""

Maps = Float[np.ndarray, "photo row column"]


def middle(file: PhotoFile) -> PhotoFile:
    """The window in the middle of a photo. Its patches cover the same pixels as the photo's, to half a pixel."""
    height, width, _ = open_photo(file).pixels().shape
    left = round(width * SHIFT / (2 * RECIPE.grid))
    right = left + width // 2
    return replace(file, corners=((left, 0), (right, 0), (right, height), (left, height)))


def tokens_of(files: Sequence[PhotoFile], recipe: Recipe, real: Path, work: Path) -> list[Tensor]:
    """The tokens of the photos, extracted where the store lacks them."""
    backbone = open_backbone(real / "vits14")
    store = TokenStore(work / "tokens", backbone, recipe)
    return [item.tokens for item in stream_tokens(files, backbone, recipe, store)]


def maps_of(heads: RidgeHeads, photos: Sequence[Tensor], recipe: Recipe) -> Maps:
    """The maps of Dry_Total_g as they are delivered, in grams."""
    found = (photo_map(heads, one, finalise_grams(heads.grams(one).numpy(), RECIPE), recipe) for one in photos)
    return np.stack([one[TOTAL] for one in found if one is not None])


def place_share(maps: Maps) -> float:
    """The variance of the mean map over photos, relative to the variance within photos. Photos weigh by variance."""
    deviation = maps - maps.mean((1, 2), keepdims=True)
    return float(deviation.mean(0).var() / (deviation**2).mean())


def step_at_join(maps: Maps) -> float:
    """The mean absolute difference between neighbouring columns at the join, relative to that elsewhere."""
    steps, join = np.abs(np.diff(maps, axis=2)).mean((0, 1)), maps.shape[2] // 2 - 1
    return float(steps[join] / np.delete(steps, join).mean())


def agreement(one: Maps, other: Maps) -> float:
    """The correlation of two maps of the same patches within a photo, the mean over photos; 0 for a constant map."""
    a, b = (maps.reshape(len(maps), -1) - maps.mean((1, 2))[:, None] for maps in (one, other))
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return float(((a * b).sum(1) / np.where(scale > 0, scale, 1)).mean())


def measure(heads: RidgeHeads, photos: Sequence[Tensor], windows: Sequence[Tensor], after: bool) -> dict[str, float]:
    """All measures of the maps of some photos, from their tokens and those of their windows in the middle."""
    common = heads.common if after else heads.common * 0
    tensors = heads.tensors() | {"common": common}
    # Heads join halves only where their recipe has them.
    apart = maps_of(RidgeHeads(tensors, ALONE), photos, RECIPE)
    joined = maps_of(RidgeHeads(tensors, RECIPE), photos, RECIPE) if after else apart
    of_window = common.unflatten(2, (RECIPE.grid, 2, RECIPE.grid)).mean(3).flatten(2)
    window = maps_of(RidgeHeads(tensors | {"common": of_window}, ALONE), windows, ALONE)

    inside, join = slice(SHIFT, SHIFT + RECIPE.grid), RECIPE.grid - SHIFT
    pairs = [(apart[:, :, inside][:, :, of], window[:, :, of]) for of in (slice(join), slice(join, None))]
    one, other = (np.concatenate([maps.ravel() for maps in side]) for side in zip(*pairs, strict=True))
    return {
        "place_share": place_share(joined),
        "step": step_at_join(joined),
        "step_of_column_means": step_at_join(joined.mean(1, keepdims=True)),
        "windows": float(np.mean([agreement(*pair) for pair in pairs])),
        "windows_pooled": float(np.corrcoef(one, other)[0, 1]),
        "across_join": agreement(joined[:, :, inside], window),
    }


def main() -> None:
    """Measure the maps before and after, print the means over folds, write maps.json."""
    parser = option_parser(__doc__)
    options = parse(parser)
    if "HERBAGE_REAL" not in os.environ:
        parser.error("HERBAGE_REAL is not set: it names a folder with train.csv, its photos and vits14/")
    real = Path(os.environ["HERBAGE_REAL"])
    table = read_weighed_table(real / "train.csv", real)
    if options.quick:
        table = table.take(list(range(0, len(table.files), 4)))
    photos = tokens_of(table.files, RECIPE, real, options.work)
    windows = tokens_of([middle(file) for file in table.files], ALONE, real, options.work)
    folds = make_folds(table.frame, table.grams, count=FOLDS)
    found: dict[tuple[int, str], list[dict[str, float]]] = defaultdict(list)
    for fold in range(FOLDS):
        train, held_out = (np.flatnonzero(is_in).tolist() for is_in in (folds.fold != fold, folds.fold == fold))
        data = TrainingData([photos[row] for row in train], table.grams[train], folds.take(train))
        heads = RidgeHeads.fit(data, RECIPE, FitOptions())
        for views in VIEWS:
            whole, alone = ([tokens[row][:views] for row in held_out] for tokens in (photos, windows))
            for when in ("before", "after"):
                found[views, when].append(measure(heads, whole, alone, when == "after"))
    lines = []
    for (views, when), each in found.items():
        mean = {name: float(np.mean([one[name] for one in each])) for name in each[0]}
        lines.append({"views": views, "maps": when, **mean, "folds": each})
        print(f"{views} views, {when}:", ", ".join(f"{name} {value:.3f}" for name, value in mean.items()))
    write_result("maps", options.out, photos=len(table.files), groups=len(folds.group_names), lines=lines)
