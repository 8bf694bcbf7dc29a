"""25 heads on one photo's tokens (6, 256, 1536) in memory, compared with the notebook's loop over heads and views.

python -m benchmarks heads [--quick]
"""

import torch

from benchmarks.harness import option_parser, parse
from benchmarks.speed import notebook
from benchmarks.speed.timing import compared, in_turn, report
from herbage.heads.patch import PatchHeads, computing_type

VIEWS, PATCHES, WIDTH = 6, 256, 1536
TARGETS, FOLDS = 5, 5


def bank_of(heads: list[torch.nn.Module]) -> PatchHeads:
    """The notebook's heads as herbage stores them; they come in order of target, then fold."""
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
    options = parse(option_parser(__doc__))
    torch.manual_seed(0)
    tokens = torch.randn(VIEWS, PATCHES, WIDTH).half()
    heads = [notebook.head(WIDTH) for _ in range(TARGETS * FOLDS)]
    bank = bank_of(heads)
    full = tokens.float()
    flop = 2 * VIEWS * PATCHES * WIDTH * notebook.HIDDEN * len(heads)
    lines = []
    for name, given in (("half", tokens), ("float32", full)):
        seconds = in_turn(
            3 if options.quick else 15,
            theirs=lambda: notebook.grams(heads, full),
            ours=lambda given=given: bank.grams(given),
        )
        expected = notebook.grams(heads, full)
        difference = (bank.grams(given).flatten(0, 1) - expected).abs().max() / expected.mean()
        line = compared(f"25 heads, tokens in {name}", seconds["theirs"], seconds["ours"], computing_type(given), flop)
        lines.append({**line, "largest_difference": float(difference)})
    report("heads", lines, options.out)
