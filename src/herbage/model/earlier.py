"""Open models of version 0.1.0 (format 3) with their old meaning."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from herbage.errors import ModelInvalid
from herbage.recipe import Recipe, without_removed_keys
from herbage.targets import TARGETS
from herbage.tokens.layout import tokens_shape

EARLIER_FORMAT = 3


def upgrade_config(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """The values of config.json as this version has them: a linear link, uncorrected maps, colours not converted.

    Raises ModelInvalid for a model that was trained with heterogeneity, which this version cannot compute.
    """
    recipe = values.get("recipe")
    if not isinstance(recipe, dict):
        return values
    if recipe.get("heterogeneity"):
        raise ModelInvalid(
            f"{path} is of a model that was trained with heterogeneity by herbage {values.get('herbage', 'unknown')}; "
            f"this version does not have it, because its gain did not hold on other photos. Train the model again."
        )
    recipe = without_removed_keys(recipe)
    if isinstance(ridge := recipe.get("ridge"), dict):
        recipe["ridge"] = {**ridge, "link": "linear", "corrected_maps": False}
    return {**values, "recipe": recipe, "colours_converted": False}


def upgrade_heads(tensors: dict[str, Tensor], recipe: Recipe, width: int) -> dict[str, Tensor]:
    """The heads' tensors as this version has them.

    Version 0.1.0 delivered the mean of its ridge heads. They are linear, so their mean is the head with the mean
    coefficients.
    """
    if recipe.heads != "ridge":
        return tensors
    delivered = {name: torch.cat([of, of.mean(1, keepdim=True)], dim=1) for name, of in tensors.items()}
    return {**delivered, "common": torch.zeros(len(TARGETS), *tokens_shape(recipe, width)[:2])}
