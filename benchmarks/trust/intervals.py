"""How often intervals hold on groups left out, and how wide they are, for each spread that was tried.

    HERBAGE_REAL=DIR python -m benchmarks intervals --work WORK

DIR and WORK are those of the benchmark `accuracy`. Out-of-fold estimates of the field recipe, mean over assignments of
photos to folds. Writes WORK/intervals.json.
"""

from collections.abc import Callable

import numpy as np

from benchmarks.accuracy.ladder import FIELD_RECIPE, PLAIN
from benchmarks.accuracy.real_photos import ASSIGNMENTS, Bench, changed, command_line, real_folder
from herbage.evaluation.out_of_fold import fit_out_of_fold
from herbage.heads.heads import fit_heads
from herbage.model.intervals import coverage, group_quantile, spread_g
from herbage.targets import TARGETS

LEVELS = (0.8, 0.9)

Spread = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From estimates, training means and the views' disagreement (photo, target) to the error to expect."""

SPREADS: dict[str, Spread] = {
    "the same everywhere": lambda e, mean, views: np.ones_like(e),
    "estimate + mean / 4": lambda e, mean, views: e + mean / 4,
    "estimate + mean (herbage)": lambda e, mean, views: spread_g(e, mean),
    "estimate + 2 means": lambda e, mean, views: e + 2 * mean,
    "root of (estimate + mean)": lambda e, mean, views: np.sqrt(e + mean),
    "views' disagreement + mean / 10": lambda e, mean, views: views + mean / 10,
    "views' disagreement + mean": lambda e, mean, views: views + mean,
    "estimate + mean + 4 x disagreement": lambda e, mean, views: e + mean + 4 * views,
}


def left_out(
    spread: Spread, weighed: np.ndarray, estimated: np.ndarray, views: np.ndarray, group: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Share held and mean width by target, each group counting the same."""
    shares, widths = [], []
    for one in np.unique(group):
        own = group == one
        mean = weighed[~own].mean(0)
        expected = spread(estimated, mean, views)
        ratio = (np.abs(weighed - estimated) / expected)[~own]
        half = expected[own] * [group_quantile(column, group[~own], level) for column in ratio.T]
        low, high = np.maximum(estimated[own] - half, 0), estimated[own] + half
        shares.append(((low - 1e-9 <= weighed[own]) & (weighed[own] <= high + 1e-9)).mean(0))
        widths.append((high - low).mean(0))
    return np.mean(shares, axis=0), np.mean(widths, axis=0)


def views_apart(bench: Bench, assignment: int) -> np.ndarray:
    """The standard deviation over four views of what the photo's own fold says, (photo, target)."""
    tokens, _ = bench.tokens(changed(PLAIN, views=4))
    folds = bench.folds[assignment]
    heads = fit_heads(PLAIN, tokens, bench.grams, folds.fold, folds.group, 0)
    said = [heads.grams(one)[:, fold].numpy() for one, fold in zip(tokens, folds.fold.tolist(), strict=True)]
    return np.array(said).std(-1)


def main() -> None:
    """Measure, print, write."""
    parser = command_line(__doc__)
    asked = parser.parse_args()
    bench = Bench(real_folder(parser), asked.work)
    tokens, digests = bench.tokens(FIELD_RECIPE)
    of = []
    for assignment in ASSIGNMENTS:
        folds = bench.folds[assignment]
        _, estimated = fit_out_of_fold(FIELD_RECIPE, tokens, bench.grams, folds, digests, 0)
        of.append((estimated, views_apart(bench, assignment), folds.group))
    lines = []
    for level in LEVELS:
        ours = [coverage(bench.grams, estimated, group, level) for estimated, _, group in of]
        for name, spread in SPREADS.items():
            tried = [left_out(spread, bench.grams, *one, level) for one in of]
            share, width = np.mean(tried, axis=0)
            if "herbage" in name:
                np.testing.assert_allclose(share, np.mean([one.share for one in ours], axis=0))
            lines.append({"level": level, "spread": name, "share": share.tolist(), "width_g": width.tolist()})
            said = ", ".join(f"{t} {s:.0%} {w:.1f} g" for t, s, w in zip(TARGETS, share, width, strict=True))
            print(f"{level:.0%}, {name}: {said}", flush=True)
    bench.write("intervals.json", {**bench.facts(), "lines": lines})


if __name__ == "__main__":
    main()
