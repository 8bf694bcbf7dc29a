"""How often the interval of a paddock's mean holds, State and day as paddock, on groups left out.

    HERBAGE_REAL=DIR python -m benchmarks paddocks --work WORK

DIR and WORK are those of the benchmark `accuracy`. Each group's mean by the errors of the others: against the weighed
mean of the same photos (the model's part), and half of a group's photos against the weighed mean of its other half
(with sampling). Writes WORK/paddocks.json.
"""

import numpy as np

from benchmarks.accuracy.ladder import FIELD_RECIPE
from benchmarks.accuracy.real_photos import ASSIGNMENTS, Bench, command_line, real_folder
from herbage.evaluation.out_of_fold import fit_out_of_fold
from herbage.model.estimate import Estimate
from herbage.model.paddock_error import MeanErrors
from herbage.results.paddocks import Paddocks
from herbage.targets import QUADRAT_AREA_M2, TOTAL, kg_per_ha

LEVELS = (0.8, 0.9)
SPLITS = 20
FEWEST = 4
"""Photos of a group that is halved."""


def main() -> None:
    """Measure, print, write."""
    parser = command_line(__doc__)
    asked = parser.parse_args()
    bench = Bench(real_folder(parser), asked.work)
    tokens, digests = bench.tokens(FIELD_RECIPE)
    group, weighed = bench.photos.group, kg_per_ha(bench.grams[:, TOTAL], QUADRAT_AREA_M2)
    lines = []
    for level in LEVELS:
        same, halved, widths = [], [], []
        for assignment in ASSIGNMENTS:
            _, estimated = fit_out_of_fold(FIELD_RECIPE, tokens, bench.grams, bench.folds[assignment], digests, 0)
            rng = np.random.default_rng(assignment)
            for one in np.unique(group):
                own = np.flatnonzero(group == one)
                rest = group != one
                errors = MeanErrors.learn(bench.grams[rest], estimated[rest], group[rest])
                row = summary(errors, estimated[own], level)
                same.append(abs(weighed[own].mean() - row["kg_per_ha"]) <= row["model_kg_per_ha"])
                if len(own) < FEWEST:
                    continue
                held = []
                for _ in range(SPLITS):
                    order = rng.permutation(own)
                    seen, other = order[: len(order) // 2], order[len(order) // 2 :]
                    row = summary(errors, estimated[seen], level)
                    held.append(row["kg_per_ha_low"] <= weighed[other].mean() <= row["kg_per_ha_high"])
                    widths.append(row["kg_per_ha_high"] - row["kg_per_ha_low"])
                halved.append(np.mean(held))
        line = {
            "level": level,
            "groups": len(np.unique(group)),
            "held_of_the_same_photos": float(np.mean(same)),
            "halved_groups": len(halved) // len(ASSIGNMENTS),
            "held_of_the_other_half": float(np.mean(halved)),
            "width_kg_per_ha": float(np.mean(widths)),
        }
        print(line, flush=True)
        lines.append(line)
    bench.write("paddocks.json", {**bench.facts(), "lines": lines})


def summary(errors: MeanErrors, estimated: np.ndarray, level: float) -> dict[str, float]:
    """What herbage itself says of a paddock with these estimates."""
    paddocks = Paddocks(errors, known=(True,) * 5, quadrat_area_m2=QUADRAT_AREA_M2, level=level)
    for grams in estimated:
        paddocks.add("", Estimate("", grams=grams, quadrat_area_m2=QUADRAT_AREA_M2))
    (row,) = paddocks.table().to_dict("records")
    return {str(key): value for key, value in row.items()}


if __name__ == "__main__":
    main()
