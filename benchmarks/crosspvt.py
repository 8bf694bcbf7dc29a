"""CrossPVT on real photos: beside `seed` and `field`, and what each choice in it is worth.

    HERBAGE_REAL=DIR python benchmarks/crosspvt.py --work WORK [--only NAME ...]

DIR and WORK are those of benchmarks/accuracy.py, whose folds, seeds and estimates of other recipes are used here too.
Prints a table and writes WORK/crosspvt.json, from which benchmarks/crosspvt_page.py makes docs/crosspvt.md.
"""

import json
from collections.abc import Callable

import ideas
import numpy as np
from accuracy import FIELD, REFERENCE, SEED_RECIPE, SEEDS, Ladder
from real_photos import Bench, changed, command_line, real_folder

from herbage.backbones.tiles import HALVES, SIDES, TILES
from herbage.recipe import Recipe, load_recipe

CROSSPVT = load_recipe("crosspvt")
PUBLISHED = changed(CROSSPVT, **type(CROSSPVT.crosspvt)().model_dump())
"""The widths and the training of the original, on the same tiles."""

BESIDE, DEFECTS, CHOICES = "Beside it", "The original's defects, brought back", "Choices of training"


class CrossPvtLadder(Ladder):
    """Rungs on the vectors of tiles, and those of other recipes that stand beside them."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        beside = [self.rungs[name] for name in ("each target's mean", SEED_RECIPE, REFERENCE, FIELD)]
        self.rungs = {rung.name: rung._replace(part=BESIDE) for rung in beside}
