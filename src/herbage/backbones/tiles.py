"""Tiles of both halves of a photo, each a separate input image: the crops of CrossPVT."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from herbage.backbones.views import VIEWS, Pixels, normalise
from herbage.recipe import Recipe

HALVES = 2
SIDES = (4, 2)
"""Small and big tiles per side of a half."""

TILES = HALVES * sum(side**2 for side in SIDES)


def tile_images(pixels: Pixels, recipe: Recipe, patch_px: int) -> list[Float[Tensor, "image 3 side side"]]:
    """Build the images of the small tiles and of the big tiles, each ordered by view, half, row and column.

    A half is cut into 4 x 4 small tiles and 2 x 2 big tiles. A view transforms the half before it is cut, so tiles are
    numbered by their position in the view, not in the photo.

    Native tiles are cut from the half at full resolution; a big tile is resized to `grid` patches per side, a small
    tile to half as many. Published tiles are cut from the half after it was resized to `grid` patches per side (area
    interpolation), and every tile is resized to `grid` patches per side again.
    """
    photo = torch.as_tensor(pixels).permute(2, 0, 1).float().div_(255)
    middle = max(1, photo.shape[2] // HALVES)
    halves = [photo[:, :, :middle], photo[:, :, min(middle, photo.shape[2] - 1) :]]
    published = recipe.tiles == "published"
    if published:
        size = (recipe.grid * patch_px,) * 2
        halves = [F.interpolate(half[None], size=size, mode="area")[0] for half in halves]
    by_view = [[view.apply(half) for half in halves] for view in VIEWS[: recipe.views]]
    by_side = []
    for side in SIDES:
        side_px = patch_px * (recipe.grid if published else recipe.grid * min(SIDES) // side)
        tiles = [tile for halves in by_view for half in halves for tile in cut(half, side)]
        by_side.append(
            torch.cat(
                [
                    F.interpolate(tile[None], size=(side_px,) * 2, mode="bilinear", antialias=not published)
                    for tile in tiles
                ]
            )
        )
    return [normalise(images, recipe) for images in by_side]


def cut(half: Float[Tensor, "3 row column"], side: int) -> list[Float[Tensor, "3 tile_row tile_column"]]:
    """Cut into side x side tiles, in row-major order, at rounded even steps; every tile has at least one pixel."""
    rows, columns = (_spans(length, side) for length in half.shape[1:])
    return [half[:, row, column] for row in rows for column in columns]


def _spans(length: int, count: int) -> list[slice]:
    edges = np.round(np.linspace(0, length, count + 1)).astype(int).tolist()
    starts = [min(edge, length - 1) for edge in edges[:-1]]
    return [slice(start, max(end, start + 1)) for start, end in zip(starts, edges[1:], strict=True)]


def tile_tokens(
    small: Float[Tensor, "small_image width"], big: Float[Tensor, "big_image width"], recipe: Recipe
) -> Float[Tensor, "view 40 width"]:
    """Order the class vectors of each view as left small, left big, right small, right big."""
    shape = (recipe.views, HALVES, -1, small.shape[-1])
    return torch.cat([small.reshape(shape), big.reshape(shape)], dim=2).flatten(1, 2)
