"""Training 25 heads with SAM on tokens (75, 6, 256, 1536), beside the notebook's loop of one head at a time.

python -m benchmarks training [--quick]

Few epochs in turn: an epoch costs the same throughout. The notebook's loop is timed for the heads of one fold, and
counted for all five; the setting up of all heads is in ours.
"""

import numpy as np
import torch

from benchmarks.speed import notebook
from benchmarks.speed.turns import asked, ceiling, in_turn, ratio, report
from herbage.heads.patch import PatchHeads, computing_type
from herbage.recipe import load_recipe

PHOTOS, VIEWS, PATCHES, WIDTH = 75, 6, 256, 1536
TARGETS, FOLDS = 5, 5
EPOCHS = 60


def main() -> None:
    """Time both, print the ratio, write training.json."""
    options = asked(__doc__).parse_args()
    epochs = 1 if options.quick else 4
    torch.manual_seed(0)
    tokens = torch.randn(PHOTOS, VIEWS, PATCHES, WIDTH).half()
    folds = np.arange(PHOTOS) % FOLDS
    grams = np.random.default_rng(0).uniform(1, 60, (PHOTOS, TARGETS))
    goal = torch.from_numpy(grams).float()
    settings = load_recipe("seed").patch.model_copy(update={"epochs": epochs})
    seen = torch.from_numpy(folds != 0)

    def theirs() -> None:
        for target in range(TARGETS):
            notebook.train_head(tokens[seen], goal[seen][:, target], epochs)

    seconds = in_turn(
        1 if options.quick else 3, theirs=theirs, ours=lambda: PatchHeads.fit(list(tokens), grams, folds, settings, 0)
    )
    slow, fast = [one * FOLDS for one in seconds["theirs"]], seconds["ours"]
    # Two gradients a step, each of two products: forward, and back to the weights.
    rows = PHOTOS * (FOLDS - 1) * PATCHES * epochs
    flop = 2 * 2 * 2 * rows * WIDTH * notebook.HIDDEN * TARGETS
    dtype = computing_type(tokens)
    top = ceiling(dtype)
    median = sorted(fast)[len(fast) // 2]
    line = {
        "work": f"25 heads, {epochs} epochs ({str(dtype).removeprefix('torch.')})",
        "ours_s": median,
        "notebook_s": sorted(slow)[len(slow) // 2],
        **ratio(slow, fast),
        "ceiling_gflops": top,
        "ceiling_share": flop / median / 1e9 / top,
        "epochs": epochs,
    }
    report("training", [line], options.out)


if __name__ == "__main__":
    main()
