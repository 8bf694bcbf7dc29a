"""Crops and views of a photo: `View.apply` transforms pixels, `View.undo` turns a patch grid upright again."""

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
"""The upright 8-bit RGB pixels of a photo."""


@dataclass(frozen=True)
class View:
    """A symmetry of the square: `turns` anticlockwise quarter turns, then flips along `flips` (-2 rows, -1 columns)."""

    name: str
    flips: tuple[int, ...] = ()
    turns: int = 0

    def apply(self, pixels: Float[Tensor, "*channel row column"]) -> Float[Tensor, "*channel row column"]:
        """Turn and flip the pixels."""
        return torch.rot90(pixels, self.turns, (-2, -1)).flip(self.flips)

    def undo(self, grid: Float[Tensor, "row column width"]) -> Float[Tensor, "row column width"]:
        """Turn the patch grid of this view back, so that (row, column) is a place in the upright image."""
        return torch.rot90(grid.flip([axis - 1 for axis in self.flips]), -self.turns, (-3, -2))


VIEWS = (
    View("as is"),
    View("horizontal flip", flips=(-1,)),
    View("vertical flip", flips=(-2,)),
    View("both flips", flips=(-2, -1)),
    View("turned 90", turns=1),
    View("turned 270", turns=3),
)
"""In the order of the public notebook; a recipe with `views = n` uses the first n."""

CROPS = {"whole": 1, "halves": 2, "tiles": 40}
"""Images per view for each kind of crop; those of `whole` and `halves` lie side by side in the photo."""


def grid_shape(recipe: Recipe) -> tuple[int, int]:
    """Rows and columns of the photo's patch grid with all crops joined (for halves and grid 37: 37 x 74)."""
    return recipe.grid, recipe.grid * CROPS[recipe.crops]


def patches_per_photo(recipe: Recipe) -> int:
    """Upper bound of the patches that the backbone computes per photo, over all crops and views."""
    return recipe.views * CROPS[recipe.crops] * recipe.grid**2


def view_images(pixels: Pixels, recipe: Recipe, patch_px: int) -> Float[Tensor, "image 3 side side"]:
    """Build the backbone's input images of one photo, ordered by view and then by crop.

    The steps are those of the public notebook: convert to float, resize to grid x patch pixels (bilinear, antialiased),
    normalise by ImageNet's mean and standard deviation, blur with a 5-tap Gaussian and reflected edges. Flips, quarter
    turns and the symmetric blur commute with the resize to a square, so each crop is resized only once for all views.
    """
    side_px = recipe.grid * patch_px
    photo = torch.as_tensor(pixels).permute(2, 0, 1)
    count = CROPS[recipe.crops]
    # Every crop gets at least one column, even in a photo with fewer columns than crops.
    edges = [photo.shape[2] * i // count for i in range(count + 1)]
    # One crop after the other: as floats, a photo of 12 megapixels takes 144 MB.
    crops = (photo[:, :, left : max(right, left + 1)].float().div_(255) for left, right in pairwise(edges))
    squares = torch.cat(
        [
            F.interpolate(crop[None], size=(side_px, side_px), mode="bilinear", antialias=True, align_corners=False)
            for crop in crops
        ]
    )
    squares = normalise(squares, recipe)
    return torch.cat([view.apply(squares) for view in VIEWS[: recipe.views]])


def normalise(images: Float[Tensor, "image 3 row column"], recipe: Recipe) -> Float[Tensor, "image 3 row column"]:
    """Normalise pixels (0 to 1) by ImageNet's mean and standard deviation, and blur them if the recipe has a blur.

    Modifies `images` in place, because copies of a photo's many tiles would take three times the memory.
    """
    images.sub_(torch.tensor(IMAGENET_MEAN)[:, None, None]).div_(torch.tensor(IMAGENET_STD)[:, None, None])
    return blur(images, recipe.blur_sigma) if recipe.blur_sigma else images


def blur(images: Float[Tensor, "image channel row column"], sigma: float) -> Float[Tensor, "image channel row column"]:
    """Blur with a 5-tap Gaussian and reflected edges; `sigma` in pixels."""
    offsets = torch.arange(BLUR_TAPS, dtype=torch.float32) - BLUR_TAPS // 2
    taps = torch.exp(-0.5 * (offsets / sigma) ** 2)
    taps = taps / taps.sum()
    channels = images.shape[1]
    padded = F.pad(images, [BLUR_TAPS // 2] * 4, mode="reflect")
    across = F.conv2d(padded, taps.expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(across, taps[:, None].expand(channels, 1, -1, 1), groups=channels)
