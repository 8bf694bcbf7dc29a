"""Join the maps of a photo's two halves, which the backbone does not see together, without a step."""

import torch
from jaxtyping import Float
from torch import Tensor


def join_halves(z: Float[Tensor, "target row column"]) -> Float[Tensor, "target row column"]:
    """The map without the step between its left and its right half; the number of columns is even.

    The step of a target is the mean over rows of the difference across the join. Half of it is taken from each side by
    a ramp, which falls from the join to 0 at the outer edge. A ramp, because the level of a half carries information
    about its herbage: a shift of the complete half would lose a difference between the halves.
    """
    half = z.shape[2] // 2
    step = (z[:, :, half] - z[:, :, half - 1]).mean(1)[:, None, None]
    ramp = (torch.arange(half, dtype=z.dtype, device=z.device) + 0.5) / half
    return z + step / 2 * torch.cat([ramp, -ramp.flip(0)])
