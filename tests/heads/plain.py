"""The seed's network and SAM as one would write them for a single head; the tests' independent reference."""

import torch
from torch import nn

from herbage.heads.patch import Bank


class PlainHead(nn.Module):
    """Linear, LeakyReLU, Linear, ReLU for every patch; the mean over patches."""

    def __init__(self, width, hidden):
        super().__init__()
        self.first, self.second = nn.Linear(width, hidden), nn.Linear(hidden, 1)

    def forward(self, tokens):
        hidden = nn.functional.leaky_relu(self.first(tokens))
        return torch.relu(self.second(hidden)).squeeze(-1).mean(-1)


def sam_step(model, optimiser, loss_of, rho):
    """One step of SAM on one module: climb by rho along the gradient, take the gradient there, step from where it was."""
    optimiser.zero_grad()
    loss_of(model).backward()
    parameters = list(model.parameters())
    norm = torch.sqrt(sum((p.grad**2).sum() for p in parameters))
    climbs = [rho * p.grad / (norm + 1e-12) for p in parameters]
    with torch.no_grad():
        for parameter, climb in zip(parameters, climbs, strict=True):
            parameter.add_(climb)
    optimiser.zero_grad()
    loss_of(model).backward()
    with torch.no_grad():
        for parameter, climb in zip(parameters, climbs, strict=True):
            parameter.sub_(climb)
    optimiser.step()


def bank_of(heads):
    """The parameters of plain heads, one after the other."""
    return Bank(
        torch.stack([h.first.weight.detach().T for h in heads]),
        torch.stack([h.first.bias.detach() for h in heads]),
        torch.stack([h.second.weight.detach()[0] for h in heads]),
        torch.stack([h.second.bias.detach()[0] for h in heads]),
    )
