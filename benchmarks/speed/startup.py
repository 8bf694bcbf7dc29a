"""How long `herbage --help` and `herbage check` take, as whole processes.

python -m benchmarks startup [--quick]
"""

import numpy as np

from benchmarks.command import command
from benchmarks.speed.turns import asked, report

BARS_S = {"--help": 0.5, "check": 3.0}


def main() -> None:
    """Time both, write startup.json."""
    options = asked(__doc__).parse_args()
    lines = []
    for argument, bar in BARS_S.items():
        seconds = [command(argument)[0] for _ in range(3 if options.quick else 10)]
        lines.append({"work": f"herbage {argument}", "ours_s": float(np.median(seconds)), "bar_s": bar})
    report("startup", lines, options.out)


if __name__ == "__main__":
    main()
