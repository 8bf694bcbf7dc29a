"""What a recipe keeps of a photo's vectors: upright tokens, patch (row, column) the same place in every view."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from herbage.backbones import texture
from herbage.backbones.tiles import look_at_tiles, tile_tokens
from herbage.backbones.views import CROPS, VIEWS, Pixels, grid_shape, look
from herbage.recipe import Recipe


def tokens_shape(recipe: Recipe, width: int) -> tuple[int, int, int]:
    """Views, vectors a view (all patches, or the class vector of each crop) and numbers a vector of one photo's tokens.

    `width` is the backbone's.
    """
    rows, columns = grid_shape(recipe)
    vectors = rows * columns if recipe.keep == "patch" else CROPS[recipe.crops]
    return 1 if recipe.average_views else recipe.views, vectors, width + numbers_beside(recipe)


def numbers_beside(recipe: Recipe) -> int:
    """How many numbers of each vector are not the backbone's; they are its last."""
    return len(texture.NAMES) if recipe.heterogeneity else 0


class Seen(NamedTuple):
    """Images of one size, and what the backbone said of them."""

    images: Float[Tensor, "image 3 side side"]
    class_vectors: Float[Tensor, "image width"]
    patches: Float[Tensor, "image patch width"]


def shown_images(pixels: Pixels, recipe: Recipe, patch_px: int) -> list[Float[Tensor, "image 3 side side"]]:
    """All images of one photo, those of one size together."""
    return look_at_tiles(pixels, recipe, patch_px) if recipe.crops == "tiles" else [look(pixels, recipe, patch_px)]


def kept_tokens(seen: Sequence[Seen], recipe: Recipe) -> Float[Tensor, "view kept kept_width"]:
    """The tokens that the recipe keeps of one photo: patch (row, column) is the same place in every view.

    With `keep = "patch"` the crops' grids are undone one by one and joined from left to right; with `keep = "class"`
    there is one vector a crop, those of tiles in the view's own order.
    """
    if recipe.crops == "tiles":
        small, big = (of.class_vectors for of in seen)
        return tile_tokens(small, big, recipe)
    ((images, class_vectors, patches),) = seen
    count, width = CROPS[recipe.crops], patches.shape[-1]
    if recipe.keep == "class":
        tokens = class_vectors.reshape(recipe.views, count, width)
    else:
        grids = patches.reshape(recipe.views, count, recipe.grid, recipe.grid, width)
        views = zip(VIEWS[: recipe.views], grids, strict=True)
        tokens = torch.stack([_join([view.undo(grid) for grid in crops]) for view, crops in views])
    if recipe.average_views:
        tokens = tokens.mean(0, keepdim=True)
    if recipe.heterogeneity:
        # It is the photo's, not a patch's: the same beside every vector, so a map spreads what it says evenly.
        beside = texture.heterogeneity(images[:count], images.shape[-1] // recipe.grid)
        tokens = torch.cat([tokens, beside.expand(*tokens.shape[:2], -1)], dim=-1)
    return tokens


def _join(crops: Sequence[Float[Tensor, "row column width"]]) -> Float[Tensor, "patch width"]:
    """One grid of patches from those of the crops, from left to right."""
    return torch.cat(list(crops), dim=1).flatten(0, 1)
