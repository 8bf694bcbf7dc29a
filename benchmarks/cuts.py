"""How often `calibrate` names an outlying cut: of plain calibrations, and of weights that are wrong.

python -m benchmarks cuts OOF... [--calibrations N]

Each OOF is a model folder or its oof.csv. Cuts are drawn from its weighed and out-of-fold estimated photos, so that
their errors are the model's own; in every calibration one weight is then multiplied or divided by ten, or exchanged
with another one that is at least twice or at most half as large. `pages trust` writes the table into docs/trust.md.
"""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import option_parser, parse, write_result
from herbage.evaluation.out_of_fold import OutOfFold
from herbage.evaluation.scoring import score_estimates
from herbage.model.outlying_cuts import find_outlying_cuts
from herbage.targets import TARGETS, balance, main_target

CUTS = (3, 5, 10, 20, 30)


def measure(oof: OutOfFold, cuts: int, calibrations: int) -> dict[str, float]:
    """The shares of calibrations with a named cut: without a fault, and where the wrong cut is named, by fault."""
    rng = np.random.default_rng(0)
    main = main_target(oof.known)
    weighed = np.full_like(oof.weighed_g, np.nan)
    weighed[:, main] = oof.weighed_g[:, main]
    estimated = balance(oof.estimated_g)
    plain, named = [], {"times_ten": [], "a_tenth": [], "exchanged": []}

    def rows_named(grams: Any, rows: Any) -> set[int]:
        found = find_outlying_cuts(grams, estimated[rows], oof.weighed_g, estimated)
        return {one.row for one in found}

    for _ in range(calibrations):
        rows = rng.choice(len(oof), cuts, replace=False)
        plain.append(bool(rows_named(weighed[rows], rows)))
        one, other = rng.choice(cuts, 2, replace=False)
        for fault, factor in (("times_ten", 10), ("a_tenth", 0.1)):
            grams = weighed[rows]
            grams[one] *= factor
            named[fault].append(one in rows_named(grams, rows))
        grams = weighed[rows]
        if abs(np.log(grams[one, main] / grams[other, main])) >= np.log(2):
            grams[[one, other]] = grams[[other, one]]
            named["exchanged"].append(bool({one, other} & rows_named(grams, rows)))
    return {"plain": float(np.mean(plain)), **{fault: float(np.mean(of)) for fault, of in named.items() if of}}


def main() -> None:
    """Measure each table and write cuts.json."""
    parser = option_parser(__doc__)
    parser.add_argument("oof", nargs="+", type=Path, help="model folders, or files as their oof.csv")
    parser.add_argument("--calibrations", type=int, default=1000, help="calibrations per row (default: %(default)s)")
    options = parse(parser)
    calibrations = 20 if options.quick else options.calibrations
    lines = []
    for place in options.oof:
        oof = OutOfFold.read(place / "oof.csv" if place.is_dir() else place)
        target = TARGETS[main_target(oof.known)]
        score = score_estimates(oof.weighed_g, oof.estimated_g).targets[target]
        for cuts in CUTS:
            if cuts <= len(oof):
                shares = measure(oof, cuts, calibrations)
                lines.append({"photos": len(oof), "r2": score.r2, "rmse_g": score.rmse_g, "cuts": cuts, **shares})
                print(lines[-1], flush=True)
    write_result("cuts", options.out, calibrations=calibrations, lines=lines)
