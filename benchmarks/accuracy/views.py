"""Fewer views, honestly: what `views` in the field recipe costs in seconds, in score and in the map.

    HERBAGE_REAL=DIR python -m benchmarks views --work WORK

DIR and WORK are those of the benchmark `accuracy`, whose six views of each half are used. Writes WORK/views.json.
"""

import time

import numpy as np
import torch
from torch import Tensor

from benchmarks.accuracy.ladder import FIELD_RECIPE, PLAIN
from benchmarks.accuracy.real_photos import ASSIGNMENTS, Bench, changed, command_line, real_folder
from herbage.evaluation.out_of_fold import fit_out_of_fold
from herbage.evaluation.scoring import weighted_r2
from herbage.heads.heads import fit_heads
from herbage.targets import TOTAL
from herbage.tokens.extraction import stream_tokens
from herbage.tokens.layout import numbers_beside

VIEWS = (1, 2, 4, 6)
PHOTOS = 8


def main() -> None:
    """Measure, print, write."""
    parser = command_line(__doc__)
    asked = parser.parse_args()
    bench = Bench(real_folder(parser), asked.work)
    every, digests = bench.tokens(changed(PLAIN, views=6))
    unevenness = [one[..., -numbers_beside(FIELD_RECIPE) :] for one in bench.tokens(FIELD_RECIPE)[0]]
    backbone = bench.backbone("vits14")

    def tokens(views: int) -> list[Tensor]:
        means = (one[:views].float().mean(0, keepdim=True).half() for one in every)
        return [torch.cat(pair, dim=-1) for pair in zip(means, unevenness, strict=True)]

    def maps(views: int) -> np.ndarray:
        folds = bench.folds[0]
        heads = fit_heads(FIELD_RECIPE, tokens(views), bench.grams, folds.fold, folds.group, 0)
        return np.stack([heads.density(one)[TOTAL].mean((0, 1)).numpy() for one in tokens(views)])

    lines, six = [], maps(6)
    for views in VIEWS:
        recipe = changed(FIELD_RECIPE, views=views)
        scores = [
            weighted_r2(bench.grams, fit_out_of_fold(recipe, tokens(views), bench.grams, bench.folds[a], digests, 0)[1])
            for a in ASSIGNMENTS
        ]
        alike = [float(np.corrcoef(own, best)[0, 1]) for own, best in zip(maps(views), six, strict=True)]
        started = time.perf_counter()
        list(stream_tokens(bench.table.files[:PHOTOS], backbone, recipe))
        line = {
            "views": views,
            "photo_s": (time.perf_counter() - started) / PHOTOS,
            "score": float(np.mean(scores)),
            "map_correlation": float(np.median(alike)),
        }
        print(line, flush=True)
        lines.append(line)
    bench.write("views.json", {**bench.facts(), "lines": lines})


if __name__ == "__main__":
    main()
