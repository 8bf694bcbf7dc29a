"""docs/trust.md, from what `intervals`, `domain`, `cuts` and `paddocks` wrote below WORK.

python -m benchmarks trust-page --work WORK
"""

import json

from benchmarks.accuracy.real_photos import command_line
from benchmarks.page import write_page
from herbage.results.overlay import LABELS


def main() -> None:
    """Write the page."""
    work = command_line(__doc__).parse_args().work
    measured = {
        name: json.loads((work / f"{name}.json").read_text()) for name in ("intervals", "domain", "cuts", "paddocks")
    }
    write_page("trust", labels=LABELS, **measured)


if __name__ == "__main__":
    main()
