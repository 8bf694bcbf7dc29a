"""Backbones with random weights and drawn photos, both of real size, which is all that timing needs."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from herbage.backbones.dinov2 import Dinov2Backbone
from herbage.backbones.openvino import EXPORT_RECORD, export_backbone
from herbage.backbones.views import view_images
from herbage.photos.discovery import find_photos
from herbage.photos.drawing import Light, draw_sward
from herbage.photos.photo import open_photo
from herbage.recipe import load_recipe

SHAPES = {
    "giant": {"hidden_size": 1536, "num_hidden_layers": 40, "num_attention_heads": 24, "use_swiglu_ffn": True},
    "vits": {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6},
}
PHOTO_PX = (2000, 1000)


def random_backbone(shape: str, place: Path) -> Path:
    """A folder below `place` with a DINOv2 of this shape and random weights in bf16, made once."""
    folder = place / f"random-{shape}"
    if not (folder / "config.json").is_file():
        from transformers import Dinov2Config, Dinov2Model

        with torch.device("meta"):
            model = Dinov2Model(Dinov2Config(image_size=518, patch_size=14, **SHAPES[shape])).to(torch.bfloat16)
        model.to_empty(device="cpu")
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if weight.dim() > 1:
                    weight.normal_(0, 0.02, generator=generator)
                else:
                    weight.fill_(float("bias" not in name))
        model.save_pretrained(folder)
    return folder


def backbone_of(shape: str, place: Path) -> Path:
    """HERBAGE_REAL/vits14 for `vits` where it exists, or else a backbone with random weights."""
    real = Path(os.environ.get("HERBAGE_REAL", "")) / "vits14"
    return real if shape == "vits" and (real / "config.json").is_file() else random_backbone(shape, place)


def int8_of(source: Path, place: Path, listed: Path, count: int) -> Path:
    """The backbone exported to OpenVINO in int8 below `place`, made once, calibrated on `count` views of the photos."""
    folder = place / f"{source.name}-int8"
    if not (folder / EXPORT_RECORD).is_file():
        exact = Dinov2Backbone(str(source), device="cpu", precision="fp32")
        images = [
            view_images(open_photo(file).pixels(), load_recipe("seed"), exact.patch_px) for file in find_photos(listed)
        ]
        views = [images[n % len(images)][n // len(images) % len(images[0])][None] for n in range(count)]
        export_backbone(exact, folder, "int8", [partial(torch.clone, view) for view in views])
    return folder


def flop_per_image(folder: Path, side_px: int) -> int:
    """Multiplications and additions of all matrix products for one image."""
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        model = AutoModel.from_config(config, attn_implementation="eager")
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.empty(1, 3, side_px, side_px))
    return int(counter.get_total_flops())


def photos(count: int, place: Path) -> Path:
    """A text file of paths of `count` photos: of HERBAGE_REAL, or else drawn ones of the same size."""
    if "HERBAGE_REAL" in os.environ:
        files = [file.path.resolve() for file in find_photos(Path(os.environ["HERBAGE_REAL"]) / "train")[:count]]
    else:
        files = [place.resolve() / f"drawn-{number}.jpg" for number in range(count)]
        for number, file in enumerate(files):
            if not file.is_file():
                rng = np.random.default_rng(number)
                place.mkdir(parents=True, exist_ok=True)
                sward = draw_sward(rng, Light.draw(rng), green=25, dead=10, clover=5)
                # Camera noise makes the file as slow to decode as a real photo.
                pixels = np.asarray(sward.image.resize(PHOTO_PX, Image.Resampling.BICUBIC), float)
                noisy = (pixels + rng.normal(0, 12, pixels.shape)).clip(0, 255).astype(np.uint8)
                Image.fromarray(noisy).save(file, quality=95)
    listed = place / f"photos-{count}.txt"
    place.mkdir(parents=True, exist_ok=True)
    listed.write_text("\n".join(map(str, files)) + "\n", "utf-8")
    return listed
