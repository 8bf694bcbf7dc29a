"""The protocol that every backbone implements."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from herbage.backbones.engine import Engine


@runtime_checkable
class Backbone(Protocol):
    """A frozen network that turns a batch of images into vectors; inputs and outputs are float32 on the CPU.

    `digest`: sha256 of the weights; tokens computed with other weights are incompatible. `source_digest`: for an
    exported backbone the digest of the original weights, otherwise equal to `digest`; models trained with the original
    accept the export. `patch_px`: side of a patch in pixels. `width`: dimensions of a vector. `batch_patches`: number
    of patches that fill the device in one call; 0 means a CPU backbone, which several threads may call at once.
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
        """Compute the class vector and the patch vectors of each image; patches are in row-major order."""
        ...
