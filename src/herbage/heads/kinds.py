"""The heads that a recipe can name."""

from collections.abc import Iterable

import torch
from torch import Tensor

from herbage.errors import ModelInvalid
from herbage.heads.crosspvt.heads import CrossPvtHeads
from herbage.heads.heads import Heads
from herbage.heads.patch import PatchHeads
from herbage.heads.ridge import RidgeHeads
from herbage.recipe import Recipe
from herbage.targets import TARGETS, TargetMask

HEADS: dict[str, type[Heads]] = {"patch": PatchHeads, "ridge": RidgeHeads, "crosspvt": CrossPvtHeads}
"""The class of each value of `Recipe.heads`."""


def open_heads(recipe: Recipe, tensors: dict[str, Tensor], *, folds: int, width: int, known: TargetMask) -> Heads:
    """The heads of a model file; raises ModelInvalid where a tensor is missing, unexpected or of another shape."""
    kind = HEADS[recipe.heads]
    shapes = kind.shapes(recipe, folds, width)
    if set(tensors) != set(shapes):
        raise ModelInvalid(
            f"The model's {recipe.heads} heads need the tensors {_listed(shapes)}; the file has {_listed(tensors)}."
        )
    for name, shape in shapes.items():
        check_tensor(tensors[name], f"heads.{name}", shape, finite=False)
        # A target without a head has NaN in its last bias, one per head; no other value may be NaN.
        is_bias = len(shape) == 2 and shape[0] == len(TARGETS)
        own = tensors[name][list(known)] if is_bias else tensors[name]
        check_tensor(own, f"heads.{name}", tuple(own.shape))
    return kind.open(tensors, recipe, folds, width)


def check_tensor(
    tensor: Tensor, name: str, shape: tuple[int, ...], *, dtype: torch.dtype = torch.float32, finite: bool = True
) -> None:
    """Raise ModelInvalid where a tensor of a model file has another shape or type, or values that are not finite."""
    if tuple(tensor.shape) != shape or tensor.dtype != dtype:
        raise ModelInvalid(
            f"The model's tensor {name} has shape {tuple(tensor.shape)} and type {tensor.dtype}; "
            f"expected {shape} and {dtype}."
        )
    if finite and not tensor.isfinite().all():
        raise ModelInvalid(f"The model's tensor {name} has values that are not finite; the file is damaged.")


def _listed(names: Iterable[str]) -> str:
    first = sorted(names)
    return (", ".join(first[:6]) + (f" and {len(first) - 6} more" if len(first) > 6 else "")) or "none"
