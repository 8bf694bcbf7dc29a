"""CrossPVT on real photos: beside `seed` and `field`, and what each choice in it is worth.

    HERBAGE_REAL=DIR python -m benchmarks crosspvt --work WORK [--only NAME ...]

DIR and WORK are those of the benchmark `accuracy`, whose folds, seeds and estimates of other recipes are used here too.
Prints a table and writes WORK/crosspvt.json, from which `crosspvt-page` makes docs/crosspvt.md.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import torch

from benchmarks.accuracy.ideas import linear
from benchmarks.accuracy.ladder import FIELD, MEAN, REFERENCE, SEED_RECIPE, Ladder
from benchmarks.accuracy.real_photos import SEEDS, Bench, Rung, Rungs, asked_for, changed
from herbage.backbones.tiles import HALVES, SIDES
from herbage.evaluation.out_of_fold import fit_out_of_fold
from herbage.evaluation.scoring import weighted_r2
from herbage.recipe import CrossPvtSettings, Defect, load_recipe

CROSSPVT = load_recipe("crosspvt")
ONE_NETWORK = changed(CROSSPVT, networks=1)
"""What defects and settings are tried on: a third of the time."""

_PUBLISHED = CrossPvtSettings(as_published=True)
ORIGINAL = changed(
    ONE_NETWORK, **_PUBLISHED.model_dump(include={"as_published", "epochs", "learning_rate", "auxiliary_weight"})
)
"""The original's defects and schedule, but our widths."""

BESIDE = "Other recipes, for comparison"
RIDGE = "Ridge on the mean class vector of tiles"
DEFECT = "The original's defects, each brought back"
CHOICE = "Settings, each changed"

SMALL, BIG = "4 x 4 tiles", "2 x 2 tiles"
ONE = "crosspvt, one network a fold"
TILE_RIDGE = f"{SMALL}, {CROSSPVT.views} views"
HELPERS = ("auxiliary_weight", "ranking_weight", "difference_weight")
THRICE = ("auxiliary weight 0.4, as the original", "no auxiliary, ranking and difference losses")
"""Settings tried with three seeds; the others with one."""

DEFECTS: dict[str, Defect] = {
    "padding travels on as a token": "padding",
    "auxiliary loss stops at its own head": "detached",
    "outputs and losses in grams": "raw_grams",
}


class CrossPvtLadder(Rungs):
    """Other recipes, then what is done with the vectors of tiles."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        ladder = Ladder(bench).rungs
        for name in (MEAN, SEED_RECIPE, REFERENCE, FIELD):
            self.rungs[name] = replace(ladder[name], part=BESIDE)
        self.recipe(CROSSPVT.name, BESIDE, CROSSPVT, seeds=SEEDS)
        both = bench.by_average(self.rungs, FIELD, CROSSPVT.name)
        self.add(f"mean of: {FIELD} and {CROSSPVT.name}", BESIDE, both, SEEDS)
        self.ridges()
        self.defects()
        self.choices()

    def ridges(self) -> None:
        """What the fusion must earn its weight against."""
        for name in (SMALL, BIG):
            for views in (1, CROSSPVT.views):
                vectors = partial(self.vectors, name, views)
                self.kernel(f"{name}, {views} view{'s' * (views > 1)}", RIDGE, lambda of=vectors: linear((of(), 1.0)))
        self.kernel(
            f"both side by side, {CROSSPVT.views} views", RIDGE,
            lambda: linear(*((self.vectors(name, CROSSPVT.views), 1.0) for name in (SMALL, BIG))),
        )  # fmt: skip

    def defects(self) -> None:
        """What mending each is worth."""
        self.recipe(ONE, DEFECT, ONE_NETWORK, seeds=SEEDS)
        for name, defect in DEFECTS.items():
            self.recipe(name, DEFECT, changed(ONE_NETWORK, as_published=(defect,)), seeds=SEEDS)
        self.recipe("all three", DEFECT, changed(ONE_NETWORK, as_published=True), seeds=SEEDS)
        self.recipe("all three, trained as the original (60 epochs at 1e-4)", DEFECT, ORIGINAL)

    def choices(self) -> None:
        """What each setting is worth."""
        wide = CrossPvtSettings()
        for name, update in {
            "auxiliary weight 0.4, as the original": {"auxiliary_weight": 0.4},
            "no auxiliary, ranking and difference losses": dict.fromkeys(HELPERS, 0.0),
            "dropout 0.3": {"dropout": 0.3},
            "10 epochs": {"epochs": 10},
            "60 epochs, as the original": {"epochs": 60},
            "SAM (rho 0.05)": {"rho": 0.05},
            "mean of the weights over the last steps (EMA 0.95)": {"ema": 0.95},
            "the original's widths, at its rate of 1e-4": {
                "inner_width": None, "widths": wide.widths, "learning_rate": wide.learning_rate,
            },
        }.items():  # fmt: skip
            self.recipe(name, CHOICE, changed(ONE_NETWORK, **update), seeds=SEEDS if name in THRICE else (0,))
        self.add("class vectors standardised", CHOICE, self.standardised, SEEDS)

    def standardised(self, assignment: int, seed: int) -> np.ndarray:
        """One network a fold on vectors whose every number has mean 0 and spread 1 over all photos and tiles."""
        tokens, digests = self.bench.tokens(ONE_NETWORK)
        every = torch.stack(tokens).float()
        scaled = (every - every.mean((0, 1, 2))) / every.std((0, 1, 2))
        folds = self.bench.folds[assignment]
        return fit_out_of_fold(ONE_NETWORK, list(scaled), self.bench.grams, folds, digests, seed)[1]

    def vectors(self, name: str, views: int) -> np.ndarray:
        """One vector a photo: the mean over views and the tiles of one size."""
        tokens = np.stack([t[:views].double().numpy() for t in self.bench.tokens(CROSSPVT)[0]])
        by_half = tokens.reshape(*tokens.shape[:2], HALVES, -1, tokens.shape[-1])
        few = max(SIDES) ** 2
        return (by_half[..., :few, :] if name == SMALL else by_half[..., few:, :]).mean((1, 2, 3))


def start_sd(bench: Bench, rung: Rung) -> float:
    """Standard deviation of the score over seeds of training, the root mean square over assignments."""
    scores = [[weighted_r2(bench.grams, one) for one in row] for row in bench.all_of(rung)]
    return float(np.sqrt(np.var(scores, axis=1, ddof=1).mean()))


def main() -> None:
    """Run what is not there yet, print the table, write the JSON."""
    bench, rungs = asked_for(__doc__, CrossPvtLadder)
    names = {"seed": SEED_RECIPE, "field": FIELD, "crosspvt": CROSSPVT.name, "ridge": TILE_RIDGE, "one": ONE}
    references = {key: bench.all_of(rungs[name]) for key, name in names.items()}
    record = {
        **bench.facts(),
        "seeds": len(SEEDS),
        "start_sd": {name: start_sd(bench, rungs[name]) for name in (ONE, CROSSPVT.name)},
        "rungs": [bench.line(rung, references) for rung in rungs.values()],
    }
    bench.write("crosspvt.json", record)


if __name__ == "__main__":
    main()
