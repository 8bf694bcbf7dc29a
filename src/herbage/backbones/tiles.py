"""Tiles of both halves, each seen as an image of its own: the crops of CrossPVT.

A half is cut into 4 x 4 small tiles and 2 x 2 big ones, row by row. A view turns the half before it is cut, so that its
tiles stand in the view's own order.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from herbage.backbones.views import VIEWS, Pixels, prepared
from herbage.recipe import Recipe

HALVES = 2
SIDES = (4, 2)
"""Tiles a side of a half, small and big."""

TILES = HALVES * sum(side**2 for side in SIDES)


def look_at_tiles(pixels: Pixels, recipe: Recipe, patch_px: int) -> list[Float[Tensor, "image 3 side side"]]:
    """The small tiles and the big tiles, each view by view, half by half, row by row.

    Native tiles are cut from the half as it is; a big one is seen at `grid` patches a side and a small one at half as
    many. Published ones are cut from the half resized to `grid` patches a side (area), and resized up to as many.
    """
    photo = torch.as_tensor(pixels).permute(2, 0, 1).float().div_(255)
    middle = max(1, photo.shape[2] // HALVES)
    halves = [photo[:, :, :middle], photo[:, :, min(middle, photo.shape[2] - 1) :]]
    published = recipe.tiles == "published"
    if published:
        size = (recipe.grid * patch_px,) * 2
        halves = [F.interpolate(half[None], size=size, mode="area")[0] for half in halves]
    seen = [[view.look(half) for half in halves] for view in VIEWS[: recipe.views]]
    looks = []
    for side in SIDES:
        side_px = patch_px * (recipe.grid if published else recipe.grid * min(SIDES) // side)
        tiles = [tile for halves in seen for half in halves for tile in cut(half, side)]
        looks.append(
            torch.cat(
                [
                    F.interpolate(tile[None], size=(side_px,) * 2, mode="bilinear", antialias=not published)
                    for tile in tiles
                ]
            )
        )
    return [prepared(images, recipe) for images in looks]


def cut(half: Float[Tensor, "3 row column"], side: int) -> list[Float[Tensor, "3 tile_row tile_column"]]:
    """side x side tiles, row by row, cut at rounded even steps; the smallest half still gives every tile a pixel."""
    rows, columns = (_spans(length, side) for length in half.shape[1:])
    return [half[:, row, column] for row in rows for column in columns]


def _spans(length: int, count: int) -> list[slice]:
    edges = np.round(np.linspace(0, length, count + 1)).astype(int).tolist()
    starts = [min(edge, length - 1) for edge in edges[:-1]]
    return [slice(start, max(end, start + 1)) for start, end in zip(starts, edges[1:], strict=True)]


def tile_tokens(
    small: Float[Tensor, "small_image width"], big: Float[Tensor, "big_image width"], recipe: Recipe
) -> Float[Tensor, "view 40 width"]:
    """Class vectors in the order left small, left big, right small, right big."""
    shape = (recipe.views, HALVES, -1, small.shape[-1])
    return torch.cat([small.reshape(shape), big.reshape(shape)], dim=2).flatten(1, 2)
