"""docs/performance.md, from what the benchmarks of speed wrote to --results, and `views` and an export below WORK.

python -m benchmarks performance-page --work WORK --results DIR
"""

import json
from pathlib import Path

from benchmarks.accuracy.real_photos import command_line
from benchmarks.page import write_page

NAMES = ("parts", "heads", "training", "predict", "startup", "memory")


def main() -> None:
    """Write the page."""
    parser = command_line(__doc__)
    parser.add_argument("--results", type=Path, default=Path("benchmark-results"))
    asked = parser.parse_args()
    measured = {name: json.loads((asked.results / f"{name}.json").read_text()) for name in NAMES}
    extracted = [json.loads(one.read_text()) for one in sorted(asked.results.glob("extract-*.json"))]
    served = [json.loads(one.read_text()) for one in sorted(asked.results.glob("serving-*.json"))]
    write_page(
        "performance",
        machine=measured["heads"]["machine"],
        views=json.loads((asked.work / "views.json").read_text()),
        parity=json.loads((asked.work / "int8/parity.json").read_text()),
        extract=[line for one in extracted for line in one["lines"]],
        serving=[line for one in served for line in one["lines"]],
        **{name: one["lines"] for name, one in measured.items()},
    )


if __name__ == "__main__":
    main()
