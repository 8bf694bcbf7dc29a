"""A few own cuts in a State that the model has not seen: score and bias before and after, and which cuts to make.

    HERBAGE_REAL=DIR python -m benchmarks cuts --work WORK

DIR and WORK are those of the benchmark `accuracy`. The field recipe is trained on the other States; of the State left
out some photos are cuts, and the others, at least 10, judge. Writes WORK/cuts.json.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy.ladder import FIELD_RECIPE
from benchmarks.accuracy.real_photos import Bench, command_line, real_folder
from herbage.evaluation.folds import make_folds
from herbage.evaluation.out_of_fold import deliver, fit_out_of_fold
from herbage.evaluation.scoring import weighted_r2
from herbage.model.calibration import Errors, correct, fit_correction
from herbage.model.cut_selection import choose_cuts
from herbage.model.domain import mean_token
from herbage.targets import TOTAL

CUTS = (3, 5, 10, 20)
DRAWS, PLAN_DRAWS = 20, 300
JUDGES = 10
LOOSE = 1e3
"""A spread before any cut that shrinks nothing."""


@dataclass(frozen=True)
class Place:
    """A State left out: its weights, the estimates of a model of the others, and that model's own errors."""

    name: str
    weighed: np.ndarray
    estimated: np.ndarray
    means: np.ndarray
    errors: Errors


def places(bench: Bench) -> list[Place]:
    """Each State that leaves enough photos to judge by."""
    tokens, digests = bench.tokens(FIELD_RECIPE)
    state = bench.table.frame["State"].to_numpy()
    found = []
    for name in sorted(set(state)):
        own = state == name
        if own.sum() < JUDGES + min(CUTS):
            continue
        rest = np.flatnonzero(~own)
        folds = make_folds(bench.table.frame.iloc[rest].reset_index(drop=True), bench.grams[rest])
        heads, delivered = fit_out_of_fold(
            FIELD_RECIPE, [tokens[row] for row in rest], bench.grams[rest], folds, [digests[row] for row in rest], 0
        )
        new = [tokens[row] for row in np.flatnonzero(own)]
        estimated = deliver(np.array([heads.grams(one).double().mean((1, 2)).numpy() for one in new]), FIELD_RECIPE)
        means = np.stack([mean_token(one).numpy() for one in new])
        found.append(Place(name, bench.grams[own], estimated, means, Errors.of(bench.grams[rest], delivered)))
    return found


def judged(place: Place, cuts: np.ndarray, judges: np.ndarray, way: str) -> tuple[float, float, float, float]:
    """Weighted R2 and bias of the total, before and after."""
    weighed = place.weighed[cuts].copy()
    if way == "total alone":
        weighed[:, np.arange(5) != TOTAL] = np.nan
    if way == "no shrinkage":
        correction = correct(weighed, place.estimated[cuts], place.errors, spread=LOOSE)
    elif way == "never left out":
        correction = correct(weighed, place.estimated[cuts], place.errors)
    else:
        correction = fit_correction(weighed, place.estimated[cuts], place.errors).correction
    truth, before = place.weighed[judges], place.estimated[judges]
    after = correction.apply(before)
    bias = [float((of - truth)[:, TOTAL].mean()) for of in (before, after)]
    return weighted_r2(truth, before), weighted_r2(truth, after), *bias


def main() -> None:
    """Measure, print, write."""
    parser = command_line(__doc__)
    asked = parser.parse_args()
    bench = Bench(real_folder(parser), asked.work)
    calibrated, planned = [], []
    for place in places(bench):
        rng = np.random.default_rng(0)
        size = len(place.weighed)
        for count in (one for one in CUTS if size - one >= JUDGES):
            draws = [rng.permutation(size) for _ in range(DRAWS)]
            for way in ("all weights", "total alone", "never left out", "no shrinkage"):
                of = np.array([judged(place, draw[:count], draw[count:], way) for draw in draws])
                gain = of[:, 1] - of[:, 0]
                line = {
                    "state": place.name, "cuts": count, "way": way, "judges": size - count,
                    "before": float(of[:, 0].mean()), "after": float(of[:, 1].mean()),
                    "gain": float(gain.mean()), "worst_gain": float(gain.min()),
                    "bias_before_g": float(of[:, 2].mean()), "bias_after_g": float(of[:, 3].mean()),
                    "bias_size_before_g": float(np.abs(of[:, 2]).mean()),
                    "bias_size_after_g": float(np.abs(of[:, 3]).mean()),
                }  # fmt: skip
                print(line, flush=True)
                calibrated.append(line)
            pool = size - JUDGES
            if count < pool:
                planned.append(plan_line(place, count, [rng.permutation(size) for _ in range(PLAN_DRAWS)]))
                print(planned[-1], flush=True)
    bench.write(
        "cuts.json",
        {**bench.facts(), "draws": DRAWS, "plan_draws": PLAN_DRAWS, "calibrated": calibrated, "planned": planned},
    )


def plan_line(place: Place, count: int, draws: list[np.ndarray]) -> dict[str, float | str | int]:
    """The same judges, and cuts from the others: drawn, or planned."""
    gains = []
    for draw in draws:
        judges, pool = draw[:JUDGES], draw[JUDGES:]
        chosen = pool[choose_cuts(place.estimated[pool, TOTAL], place.means[pool], count)]
        before, planned, *_ = judged(place, chosen, judges, "all weights")
        _, random, *_ = judged(place, pool[:count], judges, "all weights")
        gains.append((planned - before, random - before))
    by_plan, at_random = np.array(gains).T
    return {
        "state": place.name, "cuts": count,
        "gain_planned": float(by_plan.mean()), "gain_random": float(at_random.mean()),
        "worst_planned": float(np.quantile(by_plan, 0.05)), "worst_random": float(np.quantile(at_random, 0.05)),
        "planned_better": float((by_plan > at_random).mean()),
    }  # fmt: skip


if __name__ == "__main__":
    main()
