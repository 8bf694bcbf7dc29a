"""The domain check: the distance of a photo's mean token from those of the training photos, and its limit."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from herbage.model.intervals import group_quantile

FALSE_ALARMS = 0.05
"""Share of in-domain photos of a new group that may be flagged as out of domain."""

SHRINKAGE = 0.1
"""Shrinkage towards equal variances in all directions, since there are usually more dimensions than photos."""


@dataclass(frozen=True)
class Domain:
    """Mahalanobis distance of a photo's mean token to the training photos, and the limit of the domain.

    Tokens are standardised by `centre` and `inverse_spread`. `axes` are the principal directions of the training photos
    with their shrunken `variance`; in all other directions the variance is `floor`. Of the distances tried, this one
    best separated images without pasture from held-out groups (docs/accuracy.md).
    """

    centre: Float[Tensor, " width"]
    inverse_spread: Float[Tensor, " width"]
    axes: Float[Tensor, "axis width"]
    variance: Float[Tensor, " axis"]
    floor: float
    limit: float

    @classmethod
    def fit(cls, tokens: Sequence[Tensor], group: Int[Tensor, " photo"]) -> "Domain":
        """Fit to the training tokens. The limit is conformal: each group's distance is measured from the other groups.

        With G groups the rate of false alarms cannot be below 1 / (G + 1); then the limit is the largest distance.
        """
        means = torch.stack([mean_token(t) for t in tokens])
        limit, groups = torch.inf, sorted(set(group.tolist()))
        if len(groups) > 1:
            distance = torch.empty(len(means), dtype=torch.float64)
            for own in groups:
                distance[group == own] = cls._of(means[group != own]).distance(means[group == own])
            limit = group_quantile(distance.numpy(), group.numpy(), 1 - false_alarms(len(groups)))
        return cls._of(means, limit)

    @classmethod
    def _of(cls, means: Float[Tensor, "photo width"], limit: float = torch.inf) -> "Domain":
        centre, spread = means.mean(0), means.std(0, correction=0)
        inverse = torch.where(spread > 1e-6, 1 / spread.clamp(min=1e-6), 0.0)
        _, size, axes = torch.linalg.svd((means - centre) * inverse, full_matrices=False)
        variance = size**2 / len(means)
        floor = max(SHRINKAGE * float(variance.sum()) / means.shape[1], 1e-12)
        return cls(centre, inverse, axes, (1 - SHRINKAGE) * variance + floor, floor, limit)

    def distance(self, means: Float[Tensor, "photo width"]) -> Float[Tensor, " photo"]:
        """Distances of mean tokens, in standard deviations."""
        standard = (means - self.centre) * self.inverse_spread
        along = standard @ self.axes.T
        residual = (standard.square().sum(1) - along.square().sum(1)).clamp(min=0)
        return ((along.square() / self.variance).sum(1) + residual / self.floor).sqrt().double()

    def contains(self, tokens: Float[Tensor, "view patch width"]) -> bool:
        """Whether the photo with these tokens is within the limit."""
        return float(self.distance(mean_token(tokens)[None])) <= self.limit


def false_alarms(groups: int) -> float:
    """The share of in-domain photos of a new group that may be flagged as out of domain."""
    return max(FALSE_ALARMS, 1 / (groups + 1))


def mean_token(tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, " width"]:
    """The mean over views and patches."""
    return tokens.float().mean((0, 1))
