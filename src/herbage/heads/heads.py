"""The Heads protocol: fitted on tokens, grams and folds; from tokens to grams, and to a map where there is one."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from herbage.errors import ModelInvalid
from herbage.heads.patch import PatchHeads
from herbage.heads.ridge import RidgeHeads
from herbage.recipe import Recipe


@runtime_checkable
class Heads(Protocol):
    """One small network a target and fold; the head of fold f has seen no photo of fold f."""

    def grams(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold view"]:
        """Raw grams of one photo."""
        ...

    def density(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold view patch"] | None:
        """Raw grams, if the whole photo looked like this patch; its mean over patches is `grams`. None: no map."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """What a model file keeps."""
        ...


def fit_heads(
    recipe: Recipe,
    tokens: Sequence[Tensor],
    grams: Float[np.ndarray, "photo target"],
    folds: Int[np.ndarray, " photo"],
    groups: Int[np.ndarray, " photo"],
    seed: int,
) -> Heads:
    """Fit the heads that the recipe names; raises TrainingFailed."""
    if recipe.heads == "patch":
        return PatchHeads.fit(tokens, grams, folds, recipe.patch, seed)
    return RidgeHeads.fit(tokens, grams, folds, groups, recipe.ridge)


def open_heads(recipe: Recipe, tensors: dict[str, Tensor]) -> Heads:
    """The heads of a model file; raises ModelInvalid where a tensor is missing or one too many."""
    kind: type[PatchHeads] | type[RidgeHeads] = PatchHeads if recipe.heads == "patch" else RidgeHeads
    wanted = {"patch": {"w1", "b1", "w2", "b2"}, "ridge": {"coefficient", "intercept"}}[recipe.heads]
    if set(tensors) != wanted:
        raise ModelInvalid(
            f"The model's {recipe.heads} heads need the tensors {', '.join(sorted(wanted))}; "
            f"the file has {', '.join(sorted(tensors)) or 'none'}."
        )
    if bad := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise ModelInvalid(f"The model's tensor {bad[0]} holds values that are not finite; the file is damaged.")
    return kind(**tensors)
