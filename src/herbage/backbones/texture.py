"""The built-in `texture` backbone: a baseline of hand-crafted colour and texture features, without weights."""

import hashlib
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from herbage.backbones.engine import Precision, resolve_engine
from herbage.backbones.views import IMAGENET_MEAN, IMAGENET_STD

VERSION = "texture 1"
PATCH_PX = 14
ORIENTATIONS = 4

COLOURS = ("red", "green", "blue", "brightness", "excess_green", "excess_red", "green_red", "yellowness", "saturation")
NAMES = (
    *(f"mean_{name}" for name in COLOURS),
    *(f"spread_{name}" for name in COLOURS),
    *(f"share_{name}" for name in ("green", "straw", "dark", "bright")),
    *(f"contrast_{step}px" for step in (1, 2, 4)),
    *(f"edges_{step}px_{180 * turn // ORIENTATIONS}deg" for step in (1, 2) for turn in range(ORIENTATIONS)),
    *(f"coherence_{step}px" for step in (1, 2)),
    "neighbourhood_excess_green",
    "neighbourhood_brightness",
)


class TextureBackbone:
    """Hand-crafted features per patch of 14 pixels, in the order of NAMES; the class vector is the mean over patches.

    It is a baseline that every pretrained backbone should beat, and the backbone of the demo.

    `mean_*` and `spread_*`: mean and standard deviation of nine colour features, which are red, green, blue (0 to 1),
    brightness, four indices of the chromaticities r, g, b = colour / (red + green + blue), namely excess green 2g-r-b,
    excess red 1.4r-g, (g-r)/(g+r) and yellowness (r+g)/2-b, and saturation max-min. `share_*`: the share of pixels
    that are green (excess green over 0.08), straw (bright, yellow, not green), dark (brightness under 0.2) or bright
    (over 0.7). `contrast_*`: mean absolute difference from a local mean at 1, 2 and 4 pixels. `edges_*`: mean absolute
    gradient along four orientations at two scales. `coherence_*`: how dominant one orientation is (0 to 1).
    `neighbourhood_*`: means over 5 x 5 patches.
    """

    name = "texture"
    digest = source_digest = hashlib.sha256(VERSION.encode()).hexdigest()
    patch_px = PATCH_PX
    width = len(NAMES)
    batch_patches = 0

    def __init__(self, precision: Precision = "auto") -> None:
        # It always computes in fp32 on the CPU; `precision` sets only the type in which tokens are stored.
        self.engine = replace(resolve_engine("cpu", precision, library=VERSION), precision="fp32")

    @torch.inference_mode()
    def __call__(
        self, images: Float[Tensor, "image 3 side side"]
    ) -> tuple[Float[Tensor, "image width"], Float[Tensor, "image patch width"]]:
        """Compute the class vector and the patch vectors of each image, float32."""
        patches = texture_features(images, PATCH_PX)
        return patches.mean(1), patches


def texture_features(images: Float[Tensor, "image 3 side side"], patch_px: int) -> Float[Tensor, "image patch feature"]:
    """Compute the features of TextureBackbone, in the order of NAMES, for patches of any side."""
    rgb = images * torch.tensor(IMAGENET_STD)[:, None, None] + torch.tensor(IMAGENET_MEAN)[:, None, None]
    colours = _colours(rgb.clamp(0, 1))
    bright, excess_green, yellow = (colours[:, COLOURS.index(n)] for n in ("brightness", "excess_green", "yellowness"))
    green = excess_green > 0.08
    shares = torch.stack([green, (bright > 0.45) & (yellow > 0.04) & ~green, bright < 0.2, bright > 0.7], 1).float()
    mean = F.avg_pool2d(colours, patch_px)
    spread = (F.avg_pool2d(colours**2, patch_px) - mean**2).clamp(min=0).sqrt()
    contrasts = [F.avg_pool2d((bright - _local_mean(bright, step)).abs()[:, None], patch_px) for step in (1, 2, 4)]
    edges = [_edges(bright, step, patch_px) for step in (1, 2)]
    wide = F.avg_pool2d(F.pad(mean[:, [4, 3]], [2] * 4, mode="replicate"), 5, stride=1)
    shares = F.avg_pool2d(shares, patch_px)
    maps = torch.cat([mean, spread, shares, *contrasts, *(e for e, _ in edges), *(c for _, c in edges), wide], dim=1)
    return maps.flatten(2).transpose(1, 2).contiguous()


def _colours(rgb: Float[Tensor, "image 3 row column"]) -> Float[Tensor, "image colour row column"]:
    red, green, blue = rgb.unbind(1)
    r, g, b = (rgb / rgb.sum(1, keepdim=True).clamp(min=1e-3)).unbind(1)
    green_red = (g - r) / (g + r).clamp(min=1e-3)
    saturation = rgb.amax(1) - rgb.amin(1)
    features = [red, green, blue, rgb.mean(1), 2 * g - r - b, 1.4 * r - g, green_red, (r + g) / 2 - b, saturation]
    return torch.stack(features, 1)


def _local_mean(bright: Float[Tensor, "image row column"], step: int) -> Float[Tensor, "image row column"]:
    size = 2 * step + 1
    return F.avg_pool2d(F.pad(bright[:, None], [step] * 4, mode="replicate"), size, stride=1)[:, 0]


def _edges(
    bright: Float[Tensor, "image row column"], step: int, patch_px: int
) -> tuple[Float[Tensor, "image orientation row2 column2"], Float[Tensor, "image 1 row2 column2"]]:
    """Mean absolute gradient along each orientation, and coherence of the structure tensor, per patch."""
    padded = F.pad(bright[:, None], [step] * 4, mode="replicate")[:, 0]
    down = (padded[:, 2 * step :, step:-step] - padded[:, : -2 * step, step:-step]) / 2
    across = (padded[:, step:-step, 2 * step :] - padded[:, step:-step, : -2 * step]) / 2
    angles = torch.arange(ORIENTATIONS) * torch.pi / ORIENTATIONS
    along = across[:, None] * angles.cos()[:, None, None] + down[:, None] * angles.sin()[:, None, None]
    energy = F.avg_pool2d(along.abs(), patch_px)
    xx, yy, xy = (F.avg_pool2d(p[:, None], patch_px) for p in (across**2, down**2, across * down))
    coherence = ((xx - yy) ** 2 + 4 * xy**2).sqrt() / (xx + yy).clamp(min=1e-6)
    return energy, coherence
