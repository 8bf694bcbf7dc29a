"""Write tests/golden/: figures of the demo that tests/end_to_end/test_demo.py expects on every machine.

python -m benchmarks golden [--demo DIR]

Run it only after a change that is meant to change these figures.
"""

import argparse
import json
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.harness import run_herbage
from herbage.targets import TARGETS

GOLDEN = Path(__file__).parents[2] / "tests/golden"
EVERY = 5


def main() -> None:
    """Run the demo, or read the results of an earlier run, and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, help="the folder of an earlier `herbage demo` (default: run it now)")
    demo = parser.parse_args().demo
    with tempfile.TemporaryDirectory() as scratch:
        if demo is None:
            demo = Path(scratch) / "demo"
            run_herbage("demo", "--out", demo, "--quiet")
        GOLDEN.mkdir(exist_ok=True)
        rows = pd.read_csv(demo / "results/predictions.csv")[::EVERY]
        columns = ["photo", *TARGETS, *(f"{target}_{end}" for target in TARGETS for end in ("low", "high"))]
        rows[columns].round(3).to_csv(GOLDEN / "predictions.csv", index=False, lineterminator="\n")
        scores = {
            name: json.loads((demo / name / "config.json").read_text("utf-8"))["score"]["weighted_r2"]
            for name in ("model", "model-seed")
        }
        (GOLDEN / "scores.json").write_text(
            json.dumps({k: round(v, 4) for k, v in scores.items()}, indent=1) + "\n", "utf-8"
        )
