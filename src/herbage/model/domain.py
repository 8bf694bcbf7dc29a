"""Is this photo like the training photos? A distance between mean tokens, and what is far."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

FALSE_ALARMS = 0.05
"""Share of training photos that would be called strange if their own group were not in the training photos."""


@dataclass(frozen=True)
class Domain:
    """Distance of a photo's standardised mean token to the nearest training photo, and the limit of what is alike."""

    mean_tokens: Float[Tensor, "photo width"]
    centre: Float[Tensor, " width"]
    inverse_spread: Float[Tensor, " width"]
    limit: float

    @classmethod
    def fit(cls, tokens: Sequence[Tensor], group: Int[Tensor, " photo"]) -> "Domain":
        """The limit is the distance that all but FALSE_ALARMS of the training photos keep to other groups' photos."""
        means = torch.stack([mean_token(t) for t in tokens])
        centre, spread = means.mean(0), means.std(0, correction=0)
        inverse = torch.where(spread > 1e-6, 1 / spread.clamp(min=1e-6), 0.0)
        standard = (means - centre) * inverse
        distance = torch.cdist(standard, standard)
        distance[group[:, None] == group[None]] = torch.inf
        nearest = distance.amin(1)
        limit = torch.quantile(nearest, 1 - FALSE_ALARMS) if nearest.isfinite().all() else torch.tensor(torch.inf)
        return cls(standard, centre, inverse, float(limit))

    def contains(self, tokens: Float[Tensor, "view kept width"]) -> bool:
        """Whether the photo with these tokens is within the limit."""
        standard = (mean_token(tokens) - self.centre) * self.inverse_spread
        return float(torch.cdist(standard[None], self.mean_tokens).amin()) <= self.limit


def mean_token(tokens: Float[Tensor, "view kept width"]) -> Float[Tensor, " width"]:
    """The mean over views and patches."""
    return tokens.float().mean((0, 1))
