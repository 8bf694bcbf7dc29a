"""How long `herbage --help` and `herbage check` take as processes.

python -m benchmarks startup [--quick]
"""

import numpy as np

from benchmarks.harness import option_parser, parse, run_herbage
from benchmarks.speed.timing import report

BARS_S = {"--help": 0.5, "check": 3.0}


def main() -> None:
    """Time both, write startup.json."""
    options = parse(option_parser(__doc__))
    lines = []
    for argument, bar in BARS_S.items():
        seconds = [run_herbage(argument)[0] for _ in range(3 if options.quick else 10)]
        lines.append({"work": f"herbage {argument}", "ours_s": float(np.median(seconds)), "bar_s": bar})
    report("startup", lines, options.out)
