"""Training 25 heads with SAM on tokens (75, 6, 256, 1536), compared with the notebook's loop of one head at a time.

python -m benchmarks training [--quick]

Only a few epochs are timed, since every epoch costs the same. The notebook's loop is timed for the heads of one fold
and multiplied by five. Herbage's time includes setting up all heads.
"""

import numpy as np
import torch

from benchmarks.harness import option_parser, parse
from benchmarks.speed import notebook
from benchmarks.speed.timing import compared, in_turn, report
from herbage.heads.patch import PatchHeads, computing_type
from herbage.heads.training_data import FitOptions, Folds, TrainingData
from herbage.recipe import load_recipe

PHOTOS, VIEWS, PATCHES, WIDTH = 75, 6, 256, 1536
TARGETS, FOLDS = 5, 5


def main() -> None:
    """Time both, print the ratio, write training.json."""
    options = parse(option_parser(__doc__))
    epochs = 1 if options.quick else 4
    torch.manual_seed(0)
    tokens = torch.randn(PHOTOS, VIEWS, PATCHES, WIDTH).half()
    folds = np.arange(PHOTOS) % FOLDS
    grams = np.random.default_rng(0).uniform(1, 60, (PHOTOS, TARGETS))
    goal = torch.from_numpy(grams).float()
    recipe = load_recipe("seed")
    recipe = recipe.model_copy(update={"patch": recipe.patch.model_copy(update={"epochs": epochs})})
    data = TrainingData(list(tokens), grams, Folds.of(folds))
    train = torch.from_numpy(folds != 0)

    def theirs() -> None:
        for target in range(TARGETS):
            notebook.train_head(tokens[train], goal[train][:, target], epochs)

    def ours() -> None:
        PatchHeads.fit(data, recipe, FitOptions())

    seconds = in_turn(1 if options.quick else 3, theirs=theirs, ours=ours)
    slow = [one * FOLDS for one in seconds["theirs"]]
    # Two gradients per step, each of two products: forward, and backward to the weights.
    rows = PHOTOS * (FOLDS - 1) * PATCHES * epochs
    flop = 2 * 2 * 2 * rows * WIDTH * notebook.HIDDEN * TARGETS
    line = compared(f"25 heads, {epochs} epochs", slow, seconds["ours"], computing_type(tokens), flop)
    report("training", [line], options.out)
