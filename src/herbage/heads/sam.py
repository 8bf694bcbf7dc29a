"""Sharpness-aware minimisation (SAM) of many heads at once, each with its own neighbourhood.

SAM: Foret et al. 2021, arXiv:2010.01412, equation 2 and algorithm 1 (p = 2), here over torch's AdamW.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

LossGradient = Callable[[Sequence[Tensor]], tuple[Float[Tensor, " head"], Sequence[Tensor]]]
"""From parameters to one loss per head, and the gradient of each loss with respect to its own head's parameters."""


class HeadwiseSam:
    """An optimiser of stacked heads; the first axis of every parameter is the head.

    A plain SAM over stacked heads would take one gradient norm over all heads and so couple them. Here the norm is
    taken per head, and the result equals training each head alone. `rho` is the neighbourhood's radius; 0 is AdamW.
    """

    def __init__(self, parameters: Sequence[Tensor], *, rho: float, weight_decay: float) -> None:
        self.parameters = [parameter.detach().clone() for parameter in parameters]
        self.rho = rho
        self._adamw = torch.optim.AdamW(self.parameters, weight_decay=weight_decay, fused=True)

    @torch.no_grad()
    def step(self, loss_gradient: LossGradient, *, learning_rate: float) -> Float[Tensor, " head"]:
        """Take one step of every head; returns the losses before the step."""
        losses, gradients = loss_gradient(self.parameters)
        if self.rho:
            norm = torch.stack([torch.linalg.vector_norm(g.reshape(len(g), -1), dim=1) for g in gradients]).norm(dim=0)
            reach = self.rho / (norm + 1e-12)
            edge = [
                torch.addcmul(p, reach.reshape(-1, *[1] * (g.dim() - 1)), g)
                for p, g in zip(self.parameters, gradients, strict=True)
            ]
            _, gradients = loss_gradient(edge)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient.contiguous()
        self._adamw.param_groups[0]["lr"] = learning_rate
        self._adamw.step()
        return losses
