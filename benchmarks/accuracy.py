"""Accuracy of the delivered models of the shipped recipes, of measured columns, and of baselines, on real photos.

HERBAGE_REAL=DIR python -m benchmarks accuracy [--work WORK] [--recipes field seed crosspvt]

DIR holds train.csv, its photos and a backbone in vits14/. Everything is scored in the same nested folds, which never
split a group (State and Sampling_Date): benchmarks/nested.py. Tokens are cached below WORK, and so are the estimates of
recipes that train for long, so an interrupted run resumes; after a change of the code that trains them, delete
WORK/accuracy. `pages accuracy` makes docs/accuracy.md, and `pages README` the table of the README.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.harness import option_parser, parse, write_result
from benchmarks.nested import ASSIGNMENTS, Photos, Real, Trained, Variant, nested_estimates
from herbage.evaluation.baselines import TEXTURE_RECIPE, score_baselines
from herbage.evaluation.comparison import no_better_than_mean
from herbage.evaluation.folds import make_folds
from herbage.evaluation.learning_curve import learning_curve
from herbage.evaluation.out_of_fold import OutOfFold
from herbage.evaluation.scoring import Score, score_estimates, weighted_r2
from herbage.heads.kinds import HEADS
from herbage.heads.training_data import Folds
from herbage.recipe import load_recipe
from herbage.targets import TARGETS

REFERENCE = "field"
RECIPES = (REFERENCE, "seed", "crosspvt")
MEASURED = (("Height_Ave_cm",), ("Height_Ave_cm", "Pre_GSHH_NDVI"))
"""Measured columns that `field` is also given."""

DRAWS = 2000
"""Bootstrap draws of groups."""


def recipe_variants(names: Sequence[str]) -> list[Variant]:
    """Recipes as shipped, and the reference with measured columns."""
    alone = [Variant(name, load_recipe(name)) for name in names]
    measured = [Variant(f"{REFERENCE} with {' and '.join(of)}", alone[0].recipe, of) for of in MEASURED]
    return [alone[0], *measured, *alone[1:]]


def ablations() -> list[Variant]:
    """Each choice of the reference, changed alone."""
    field = load_recipe(REFERENCE)

    def changed(name: str, **values: Any) -> Variant:
        return Variant(name, field.model_copy(update=values))

    return [
        changed("grams linear in the vectors, no square root", ridge=field.ridge.model_copy(update={"link": "linear"})),
        replace(changed("the mean of the five fold heads is delivered"), mean_of_folds=True),
        changed("four views averaged into one vector", average_views=True, predict_views=None),
        changed("one view in training and prediction", views=1, predict_views=None),
        changed("four views in training and prediction", predict_views=None),
    ]


@dataclass(frozen=True, eq=False)
class Bench:
    """The photos, and the assignments of their groups to outer folds."""

    real: Real
    folds: Sequence[Folds]

    def baselines(self) -> list[dict[str, Any]]:
        """The scores of the baselines in the outer folds."""
        texture = self.real.photos(TEXTURE_RECIPE)
        scores = [score_baselines(texture.data(folds), texture.tokens) for folds in self.folds]
        return [{"name": name, **mean_score([one[name] for one in scores])} for name in scores[0]]

    @cached_property
    def reference(self) -> np.ndarray:
        """The estimates of the recipe that others are compared with."""
        return self.estimates(recipe_variants([REFERENCE])[0])

    def estimates(self, variant: Variant) -> np.ndarray:
        """The delivered estimates (assignment, photo, target) in nested folds."""
        photos = self.real.photos(variant.recipe)
        return self._cached(variant, photos, "nested", lambda seed: nested_estimates(photos, variant, seed))

    def line(self, variant: Variant) -> tuple[dict[str, Any], np.ndarray]:
        """The scores of the delivered estimates, and how much higher they are than the reference's; the estimates."""
        grams, is_reference = self.real.table.grams, variant.name == REFERENCE
        estimates = self.reference if is_reference else self.estimates(variant)
        line = {"name": variant.name, **mean_score([score_estimates(grams, one) for one in estimates])}
        if not is_reference:
            line["less_field"] = difference(grams, self.folds[0].group, self.reference, estimates)
        print(f"{line['weighted_r2']:.3f} (sd {line['sd']:.3f})  {variant.name}", flush=True)
        return line, estimates

    def recipe_line(self, variant: Variant) -> dict[str, Any]:
        """Also the score that `herbage score` prints, and the targets that are not shown to be better than the mean.

        That score is out of fold, each photo by a single fold head. The targets have the number of assignments.
        """
        line, estimates = self.line(variant)
        photos = self.real.photos(variant.recipe)
        single = self._cached(variant, photos, "single", lambda seed: Trained.on(photos, variant, seed).oof_g)
        scores = [score_estimates(self.real.table.grams, one) for one in single]
        return line | {
            "single_head": mean_score(scores)["weighted_r2"],
            "no_better_than_mean": self._no_better_than_mean(estimates),
        }

    def learning_curve(self, variant: Variant) -> list[list[float]]:
        """Numbers of training photos and out-of-fold scores of single heads, the mean over assignments."""
        photos = self.real.photos(variant.recipe)
        curves = [learning_curve(variant.recipe, photos.data(folds)) for folds in self.folds]
        return [np.mean(points, axis=0).tolist() for points in zip(*curves, strict=True)]

    def _no_better_than_mean(self, estimates: np.ndarray) -> dict[str, int]:
        paths, grams, found = self.real.table.frame["image_path"].tolist(), self.real.table.grams, []
        for folds, own in zip(self.folds, estimates, strict=True):
            names = [folds.group_names[one] for one in folds.group]
            found += no_better_than_mean(OutOfFold(paths, names, folds.fold, grams, own))
        return {target: found.count(target) for target in TARGETS if target in found}

    def _cached(self, variant: Variant, photos: Photos, what: str, make: Callable[[int], np.ndarray]) -> np.ndarray:
        """What `make` makes of each assignment, stored below WORK unless the heads are fitted in seconds."""
        if HEADS[variant.recipe.heads].reads_mean_token:
            return np.stack([make(seed) for seed in range(len(self.folds))])
        identity, found = self.real.identity(variant, photos), []
        for seed in range(len(self.folds)):
            place = self.real.work / f"accuracy/{variant.name}-{what}-{identity}-{seed}.npy"
            if not place.is_file():
                print(f"Training for {place}", flush=True)
                place.parent.mkdir(parents=True, exist_ok=True)
                np.save(place, make(seed))
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


def main() -> None:
    """Score baselines, recipes and ablations, print them, write accuracy.json."""
    parser = option_parser(__doc__)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, help="default: all; with --quick: field")
    options = parse(parser)
    names = options.recipes or (RECIPES[:1] if options.quick else RECIPES)
    if REFERENCE not in names:
        parser.error(f"--recipes needs {REFERENCE}: the others are compared with it")
    real = Real.read(parser, options.work)
    frame, grams = real.table.frame, real.table.grams
    bench = Bench(real, [make_folds(frame, grams, seed=seed) for seed in range(1 if options.quick else ASSIGNMENTS)])

    variants = recipe_variants(sorted(names, key=RECIPES.index))
    baselines = bench.baselines()
    for line in baselines:
        print(f"{line['weighted_r2']:.3f} (sd {line['sd']:.3f})  baseline: {line['name']}", flush=True)
    write_result(
        "accuracy",
        options.out,
        photos=len(grams),
        groups=len(bench.folds[0].group_names),
        assignments=len(bench.folds),
        baselines=baselines,
        recipes=[bench.recipe_line(variant) for variant in variants],
        ablations=[bench.line(variant)[0] for variant in ablations()],
        learning_curve=bench.learning_curve(variants[0]),
    )
