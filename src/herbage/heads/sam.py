"""Sharpness-aware minimisation over many heads at once, each with a neighbourhood and an AdamW state of its own.

SAM: Foret et al. 2021, arXiv:2010.01412, equation 2 and algorithm 1 (p = 2). AdamW: Loshchilov and Hutter 2019,
arXiv:1711.05101, algorithm 2.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8

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
        self.weight_decay = weight_decay
        self._mean = [torch.zeros_like(p) for p in self.parameters]
        self._square = [torch.zeros_like(p) for p in self.parameters]
        self._steps = torch.zeros(len(self.parameters[0]))

    def step(self, slope: Slope, *, learning_rate: float, active: Bool[Tensor, " head"]) -> Float[Tensor, " head"]:
        """One step of the active heads; the others keep parameters and state. Returns the losses before the step."""
        losses, gradients = slope(self.parameters)
        if self.rho:
            norm = torch.stack([g.reshape(len(g), -1).square().sum(1) for g in gradients]).sum(0).sqrt()
            reach = self.rho / (norm + 1e-12)
            _, gradients = slope([p + _per_head(reach, g) * g for p, g in zip(self.parameters, gradients, strict=True)])
        self._adamw(gradients, learning_rate, active)
        return losses

    def _adamw(self, gradients: Sequence[Tensor], learning_rate: float, active: Bool[Tensor, " head"]) -> None:
        self._steps += active
        steps = self._steps.clamp(min=1)
        scale1, scale2 = 1 - BETA1**steps, 1 - BETA2**steps
        for parameter, gradient, mean, square in zip(self.parameters, gradients, self._mean, self._square, strict=True):
            on = _per_head(active.float(), parameter)
            mean.lerp_(gradient, (1 - BETA1) * on)
            square.lerp_(gradient * gradient, (1 - BETA2) * on)
            change = mean / _per_head(scale1, mean) / ((square / _per_head(scale2, square)).sqrt() + EPSILON)
            parameter.sub_(on * learning_rate * (change + self.weight_decay * parameter))


def _per_head(values: Float[Tensor, " head"], like: Tensor) -> Tensor:
    return values.reshape(-1, *([1] * (like.dim() - 1)))
