"""docs/accuracy.md and its picture, from what `accuracy`, `learning-curve` and `cost` wrote below WORK.

python -m benchmarks accuracy-page --work WORK
"""

import json
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("svg")
import matplotlib.pyplot as plt

from benchmarks.accuracy.real_photos import command_line
from benchmarks.page import DOCS, write_page
from herbage.backbones.texture import NAMES

LINEAR = "Other linear heads on the field's vectors"
NOISE = 0.02


def draw_curve(curves: dict[str, dict[str, list[float]]], place: Path) -> None:
    """Mean score and the spread of draws by number of weighed photos."""
    plt.rcParams["svg.hashsalt"] = "herbage"
    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    for (name, scores), colour in zip(curves.items(), ("#0072b2", "#999999"), strict=True):
        photos = [int(count) for count in scores]
        mean = np.array([np.mean(values) for values in scores.values()])
        spread = np.array([np.std(values) for values in scores.values()])
        axes.plot(photos, mean, "o-", color=colour, label=name)
        axes.fill_between(photos, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
    axes.set(xlabel="weighed photos to train on", ylabel="weighted R2, grouped folds", xticks=photos, ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(place, metadata={"Date": None})


def still_rising(rows: list[tuple[Any, ...]]) -> str:
    """Whether the last step of the field's curve still gained."""
    (before, (low, _), *_), (after, (high, _), *_) = rows[-2:]
    gained = high - low
    if gained > NOISE:
        return f"From {before} to {after} photos the score still rose by {gained:.3f}: more cutting pays."
    return f"From {before} to {after} photos the score changed by {gained:+.3f} alone."


def spread_of(rungs: dict[str, Any], which: Callable[[Any], bool]) -> tuple[float, float]:
    """The least and the best score among some rungs."""
    scores = [rung["score"] for rung in rungs.values() if which(rung)]
    return min(scores), max(scores)


def main() -> None:
    """Write the page and the picture."""
    work = command_line(__doc__).parse_args().work
    ladder, curves, cost = (json.loads((work / f"{name}.json").read_text()) for name in ("accuracy", "curve", "cost"))
    rungs = {rung["name"]: rung for rung in ladder["rungs"]}
    parts = [(part, list(of)) for part, of in groupby(ladder["rungs"], key=lambda rung: rung["part"])]
    curve_rows = [
        (count, *((np.mean(scores[count]), np.std(scores[count])) for scores in curves.values()))
        for count in next(iter(curves.values()))
    ]
    write_page(
        "accuracy",
        ladder=ladder,
        rungs=rungs,
        parts=parts,
        curve_rows=curve_rows,
        curves=list(curves),
        cost=cost,
        heterogeneity_count=len(NAMES),
        curve_verdict=still_rising(curve_rows),
        linear_part=LINEAR,
        linear_range=spread_of(rungs, lambda rung: rung["part"] == LINEAR and "measured" not in rung["name"]),
        average_range=spread_of(rungs, lambda rung: rung["name"].startswith("mean of: field")),
    )
    draw_curve(curves, DOCS / "learning_curve.svg")


if __name__ == "__main__":
    main()
