"""Convert the heads' raw grams to the final estimates and maps.

`xp` is the array namespace, numpy or torch: the ONNX export traces the same functions with torch.
"""

from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from herbage.backbones.views import grid_shape
from herbage.heads.heads import Heads
from herbage.recipe import Recipe
from herbage.targets import COMPONENTS, SUMS, TargetMask, balance, known_targets


def photo_map(
    heads: Heads, tokens: Float[Tensor, "view patch width"], grams: Float[np.ndarray, "5"], recipe: Recipe
) -> Float[np.ndarray, "target row column"] | None:
    """The map of one photo whose mean over patches is `grams`; None where the heads have no map."""
    density = heads.density(tokens) if recipe.has_map else None
    if density is None:
        return None
    return np.asarray(finalise_map(density.reshape(-1, *grid_shape(recipe)).numpy(), grams, recipe))


def finalise_grams(raw_g: Any, recipe: Recipe, known: TargetMask | None = None, *, xp: Any = np) -> Any:
    """Estimates (..., 5) in g per quadrat: balanced where the recipe says so, else raw; at least 0 in both cases."""
    return balance(raw_g, known, xp=xp) if recipe.balance else raw_g.clip(min=0)


def finalise_map(raw: Any, grams: Any, recipe: Recipe, known: TargetMask | None = None, *, xp: Any = np) -> Any:
    """The map (target, row, column), scaled so that its mean over patches is `grams` (target).

    `raw` holds the heads' grams per patch, at least 0. Where all patches of a target are 0, its estimate is spread
    evenly. With `recipe.balance`, each patch obeys the sums if all components are known.
    """
    known = known_targets(grams) if known is None else known
    mean = raw.mean((1, 2))[:, None, None]
    share = xp.where(mean > 0, raw / xp.where(mean > 0, mean, 1.0), 1.0)
    maps = share * grams[:, None, None]
    if not recipe.balance or not all(known[target] for target in COMPONENTS):
        return maps
    return xp.einsum("tc,crk->trk", xp.asarray(SUMS, dtype=maps.dtype), maps[list(COMPONENTS)])
