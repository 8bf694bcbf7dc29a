"""docs/crosspvt.md, from what `crosspvt` and `crosspvt-cost` wrote below WORK.

python -m benchmarks crosspvt-page --work WORK
"""

import json
from itertools import groupby

import torch

from benchmarks.accuracy.crosspvt import CHOICE, CROSSPVT, DEFECT, ONE, TILE_RIDGE
from benchmarks.accuracy.real_photos import command_line
from benchmarks.page import write_page
from herbage.heads.crosspvt.network import CrossPvt

BASE_WIDTH = 768
"""Of the recipe's own backbone."""


def main() -> None:
    """Write the page."""
    work = command_line(__doc__).parse_args().work
    measured, cost = (json.loads((work / f"{name}.json").read_text()) for name in ("crosspvt", "crosspvt_cost"))
    with torch.device("meta"):
        network = CrossPvt(BASE_WIDTH, CROSSPVT.crosspvt)
    write_page(
        "crosspvt",
        measured=measured,
        rungs={rung["name"]: rung for rung in measured["rungs"]},
        parts={part: list(of) for part, of in groupby(measured["rungs"], key=lambda rung: rung["part"])},
        settings=CROSSPVT.crosspvt,
        tile_ridge=TILE_RIDGE,
        one=ONE,
        on_one=(DEFECT, CHOICE),
        weights=sum(weight.numel() for weight in network.parameters()),
        cost=cost,
    )


if __name__ == "__main__":
    main()
