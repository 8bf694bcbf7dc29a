"""How long `herbage --help` and `herbage check` take, as whole processes.

python -m benchmarks startup [--quick]
"""

import subprocess
import sys
from functools import partial

import numpy as np

from benchmarks.speed.turns import asked, report, timed

BARS_S = {"--help": 0.5, "check": 3.0}


def command(argument: str) -> None:
    """Run it, without its output."""
    call = [sys.executable, "-c", "from herbage.app.cli import main; main()", argument]
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Time both, write startup.json."""
    options = asked(__doc__).parse_args()
    lines = []
    for argument, bar in BARS_S.items():
        seconds = [timed(partial(command, argument)) for _ in range(3 if options.quick else 10)]
        lines.append({"work": f"herbage {argument}", "ours_s": float(np.median(seconds)), "bar_s": bar})
    report("startup", lines, options.out)


if __name__ == "__main__":
    main()
