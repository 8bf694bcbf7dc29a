"""The layout of a photo's tokens: upright, so that patch (row, column) is the same place in every view."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from herbage.backbones.tiles import tile_images, tile_tokens
from herbage.backbones.views import CROPS, VIEWS, Pixels, grid_shape, view_images
from herbage.recipe import Recipe


def tokens_shape(recipe: Recipe, width: int) -> tuple[int, int, int]:
    """The shape (view, patch, width) of one photo's tokens; with `keep = "class"`, (view, crop, width).

    `width` is that of the backbone's vectors.
    """
    rows, columns = grid_shape(recipe)
    vectors = rows * columns if recipe.keep == "patch" else CROPS[recipe.crops]
    return 1 if recipe.average_views else recipe.views, vectors, width


class BackboneOutput(NamedTuple):
    """The backbone's vectors for images of one size."""

    class_vectors: Float[Tensor, "image width"]
    patches: Float[Tensor, "image patch width"]


def input_images(pixels: Pixels, recipe: Recipe, patch_px: int) -> list[Float[Tensor, "image 3 side side"]]:
    """The backbone's input images of one photo, one tensor for each image size."""
    return tile_images(pixels, recipe, patch_px) if recipe.crops == "tiles" else [view_images(pixels, recipe, patch_px)]


def upright_tokens(outputs: Sequence[BackboneOutput], recipe: Recipe) -> Float[Tensor, "view patch width"]:
    """One photo's tokens from the outputs for its `input_images`.

    With `keep = "patch"` each crop's grid is turned back upright, and the crops are joined from left to right. With
    `keep = "class"` there is one vector per crop; those of tiles are in the view's own order.
    """
    if recipe.crops == "tiles":
        small, big = (output.class_vectors for output in outputs)
        return tile_tokens(small, big, recipe)
    ((class_vectors, patches),) = outputs
    count, width = CROPS[recipe.crops], patches.shape[-1]
    if recipe.keep == "class":
        tokens = class_vectors.reshape(recipe.views, count, width)
    else:
        grids = patches.reshape(recipe.views, count, recipe.grid, recipe.grid, width)
        views = zip(VIEWS[: recipe.views], grids, strict=True)
        tokens = torch.stack([_join([view.undo(grid) for grid in crops]) for view, crops in views])
    return tokens.mean(0, keepdim=True) if recipe.average_views else tokens


def _join(crops: Sequence[Float[Tensor, "row column width"]]) -> Float[Tensor, "patch width"]:
    """Join the crops' grids of patches from left to right."""
    return torch.cat(list(crops), dim=1).flatten(0, 1)
