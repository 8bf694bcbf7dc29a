"""Where the time of one photo goes on a CPU, and attention compared with torch's own.

python -m benchmarks parts [--quick]
"""

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.harness import option_parser, parse
from benchmarks.speed import notebook
from benchmarks.speed.backbones import backbone_of, photos
from benchmarks.speed.timing import in_turn, report, timed
from herbage.backbones.dinov2 import attention_per_image
from herbage.backbones.opening import open_backbone
from herbage.backbones.views import view_images
from herbage.photos.discovery import find_photos
from herbage.photos.photo import open_photo
from herbage.recipe import load_recipe

ATTENTION = {
    "ViT-S, 6 views of 224": (6, 6, 257),
    "giant, 6 views of 224": (6, 24, 257),
    "ViT-S, 8 images of 518": (8, 6, 1370),
}
HEAD_WIDTH = 64


@torch.inference_mode()
def main() -> None:
    """Time the parts, write parts.json."""
    options = parse(option_parser(__doc__))
    turns = 3 if options.quick else 15
    recipe = load_recipe("seed")
    file = find_photos(photos(4, options.work))[0]
    backbone = open_backbone(backbone_of("vits", options.work))
    pixels = open_photo(file).pixels()
    images = view_images(pixels, recipe, backbone.patch_px)
    lines = [
        {"work": name, "ours_s": float(np.median([timed(part) for _ in range(turns)]))}
        for name, part in {
            "reading and decoding": lambda: open_photo(file).pixels(),
            "resizing, six views": lambda: view_images(pixels, recipe, backbone.patch_px),
            "ViT-S on six views": lambda: backbone(images),
            "the notebook, same six views": lambda: [notebook.see(file.path, one) for one in notebook.TURNS],
        }.items()
    ]
    for name, shape in ATTENTION.items():
        query, key, value = torch.randn(3, *shape, HEAD_WIDTH).bfloat16()
        seconds = in_turn(
            turns,
            ours=lambda q=query, k=key, v=value: attention_per_image(torch.nn.Identity(), q, k, v, None),
            torch=lambda q=query, k=key, v=value: F.scaled_dot_product_attention(q, k, v),
        )
        ours, other = (float(np.median(seconds[way])) for way in ("ours", "torch"))
        lines.append({"work": f"attention, {name}", "ours_s": ours, "torch_s": other})
    report("parts", lines, options.out)
