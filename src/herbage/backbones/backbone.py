"""The Backbone protocol."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from herbage.backbones.engine import Engine


@runtime_checkable
class Backbone(Protocol):
    """A frozen network: images of any number, in and out as float32 on the CPU.

    `digest` is the sha256 of its weights: tokens made with other weights do not fit. `source_digest` is that of the
    weights it was made from, where it is an export of others, and else the same: models made with those fit.
    `patch_px` is the side of a patch in pixels and `width` the length of its vectors. `batch_patches` is how many fill
    the device in one call; 0 stands for a CPU, where several threads may call it at once.
    """

    name: str
    digest: str
    source_digest: str
    patch_px: int
    width: int
    batch_patches: int
    engine: Engine

    def __call__(
        self, images: Float[Tensor, "image 3 side side"]
    ) -> tuple[Float[Tensor, "image width"], Float[Tensor, "image patch width"]]:
        """The class vector, and the patch vectors row by row."""
        ...
