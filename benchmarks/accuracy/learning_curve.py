"""What more cutting would buy: the score by the number of weighed photos that the heads were trained on.

    HERBAGE_REAL=DIR python -m benchmarks learning-curve --work WORK

Each fold of each assignment is judged by heads trained on so many photos drawn from the other folds. Writes
WORK/curve.json, from which `accuracy-page` draws the picture.
"""

import json

import numpy as np

from benchmarks.accuracy.ladder import FIELD, PLAIN, REFERENCE
from benchmarks.accuracy.real_photos import ASSIGNMENTS, Bench, command_line, real_folder
from herbage.evaluation.out_of_fold import deliver
from herbage.evaluation.scoring import weighted_r2
from herbage.heads.heads import fit_heads
from herbage.recipe import Recipe, load_recipe

PHOTOS = (10, 20, 40, 60)
DRAWS = 2


def learning_curve(bench: Bench, recipe: Recipe) -> dict[int, list[float]]:
    """Scores by number of photos, one a draw and assignment."""
    tokens, _ = bench.tokens(recipe)
    # Ridge heads read mean tokens alone, so a photo's tokens are one vector here.
    vectors = [t.float().mean((0, 1), keepdim=True) for t in tokens]
    scores: dict[int, list[float]] = {count: [] for count in PHOTOS}
    for count in PHOTOS:
        for draw in range(DRAWS * len(ASSIGNMENTS)):
            folds, rng = bench.folds[draw % len(ASSIGNMENTS)], np.random.default_rng(draw)
            made = np.empty_like(bench.grams)
            for number in range(folds.count):
                test = np.flatnonzero(folds.fold == number)
                train = rng.permutation(np.flatnonzero(folds.fold != number))[:count]
                rows = np.concatenate([test, train])
                # The head of fold 0 has seen the training photos alone; that of fold 1 is not asked.
                fold = np.r_[np.zeros(len(test), int), np.ones(len(train), int)]
                seen = [vectors[r] for r in rows]
                heads = fit_heads(recipe, seen, bench.grams[rows], fold, folds.group[rows], seed=0)
                raw = [heads.grams(vectors[r])[:, 0].mean(-1).double().numpy() for r in test]
                made[test] = deliver(np.stack(raw), recipe)
            scores[count].append(weighted_r2(bench.grams, made))
    return scores


def main() -> None:
    """Print both curves and write the JSON."""
    parser = command_line(__doc__)
    asked = parser.parse_args()
    bench = Bench(real_folder(parser), asked.work)
    curves = {name: learning_curve(bench, of) for name, of in ((FIELD, load_recipe("field")), (REFERENCE, PLAIN))}
    for name, scores in curves.items():
        for count, values in scores.items():
            print(f"{count:3d} photos: {np.mean(values):.3f} sd {np.std(values):.3f}  {name}")
    (asked.work / "curve.json").write_text(json.dumps(curves))


if __name__ == "__main__":
    main()
