"""Crops and views of a photo: look (pixels to pixels) and undo (patch grid to upright grid).

Flips, quarter turns and a symmetric blur commute with a squash to a square, so a photo is resized once, and its views
are symmetries of one small tensor.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from herbage.recipe import Recipe

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
NORMALISATION = "imagenet"
BLUR_TAPS = 5


Pixels = UInt8[np.ndarray, "height width 3"] | UInt8[Tensor, "height width 3"]
"""A photo's upright RGB."""


@dataclass(frozen=True)
class View:
    """One symmetry of a square: `turns` quarter turns anticlockwise, or flips along `flips` (-2 rows, -1 columns)."""

    name: str
    flips: tuple[int, ...] = ()
    turns: int = 0

    def look(self, pixels: Float[Tensor, "*channel row column"]) -> Float[Tensor, "*channel row column"]:
        """The picture as this view shows it."""
        return torch.rot90(pixels, self.turns, (-2, -1)).flip(self.flips)

    def undo(self, grid: Float[Tensor, "row column width"]) -> Float[Tensor, "row column width"]:
        """The patch grid of this view, turned back so that (row, column) is the upright picture's."""
        return torch.rot90(grid.flip([axis - 1 for axis in self.flips]), -self.turns, (-3, -2))


VIEWS = (
    View("as is"),
    View("horizontal flip", flips=(-1,)),
    View("vertical flip", flips=(-2,)),
    View("both flips", flips=(-2, -1)),
    View("turned 90", turns=1),
    View("turned 270", turns=3),
)
"""In the notebook's order; a recipe with `views = n` takes the first n."""

CROPS = {"whole": 1, "halves": 2, "tiles": 40}
"""How many images each kind of crop makes of a view; those of `whole` and `halves` stand side by side."""


def grid_shape(recipe: Recipe) -> tuple[int, int]:
    """Rows and columns of the photo's whole patch grid, its crops joined (halves at 37: 37 x 74)."""
    return recipe.grid, recipe.grid * CROPS[recipe.crops]


def patches_per_photo(recipe: Recipe) -> int:
    """How many patches the backbone sees of one photo at most, all crops and views together."""
    return recipe.views * CROPS[recipe.crops] * recipe.grid**2


def look(pixels: Pixels, recipe: Recipe, patch_px: int) -> Float[Tensor, "image 3 side side"]:
    """All images of one photo, view by view and within a view crop by crop, normalised for the backbone.

    As the notebook: to a float tensor, resized (bilinear, antialias) to grid x patch pixels, ImageNet mean and standard
    deviation, then a Gaussian blur of 5 taps with reflected edges.
    """
    side_px = recipe.grid * patch_px
    photo = torch.as_tensor(pixels).permute(2, 0, 1).float().div_(255)
    count = CROPS[recipe.crops]
    # A photo narrower than its crops still gives every crop at least one column.
    edges = [photo.shape[2] * i // count for i in range(count + 1)]
    crops = [photo[:, :, left : max(right, left + 1)] for left, right in pairwise(edges)]
    squares = torch.cat(
        [
            F.interpolate(crop[None], size=(side_px, side_px), mode="bilinear", antialias=True, align_corners=False)
            for crop in crops
        ]
    )
    squares = prepared(squares, recipe)
    return torch.cat([view.look(squares) for view in VIEWS[: recipe.views]])


def prepared(images: Float[Tensor, "image 3 row column"], recipe: Recipe) -> Float[Tensor, "image 3 row column"]:
    """Pixels from 0 to 1, normalised by ImageNet's mean and standard deviation, then blurred if the recipe says so.

    Changes them in place: the many tiles of a photo would else stand in memory three times.
    """
    images.sub_(torch.tensor(IMAGENET_MEAN)[:, None, None]).div_(torch.tensor(IMAGENET_STD)[:, None, None])
    return blur(images, recipe.blur_sigma) if recipe.blur_sigma else images


def blur(images: Float[Tensor, "image channel row column"], sigma: float) -> Float[Tensor, "image channel row column"]:
    """Gaussian blur of 5 taps, edges reflected; sigma in pixels."""
    offsets = torch.arange(BLUR_TAPS, dtype=torch.float32) - BLUR_TAPS // 2
    taps = torch.exp(-0.5 * (offsets / sigma) ** 2)
    taps = taps / taps.sum()
    channels = images.shape[1]
    padded = F.pad(images, [BLUR_TAPS // 2] * 4, mode="reflect")
    across = F.conv2d(padded, taps.expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(across, taps[:, None].expand(channels, 1, -1, 1), groups=channels)
