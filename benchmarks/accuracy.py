"""Out-of-fold accuracy of the shipped recipes and of baselines, on real photos with weights.

HERBAGE_REAL=DIR python -m benchmarks accuracy [--work WORK] [--recipes field seed crosspvt]

DIR holds train.csv, its photos and a backbone in vits14/. Every recipe is scored on the same 5 assignments of photos to
folds that never split a group (State and Sampling_Date). Tokens and estimates are cached below WORK, so an interrupted
run resumes; after a change of the code that trains, delete WORK/accuracy. `pages accuracy` makes docs/accuracy.md.
"""

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from benchmarks.harness import option_parser, parse, write_result
from herbage.backbones.opening import open_backbone
from herbage.evaluation.baselines import TEXTURE_RECIPE, score_baselines, sensor_readings
from herbage.evaluation.folds import make_folds
from herbage.evaluation.out_of_fold import fit_out_of_fold
from herbage.evaluation.scoring import Score, score_estimates, weighted_r2
from herbage.heads.training_data import FitOptions, Folds, TrainingData
from herbage.model.intervals import LEVELS, coverage
from herbage.recipe import Recipe, load_recipe
from herbage.tables.weighed import WeighedTable, read_weighed_table
from herbage.targets import TARGETS
from herbage.tokens.extraction import stream_tokens
from herbage.tokens.store import TokenStore

ASSIGNMENTS = 5
REFERENCE = "field"
RECIPES = (REFERENCE, "seed", "crosspvt")
DRAWS = 2000
"""Bootstrap draws of groups."""


@dataclass(frozen=True)
class Data:
    """The weighed photos, their assignments to folds, and where tokens and estimates are cached."""

    real: Path
    work: Path
    table: WeighedTable
    folds: Sequence[Folds]

    @classmethod
    def read(cls, real: Path, work: Path, assignments: int) -> "Data":
        """Read train.csv and make the folds, one assignment per fold seed."""
        table = read_weighed_table(real / "train.csv", real)
        return cls(real, work, table, [make_folds(table.frame, table.grams, seed=seed) for seed in range(assignments)])

    def tokens(self, recipe: Recipe) -> tuple[list[Tensor], list[str], str]:
        """Tokens and sha256 of each photo, extracted where the store lacks them, and the digest of the backbone."""
        backbone = open_backbone("texture" if recipe.backbone == "texture" else self.real / "vits14")
        store = TokenStore(self.work / "tokens", backbone, recipe)
        items = list(stream_tokens(self.table.files, backbone, recipe, store))
        return [item.tokens for item in items], [item.sha256 for item in items], backbone.digest

    def training_data(self, tokens: list[Tensor], digests: list[str], folds: Folds) -> TrainingData:
        """The photos with these tokens and folds."""
        return TrainingData(tokens, self.table.grams, folds, digests, sensor_readings(self.table.frame))


def estimates(name: str, data: Data) -> np.ndarray:
    """Out-of-fold estimates (assignment, photo, target) of a recipe, cached per assignment."""
    recipe = load_recipe(name)
    tokens, digests, backbone = data.tokens(recipe)
    identity = hashlib.sha256("".join([recipe.model_dump_json(), backbone, *digests]).encode()).hexdigest()[:12]
    found = []
    for assignment, folds in enumerate(data.folds):
        place = data.work / "accuracy" / f"{name}-{identity}-{assignment}.npy"
        if not place.is_file():
            started = time.monotonic()
            _, made = fit_out_of_fold(recipe, data.training_data(tokens, digests, folds), FitOptions())
            place.parent.mkdir(parents=True, exist_ok=True)
            np.save(place, made)
            print(f"{name}, assignment {assignment}: trained in {time.monotonic() - started:.0f} s", flush=True)
        found.append(np.load(place))
    return np.stack(found)


def mean_score(scores: Sequence[Score]) -> dict[str, Any]:
    """The weighted R2 and each target's R2: the mean over assignments, and the standard deviation of the former."""
    weighted = [score.weighted_r2 for score in scores]
    r2 = {target: float(np.mean([score.targets[target].r2 for score in scores])) for target in TARGETS}
    return {"weighted_r2": float(np.mean(weighted)), "sd": float(np.std(weighted)), "r2": r2}


def difference(grams: np.ndarray, group: np.ndarray, a: np.ndarray, b: np.ndarray) -> list[float]:
    """Score of b less score of a, the mean over assignments, and its 95 % bootstrap interval over groups.

    The same interval as `herbage score A B` prints for one assignment (herbage.evaluation.comparison).
    """
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(group == one) for one in range(group.max() + 1)]

    def value(rows: np.ndarray) -> float:
        pairs = zip(a, b, strict=True)
        of = [weighted_r2(grams[rows], y[rows]) - weighted_r2(grams[rows], x[rows]) for x, y in pairs]
        return float(np.mean(of))

    draws = [
        value(np.concatenate([members[one] for one in rng.integers(len(members), size=len(members))]))
        for _ in range(DRAWS)
    ]
    return [value(np.arange(len(group))), *np.quantile(draws, [0.025, 0.975]).tolist()]


def interval_quality(data: Data, estimated: np.ndarray, level: float) -> dict[str, Any]:
    """Coverage and mean width (g) by target of intervals on left-out groups: the mean over assignments.

    Empty where there are too few groups for the level.
    """
    pairs = zip(estimated, data.folds, strict=True)
    of = [coverage(data.table.grams, one, folds.group, level) for one, folds in pairs]
    measured = [one for one in of if one is not None]
    if not measured:
        return {}
    share, width = (np.mean(both, axis=0).tolist() for both in zip(*measured, strict=True))
    return {
        "level": level,
        "coverage": dict(zip(TARGETS, share, strict=True)),
        "width_g": dict(zip(TARGETS, width, strict=True)),
    }


def main() -> None:
    """Score recipes and baselines, print them, write accuracy.json."""
    parser = option_parser(__doc__)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    options = parse(parser)
    if "HERBAGE_REAL" not in os.environ:
        parser.error("HERBAGE_REAL is not set: it names a folder with train.csv, its photos and vits14/")
    if REFERENCE not in options.recipes:
        parser.error(f"--recipes needs {REFERENCE}: the others are compared with it")
    data = Data.read(Path(os.environ["HERBAGE_REAL"]), options.work, 1 if options.quick else ASSIGNMENTS)
    grams, group = data.table.grams, data.folds[0].group

    texture, digests, _ = data.tokens(TEXTURE_RECIPE)
    scores = [score_baselines(data.training_data(texture, digests, folds), texture) for folds in data.folds]
    baselines = [{"name": name, **mean_score([one[name] for one in scores])} for name in scores[0]]
    for line in baselines:
        print(f"{line['weighted_r2']:.3f} (sd {line['sd']:.3f})  baseline: {line['name']}", flush=True)

    found: dict[str, np.ndarray] = {}
    recipes = []
    for name in sorted(options.recipes, key=RECIPES.index):
        found[name] = estimates(name, data)
        line = {"name": name, **mean_score([score_estimates(grams, one) for one in found[name]])}
        if name != REFERENCE:
            line["less_field"] = difference(grams, group, found[REFERENCE], found[name])
        line["intervals"] = [quality for level in LEVELS if (quality := interval_quality(data, found[name], level))]
        recipes.append(line)
        print(f"{line['weighted_r2']:.3f} (sd {line['sd']:.3f})  {name}", flush=True)
    counts = {"photos": len(grams), "groups": int(group.max()) + 1, "assignments": len(data.folds)}
    write_result("accuracy", options.out, **counts, baselines=baselines, recipes=recipes)
