"""The Heads protocol: fitted on tokens, grams and folds; from tokens to grams, and to a map where there is one."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from herbage.errors import ModelInvalid, RecipeInvalid
from herbage.heads.crosspvt.blocks import ATTENTION_HEADS
from herbage.heads.crosspvt.heads import CrossPvtHeads
from herbage.heads.patch import PatchHeads
from herbage.heads.ridge import RidgeHeads
from herbage.progress import Track, silent
from herbage.recipe import Recipe
from herbage.targets import TARGETS, Known, known_targets, missing_names
from herbage.tokens.layout import numbers_beside


@runtime_checkable
class Heads(Protocol):
    """One small network a target and fold; the head of fold f has seen no photo of fold f.

    Tokens come and grams go on the CPU, wherever the heads compute.
    """

    def grams(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold view"]:
        """Raw grams of one photo."""
        ...

    def density(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold view patch"] | None:
        """Raw grams, if the whole photo looked like this patch; its mean over patches is `grams`. None: no map."""
        ...

    def to(self, device: str) -> "Heads":
        """The same heads, computing on this device."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """What a model file keeps, on the CPU."""
        ...


def fit_heads(
    recipe: Recipe,
    tokens: Sequence[Tensor],
    grams: Float[np.ndarray, "photo target"],
    folds: Int[np.ndarray, " photo"],
    groups: Int[np.ndarray, " photo"],
    seed: int,
    unfinished: Path | None = None,
    device: str = "cpu",
    track: Track = silent,
) -> Heads:
    """Fit the heads that the recipe names; raises TrainingFailed.

    `unfinished` is a folder where heads whose training is long keep what is finished. Only the patch heads' training
    is worth a `device` other than the CPU, and shows itself by `track`. A target whose grams are NaN has no head: what
    is said of it is NaN.
    """
    known = known_targets(grams)
    grams = np.nan_to_num(grams)
    if recipe.heads == "patch":
        return PatchHeads.fit(tokens, grams, folds, recipe.patch, seed, device, track).without(known)
    if recipe.heads == "crosspvt":
        return CrossPvtHeads.fit(tokens, grams, folds, recipe.crosspvt, seed, unfinished)
    return RidgeHeads.fit(tokens, grams, folds, groups, recipe.ridge, numbers_beside(recipe)).without(known)


def refuse_unfit(recipe: Recipe, width: int, known: Known) -> None:
    """Raise RecipeInvalid where the recipe's heads cannot learn these targets from vectors of this width."""
    if recipe.heads == "crosspvt" and not all(known):
        raise RecipeInvalid(
            f"Recipe {recipe.name} learns all weights at once, and the table lacks {', '.join(missing_names(known))}; "
            f"take the recipe field or seed."
        )
    if recipe.heads == "crosspvt" and recipe.crosspvt.inner_width is None and width % ATTENTION_HEADS:
        raise RecipeInvalid(
            f"The backbone's vectors have {width} numbers, which {ATTENTION_HEADS} attention heads cannot share; "
            f"set inner_width below [crosspvt] in the recipe, such as 384."
        )


def open_heads(recipe: Recipe, tensors: dict[str, Tensor], *, folds: int, width: int, known: Known) -> Heads:
    """The heads of a model file; raises ModelInvalid where a tensor is missing, one too many, or of another shape."""
    bank, hidden = (len(TARGETS), folds), recipe.patch.hidden
    shapes: dict[str, tuple[int, ...]]
    if recipe.heads == "patch":
        shapes = {"w1": (*bank, width, hidden), "b1": (*bank, hidden), "w2": (*bank, hidden), "b2": bank}
    elif recipe.heads == "ridge":
        shapes = {"coefficient": (*bank, width), "intercept": bank}
    else:
        shapes = CrossPvtHeads.shapes(folds, width, recipe.crosspvt)
    if set(tensors) != set(shapes):
        raise ModelInvalid(
            f"The model's {recipe.heads} heads need the tensors {_listed(shapes)}; the file has {_listed(tensors)}."
        )
    for name, shape in shapes.items():
        check_tensor(tensors[name], f"heads.{name}", shape, finite=False)
        # A target without a head is NaN in the last bias; no other number may be.
        own = tensors[name][list(known)] if shape == bank else tensors[name]
        check_tensor(own, f"heads.{name}", tuple(own.shape))
    if recipe.heads == "crosspvt":
        return CrossPvtHeads.opened(tensors, folds, width, recipe.crosspvt)
    return PatchHeads(**tensors) if recipe.heads == "patch" else RidgeHeads(**tensors)


def _listed(names: Iterable[str]) -> str:
    first = sorted(names)
    return (", ".join(first[:6]) + (f" and {len(first) - 6} more" if len(first) > 6 else "")) or "none"


def check_tensor(
    tensor: Tensor, name: str, shape: tuple[int, ...], *, dtype: torch.dtype = torch.float32, finite: bool = True
) -> None:
    """Raise ModelInvalid where a model file's tensor is not what the model's config says."""
    if tuple(tensor.shape) != shape or tensor.dtype != dtype:
        raise ModelInvalid(
            f"The model's tensor {name} has shape {tuple(tensor.shape)} and type {tensor.dtype}; "
            f"expected {shape} and {dtype}."
        )
    if finite and not tensor.isfinite().all():
        raise ModelInvalid(f"The model's tensor {name} holds values that are not finite; the file is damaged.")
