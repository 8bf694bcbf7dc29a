"""The Heads protocol: fitted on training data; tokens to grams, and to a map where the heads have one."""

from typing import ClassVar, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from herbage.heads.training_data import FitOptions, TrainingData
from herbage.recipe import Recipe
from herbage.targets import TargetMask


@runtime_checkable
class Heads(Protocol):
    """One small network per target and fold. The head of fold f is trained without the photos of fold f.

    What is delivered is the mean of the folds' heads, or that of a head fitted to all photos. Tokens and grams are on
    the CPU, whichever device the heads compute on. Grams are means over the views given. `reads_mean_token` is True
    where grams depend only on the photo's mean token per view, so that fitting is quick and needs no patches.
    `takes_measured`: whether they can be fitted to tokens with measured columns. `delivered` describes the delivered
    heads in reports.
    """

    reads_mean_token: ClassVar[bool]
    takes_measured: ClassVar[bool]
    delivered: ClassVar[str]

    @classmethod
    def check(cls, recipe: Recipe, width: int, known: TargetMask) -> None:
        """Raise RecipeInvalid where these heads cannot be fitted to these targets on tokens of this width."""
        ...

    @classmethod
    def fit(cls, data: TrainingData, recipe: Recipe, options: FitOptions) -> "Heads":
        """Fit all heads; raises TrainingFailed. Heads of unknown targets estimate NaN."""
        ...

    @classmethod
    def shapes(cls, recipe: Recipe, folds: int, width: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the tensors in a model file."""
        ...

    @classmethod
    def open(cls, tensors: dict[str, Tensor], recipe: Recipe, folds: int, width: int) -> "Heads":
        """Rebuild the heads from tensors with the names and shapes of `shapes`."""
        ...

    def grams(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, " target"]:
        """Raw grams of one photo as they are delivered, float64."""
        ...

    def fold_grams(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold"]:
        """Raw grams of one photo by the head of each fold, float64."""
        ...

    def density(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target patch"] | None:
        """Grams if the whole photo looked like this patch, at least 0, float64; None where the heads have no map."""
        ...

    def to(self, device: str) -> "Heads":
        """The same heads, computing on this device."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a model file, on the CPU."""
        ...
