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

    Tokens and grams are on the CPU, whichever device the heads compute on. `reads_mean_token` is True where `grams`
    depends only on the photo's mean token, so that fitting is quick and needs no patches.
    """

    reads_mean_token: ClassVar[bool]

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

    def grams(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold view"]:
        """Raw grams of one photo."""
        ...

    def density(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold view patch"] | None:
        """Raw grams if the whole photo looked like this patch; the mean over patches is `grams`. None: no map."""
        ...

    def to(self, device: str) -> "Heads":
        """The same heads, computing on this device."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a model file, on the CPU."""
        ...
