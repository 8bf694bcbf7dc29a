"""Sharpness-aware minimisation over many heads at once, each with a neighbourhood of its own.

SAM: Foret et al. 2021, arXiv:2010.01412, equation 2 and algorithm 1 (p = 2), here over torch's AdamW.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Slope = Callable[[Sequence[Tensor]], tuple[Float[Tensor, " head"], Sequence[Tensor]]]
"""From parameters to one loss a head, and the gradient of each loss in its own head's parameters."""


class HeadwiseSam:
    """Steps a bank of heads whose parameters all have the head as their first axis.

    A plain SAM over stacked heads would take one norm over all of them and so couple them; here the norm is taken a
    head, and the result equals training each head by itself. `rho` is the neighbourhood's radius; 0 is plain AdamW.
    """

    def __init__(self, parameters: Sequence[Tensor], *, rho: float, weight_decay: float) -> None:
        self.parameters = [parameter.detach().clone() for parameter in parameters]
        self.rho = rho
        self._adamw = torch.optim.AdamW(self.parameters, weight_decay=weight_decay, fused=True)

    @torch.no_grad()
    def step(self, slope: Slope, *, learning_rate: float) -> Float[Tensor, " head"]:
        """One step of every head; returns the losses before it."""
        losses, gradients = slope(self.parameters)
        if self.rho:
            norm = torch.stack([torch.linalg.vector_norm(g.reshape(len(g), -1), dim=1) for g in gradients]).norm(dim=0)
            reach = self.rho / (norm + 1e-12)
            edge = [
                torch.addcmul(p, reach.reshape(-1, *[1] * (g.dim() - 1)), g)
                for p, g in zip(self.parameters, gradients, strict=True)
            ]
            _, gradients = slope(edge)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient.contiguous()
        self._adamw.param_groups[0]["lr"] = learning_rate
        self._adamw.step()
        return losses
