"""Where a photo's time goes on a CPU, and single parts done in another way: attention, and query, key and value.

python -m benchmarks parts [--quick]
"""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.speed import notebook
from benchmarks.speed.backbones import backbone_of, photos
from benchmarks.speed.turns import asked, in_turn, report, timed
from herbage.backbones.dinov2 import image_by_image
from herbage.backbones.opening import open_backbone
from herbage.backbones.views import look
from herbage.photos.discovery import find_photos
from herbage.photos.photo import open_photo
from herbage.recipe import load_recipe

ATTENTION = {
    "ViT-S, 6 views of 224": (6, 6, 257),
    "giant, 6 views of 224": (6, 24, 257),
    "ViT-S, 8 images of 518": (8, 6, 1370),
}
HEAD_WIDTH = 64
ROWS, WIDTH = 1542, 1536
"""Six views of the giant."""


@torch.inference_mode()
def main() -> None:
    """Time the parts, write parts.json."""
    options = asked(__doc__).parse_args()
    turns = 3 if options.quick else 15
    recipe = load_recipe("seed")
    file = find_photos(photos(4, options.work))[0]
    backbone = open_backbone(backbone_of("vits", options.work))
    pixels = open_photo(file).pixels()
    images = look(pixels, recipe, backbone.patch_px)
    lines = [
        {"work": name, "ours_s": float(np.median([timed(part) for _ in range(turns)]))}
        for name, part in {
            "reading and decoding": lambda: open_photo(file).pixels(),
            "resizing, six views": lambda: look(pixels, recipe, backbone.patch_px),
            "ViT-S on six views": lambda: backbone(images),
            "the notebook's six readings": lambda: [notebook.see(file.path, one) for one in notebook.TURNS],
        }.items()
    ]
    for name, shape in ATTENTION.items():
        query, key, value = torch.randn(3, *shape, HEAD_WIDTH).bfloat16()
        lines.append(
            either(
                f"attention, {name}", turns,
                lambda q=query, k=key, v=value: image_by_image(torch.nn.Identity(), q, k, v, None),
                lambda q=query, k=key, v=value: F.scaled_dot_product_attention(q, k, v),
            )
        )  # fmt: skip
    vectors, weight = torch.randn(ROWS, WIDTH).bfloat16(), torch.randn(3 * WIDTH, WIDTH).bfloat16()
    lines.append(
        either(
            "query, key and value of the giant", turns,
            lambda: [F.linear(vectors, own) for own in weight.chunk(3)],
            lambda: F.linear(vectors, weight),
        )
    )  # fmt: skip
    report("parts", lines, options.out)


def either(work: str, turns: int, ours: Callable[[], object], other: Callable[[], object]) -> dict[str, object]:
    """Medians of what herbage does and of what it does not."""
    seconds = in_turn(turns, ours=ours, other=other)
    return {"work": work, "ours_s": float(np.median(seconds["ours"])), "other_s": float(np.median(seconds["other"]))}


if __name__ == "__main__":
    main()
