"""tests/golden/: figures of the demo, by which tests/test_story.py knows it on every machine.

python -m benchmarks golden [--demo DIR]

To be made anew only when a change is meant to change them.
"""

import argparse
import json
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.command import command
from herbage.targets import TARGETS

GOLDEN = Path(__file__).parents[2] / "tests/golden"
EVERY = 5


def main() -> None:
    """Run the demo, or take one that was run, and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path)
    demo = parser.parse_args().demo
    with tempfile.TemporaryDirectory() as scratch:
        if demo is None:
            demo = Path(scratch) / "demo"
            command("demo", "--out", demo, "--quiet")
        GOLDEN.mkdir(exist_ok=True)
        rows = pd.read_csv(demo / "results/predictions.csv")[::EVERY]
        columns = ["photo", *TARGETS, *(f"{target}_{end}" for target in TARGETS for end in ("low", "high"))]
        rows[columns].round(3).to_csv(GOLDEN / "predictions.csv", index=False, lineterminator="\n")
        scores = {
            name: json.loads((demo / name / "config.json").read_text())["score"]["weighted_r2"]
            for name in ("model", "model-seed")
        }
        (GOLDEN / "scores.json").write_text(json.dumps({k: round(v, 4) for k, v in scores.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
