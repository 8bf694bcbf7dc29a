"""Intervals, domain check and own cuts of delivered models, on real photos of groups that they were not trained on.

HERBAGE_REAL=DIR python -m benchmarks trust [--work WORK]

DIR and WORK are those of the benchmark `accuracy`, and so are the nested folds (benchmarks/nested.py). The pictures
without pasture are those of tests/photos/not_pasture.py. `pages trust` makes docs/trust.md.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.photos.not_pasture import write_pictures

from benchmarks.accuracy import recipe_variants
from benchmarks.harness import option_parser, parse, write_result
from benchmarks.nested import ASSIGNMENTS, Photos, Real, Trained, Variant, outer_folds
from herbage.evaluation.groups import name_groups
from herbage.evaluation.scoring import weighted_r2
from herbage.model.calibration import Errors, fit_correction
from herbage.model.domain import Domain
from herbage.model.intervals import LEVELS, Intervals, spread_g
from herbage.model.paddock_error import MeanErrors
from herbage.photos.discovery import find_photos
from herbage.recipe import load_recipe
from herbage.targets import TARGETS, TOTAL
from herbage.tokens.layout import tokens_shape

CUTS = (5, 10)
DRAWS = 20
TEST_PHOTOS = 10
"""A State with fewer photos besides the cuts is left out."""


def intervals_of(photos: Photos, variant: Variant, assignments: int) -> dict[str, Any]:
    """Coverage and half widths (g) of photos and of group means, and how large out-of-fold errors are; all by target.

    `error_ratio` is the root mean square of the out-of-fold errors of the training photos, divided by that of the
    delivered estimates of held-out photos, in units of the expected error. Groups count equally everywhere.
    """
    names = np.array(name_groups(photos.table.frame).names)
    held_out_groups, out_of_fold = [], []
    for assignment in range(assignments):
        for rows, held_out in outer_folds(photos, assignment):
            trained = Trained.on(photos.take(rows), variant)
            ratio, group = _intervals(trained).ratio, trained.data.folds.group
            out_of_fold += [(ratio[group == one] ** 2).mean(0) for one in np.unique(group)]
            for name in np.unique(names[held_out]):
                own = [row for row in held_out if names[row] == name]
                held_out_groups.append(held_out_group(trained, photos.take(own)))

    def mean(figure: str) -> dict[str, float]:
        values = np.mean([one[figure] for one in held_out_groups], axis=0)
        return dict(zip(TARGETS, values.tolist(), strict=True))

    ratio = np.sqrt(np.mean(out_of_fold, axis=0) / list(mean("squared_error").values()))
    figures = ("coverage", "half_width_g", "mean_coverage", "mean_half_width_g")
    return {
        "name": variant.name,
        "weighed_g": mean("weighed_g"),
        "error_ratio": dict(zip(TARGETS, ratio.tolist(), strict=True)),
        "levels": [{"level": level} | {of: mean(f"{of} {level}") for of in figures} for level in LEVELS],
    }


def held_out_group(trained: Trained, photos: Photos) -> dict[str, np.ndarray]:
    """The errors and intervals of the photos of one group, and of their mean, by target."""
    intervals, data = _intervals(trained), trained.data
    means = MeanErrors.fit(data.grams, trained.oof_g, data.folds.group)
    weighed, estimated = photos.table.grams, trained.estimates(photos)
    error = weighed - estimated
    found = {
        "weighed_g": weighed.mean(0),
        "squared_error": ((error / spread_g(estimated, intervals.unit_g)) ** 2).mean(0),
    }
    for level in LEVELS:
        half = intervals.around(estimated, level)[1] - estimated
        half_of_mean = means.half_width_g(estimated.mean(0), len(weighed), level)
        found |= {
            f"coverage {level}": (np.abs(error) <= half + 1e-9).mean(0),
            f"half_width_g {level}": half.mean(0),
            f"mean_coverage {level}": np.abs(error.mean(0)) <= half_of_mean + 1e-9,
            f"mean_half_width_g {level}": half_of_mean,
        }
    return found


def _intervals(trained: Trained) -> Intervals:
    """As `herbage train` fits them."""
    return Intervals.fit(trained.data.grams, trained.oof_g, trained.data.folds.group)


def domain_check(real: Real, photos: Photos, variant: Variant, assignments: int, folder: Path) -> dict[str, Any]:
    """The share of held-out photos that are flagged, groups counting equally, and of pictures without pasture."""
    pictures, _ = real.tokens(variant.recipe.in_prediction(), find_photos(write_pictures(folder)))
    views, _, _ = tokens_shape(variant.recipe.in_prediction(), 0)
    names = np.array(name_groups(photos.table.frame).names)
    alarms, caught = [], []
    for assignment in range(assignments):
        for rows, held_out in outer_folds(photos, assignment):
            group = np.unique(names[rows], return_inverse=True)[1]
            domain = Domain.fit([photos.tokens[row][:views] for row in rows], torch.from_numpy(group))
            outside = np.array([not domain.contains(photos.tokens[row][:views]) for row in held_out])
            alarms += [outside[names[held_out] == name].mean() for name in np.unique(names[held_out])]
            caught += [not domain.contains(picture) for picture in pictures]
    return {"pictures": len(pictures), "caught": float(np.mean(caught)), "false_alarms": float(np.mean(alarms))}


def own_cuts(photos: Photos, variant: Variant) -> list[dict[str, Any]]:
    """Scores and biases of the total before and after cuts in a State that the model was not trained on."""
    state, grams = photos.table.frame["State"].to_numpy(), photos.table.grams
    lines = []
    for name in sorted(set(state)):
        own, rest = (np.flatnonzero(of).tolist() for of in (state == name, state != name))
        if len(own) < TEST_PHOTOS + max(CUTS):
            continue
        trained = Trained.on(photos.take(rest), variant)
        errors, estimated = Errors.of(trained.data.grams, trained.oof_g), trained.estimates(photos.take(own))
        for cuts in CUTS:
            rng = np.random.default_rng(0)
            draws = [calibrated(grams[own], estimated, errors, rng.permutation(len(own)), cuts) for _ in range(DRAWS)]
            of = {figure: np.array([draw[figure] for draw in draws]) for figure in draws[0]}
            lines.append(
                {"state": name, "photos": len(own), "cuts": cuts}
                | {figure: float(values.mean()) for figure, values in of.items()}
                | {"smallest_gain": float((of["after"] - of["before"]).min())}
            )
            print(lines[-1], flush=True)
    return lines


def calibrated(
    grams: np.ndarray, estimated: np.ndarray, errors: Errors, order: np.ndarray, cuts: int
) -> dict[str, Any]:
    """Weighted R2 and size of the bias of the total (g) on the other photos, after cuts of all weights or the total."""
    own, rest = order[:cuts], order[cuts:]
    total_alone = np.full_like(grams[own], np.nan)
    total_alone[:, TOTAL] = grams[own, TOTAL]
    found = {"before": estimated[rest]}
    for name, weighed in (("after", grams[own]), ("after_total_alone", total_alone)):
        found[name] = fit_correction(weighed, estimated[own], errors).correction.apply(estimated[rest])
    biases = {f"bias_{name}_g": abs((of - grams[rest])[:, TOTAL].mean()) for name, of in found.items()}
    return {name: weighted_r2(grams[rest], of) for name, of in found.items()} | biases


def main() -> None:
    """Measure all three, write trust.json."""
    options = parse(parser := option_parser(__doc__))
    real = Real.read(parser, options.work)
    assignments = 1 if options.quick else ASSIGNMENTS
    variants = recipe_variants(["field"])
    photos = real.photos(load_recipe("field"))
    intervals = []
    for variant in variants:
        intervals.append(intervals_of(photos, variant, assignments))
        print(intervals[-1], flush=True)
    domain = domain_check(real, photos, variants[0], assignments, options.work / "not_pasture")
    print(domain, flush=True)
    groups = len(set(name_groups(photos.table.frame).names))
    counts = {"photos": len(photos.digests), "groups": groups, "assignments": assignments}
    write_result("trust", options.out, **counts, intervals=intervals, domain=domain, cuts=own_cuts(photos, variants[0]))
