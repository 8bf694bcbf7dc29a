"""25 heads on one photo's tokens (6, 256, 1536) in memory, beside the notebook's loop of one head and view at a time.

python -m benchmarks heads [--quick]
"""

import torch

from benchmarks.speed import notebook
from benchmarks.speed.turns import asked, compared, in_turn, report
from herbage.heads.patch import PatchHeads, computing_type

VIEWS, PATCHES, WIDTH = 6, 256, 1536
TARGETS, FOLDS = 5, 5


def bank_of(heads: list[torch.nn.Module]) -> PatchHeads:
    """The notebook's heads, target by target and within a target fold by fold, as herbage holds them."""
    w1, b1, w2, b2 = (
        torch.stack([dict(one.named_parameters())[name].detach() for one in heads])
        for name in ("0.weight", "0.bias", "2.weight", "2.bias")
    )
    shape = (TARGETS, FOLDS)
    return PatchHeads(
        w1.transpose(1, 2).reshape(*shape, WIDTH, -1),
        b1.reshape(*shape, -1),
        w2.reshape(*shape, -1),
        b2.reshape(shape),
    )


def main() -> None:
    """Time both, print the ratio, write heads.json."""
    options = asked(__doc__).parse_args()
    torch.manual_seed(0)
    tokens = torch.randn(VIEWS, PATCHES, WIDTH).half()
    heads = [notebook.head(WIDTH) for _ in range(TARGETS * FOLDS)]
    bank = bank_of(heads)
    full = tokens.float()
    flop = 2 * VIEWS * PATCHES * WIDTH * notebook.HIDDEN * len(heads)
    lines = []
    for name, kept in (("half", tokens), ("float32", full)):
        seconds = in_turn(
            3 if options.quick else 15,
            theirs=lambda: notebook.grams(heads, full),
            ours=lambda kept=kept: bank.grams(kept),
        )
        expected = notebook.grams(heads, full)
        apart = (bank.grams(kept).flatten(0, 1) - expected).abs().max() / expected.mean()
        line = compared(f"25 heads, tokens in {name}", seconds["theirs"], seconds["ours"], computing_type(kept), flop)
        lines.append({**line, "largest_difference": float(apart)})
    report("heads", lines, options.out)


if __name__ == "__main__":
    main()
