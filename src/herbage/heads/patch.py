"""The seed's heads: one small network for every patch, shared weights, all targets and folds in one bank."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from herbage.errors import TrainingFailed
from herbage.heads.sam import HeadwiseSam
from herbage.recipe import PatchSettings
from herbage.targets import TARGETS

SLOPE = 0.01
"""LeakyReLU's slope below 0, torch's default."""

START_VECTORS = 256

PHOTOS_AT_ONCE = 2
"""Photos whose hidden layer is held at a time; few, so that it stays in the processor's cache."""


class Bank(NamedTuple):
    """The parameters of many heads, one after the other on the first axis."""

    w1: Float[Tensor, "head width hidden"]
    b1: Float[Tensor, "head hidden"]
    w2: Float[Tensor, "head hidden"]
    b2: Float[Tensor, " head"]


class PatchHeads:
    """Linear width to hidden, LeakyReLU, Linear hidden to 1, ReLU for every patch; grams are the mean over patches.

    `w1` (target, fold, width, hidden), `b1` and `w2` (target, fold, hidden), `b2` (target, fold).
    """

    def __init__(self, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> None:
        self.w1, self.b1, self.w2, self.b2 = w1, b1, w2, b2

    @torch.inference_mode()
    def density(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold view patch"]:
        """Grams, if the whole photo looked like this patch."""
        views, patches, width = tokens.shape
        bank = Bank(*(p.flatten(0, 1) for p in (self.w1, self.b1, self.w2, self.b2)))
        _, raw = forward(bank, tokens.reshape(-1, width).float())
        return F.relu(raw).T.reshape(*self.b2.shape, views, patches)

    def grams(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold view"]:
        """The mean over patches."""
        return self.density(tokens).mean(-1)

    def tensors(self) -> dict[str, Tensor]:
        """What a model file keeps; `PatchHeads(**tensors)` is the way back."""
        return {"w1": self.w1, "b1": self.b1, "w2": self.w2, "b2": self.b2}

    @classmethod
    def fit(
        cls,
        tokens: Sequence[Tensor],
        grams: Float[np.ndarray, "photo target"],
        folds: Int[np.ndarray, " photo"],
        settings: PatchSettings,
        seed: int,
    ) -> "PatchHeads":
        """Train every target and fold in one pass; head (t, f) never sees a photo of fold f.

        Squared error of grams scaled by their spread, SAM over AdamW, cosine schedule to 0; each photo is shown in one
        view drawn at random. Tokens are standardised by the training photos of each fold, and both scales are folded
        into the weights at the end. A target that never varies in a fold gets a head that says its constant. Raises
        TrainingFailed for NaN, and for a head that dies although its target varies.
        """
        targets, count = grams.shape[1], int(folds.max()) + 1
        seen = torch.from_numpy(folds)[:, None] != torch.arange(count)
        own = seen.repeat(1, targets)
        goal = torch.from_numpy(grams).float().repeat_interleave(count, dim=1)
        mean = (goal * own).sum(0) / own.sum(0)
        spread = (((goal - mean) ** 2 * own).sum(0) / own.sum(0)).sqrt()
        varies = spread > 1e-6
        scale = torch.where(varies, spread, 1.0)

        stacked = torch.stack(list(tokens))
        standard = _Standard.of(stacked, seen, targets)
        trained = _train(stacked, goal / scale, own, mean / scale, standard, settings, seed)

        w1, b1, w2, b2 = standard.fold_in(trained)
        # ReLU is positively homogeneous, so the scale of the grams goes into the last layer exactly.
        w2 = torch.where(varies[:, None], w2 * scale[:, None], 0.0)
        b2 = torch.where(varies, b2 * scale, mean)
        heads = cls(*(p.reshape(targets, count, *p.shape[1:]) for p in (w1, b1, w2, b2)))
        _refuse_dead(heads, tokens, seen, varies.reshape(targets, count))
        return heads


def forward(
    bank: Bank, vectors: Float[Tensor, "vector width"]
) -> tuple[Float[Tensor, "vector head_hidden"], Float[Tensor, "vector head"]]:
    """All heads' hidden layer before LeakyReLU, by one product, and their output before ReLU."""
    heads, width, hidden = bank.w1.shape
    first = torch.addmm(bank.b1.reshape(-1), vectors, bank.w1.transpose(0, 1).reshape(width, heads * hidden))
    raw = (F.leaky_relu(first, SLOPE).reshape(-1, heads, hidden) * bank.w2).sum(-1) + bank.b2
    return first, raw


def slope(
    bank: Bank,
    tokens: Float[Tensor, "photo patch width"],
    goal: Float[Tensor, "photo head"],
    own: Bool[Tensor, "photo head"],
) -> tuple[Float[Tensor, " head"], Bank]:
    """Each head's mean squared error over its own photos, and its gradient, a few photos at a time.

    Written out by hand because the hidden layer of all heads is large: kept in cache it is three times as fast as
    automatic differentiation over the whole batch.
    """
    patches = tokens.shape[1]
    heads, width, hidden = bank.w1.shape
    gradient = Bank(torch.zeros(width, heads * hidden), *(torch.zeros_like(p) for p in bank[1:]))
    losses = torch.zeros(heads)
    weight = own / own.sum(0).clamp(min=1)
    for photo in range(0, len(tokens), PHOTOS_AT_ONCE):
        some = slice(photo, photo + PHOTOS_AT_ONCE)
        vectors = tokens[some].reshape(-1, width).float()
        first, raw = forward(bank, vectors)
        error = F.relu(raw).reshape(-1, patches, heads).mean(1) - goal[some]
        losses += (weight[some] * error**2).sum(0)
        d_error = 2 * weight[some] * error / patches
        d_raw = d_error.repeat_interleave(patches, 0) * (raw > 0)
        gradient.b2.add_(d_raw.sum(0))
        active = F.leaky_relu(first, SLOPE).reshape(-1, heads, hidden)
        gradient.w2.add_((active * d_raw[..., None]).sum(0))
        d_active = (d_raw[..., None] * bank.w2).reshape(-1, heads * hidden)
        d_first = torch.where(first > 0, d_active, SLOPE * d_active)
        gradient.b1.add_(d_first.sum(0).reshape(heads, hidden))
        gradient.w1.addmm_(vectors.T, d_first)
    return losses, gradient._replace(w1=gradient.w1.reshape(width, heads, hidden).transpose(0, 1))


class _Standard(NamedTuple):
    """Mean and one over the standard deviation of each head's training tokens."""

    mean: Float[Tensor, "head width"]
    inverse: Float[Tensor, "head width"]

    @classmethod
    def of(
        cls, tokens: Float[Tensor, "photo view patch width"], seen: Bool[Tensor, "photo fold"], targets: int
    ) -> "_Standard":
        sums = torch.stack([photo.double().sum((0, 1)) for photo in tokens])
        squares = torch.stack([photo.double().square().sum((0, 1)) for photo in tokens])
        vectors = seen.double().sum(0)[:, None] * tokens.shape[1] * tokens.shape[2]
        mean = seen.double().T @ sums / vectors
        spread = (seen.double().T @ squares / vectors - mean**2).clamp(min=0).sqrt()
        # A number that never varies says nothing; it is left at 0 instead of being blown up.
        inverse = torch.where(spread > 1e-6, 1 / spread.clamp(min=1e-6), 0.0)
        return cls(mean.float().repeat(targets, 1), inverse.float().repeat(targets, 1))

    def fold_in(self, bank: Bank) -> Bank:
        """The bank that gives on raw tokens what `bank` gives on standardised ones."""
        w1 = bank.w1 * self.inverse[..., None]
        return bank._replace(w1=w1, b1=bank.b1 - torch.einsum("kw,kwh->kh", self.mean, w1))

    def pull_back(self, gradient: Bank) -> Bank:
        """The gradient in the standardised bank, from the one in the bank that `fold_in` gave."""
        d_w1 = (gradient.w1 - self.mean[..., None] * gradient.b1[:, None]) * self.inverse[..., None]
        return gradient._replace(w1=d_w1)


def _train(
    tokens: Float[Tensor, "photo view patch width"],
    goal: Float[Tensor, "photo head"],
    own: Bool[Tensor, "photo head"],
    mean: Float[Tensor, " head"],
    standard: _Standard,
    settings: PatchSettings,
    seed: int,
) -> Bank:
    generator = torch.Generator().manual_seed(seed)
    start = _start(mean, tokens.shape[-1], settings.hidden, generator)
    optimiser = HeadwiseSam(start, rho=settings.rho, weight_decay=settings.weight_decay)
    for done, photos, view in _batches(tokens, settings, generator):
        shown, goals, owns = tokens[photos, view], goal[photos], own[photos]

        def standard_slope(parameters: Sequence[Tensor]) -> tuple[Tensor, Bank]:
            losses, gradient = slope(standard.fold_in(Bank(*parameters)), shown, goals, owns)  # noqa: B023
            return losses, standard.pull_back(gradient)

        rate = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
        losses = optimiser.step(standard_slope, learning_rate=rate, active=owns.any(0))
        if not torch.isfinite(losses).all():
            head = int((~torch.isfinite(losses)).nonzero()[0])
            raise TrainingFailed(
                f"The loss of {TARGETS[head * len(TARGETS) // len(mean)]} is not finite after {done:.0%} of training; "
                f"lower learning_rate (now {settings.learning_rate}) in the recipe."
            )
    return Bank(*optimiser.parameters)


def _batches(
    tokens: Float[Tensor, "photo view patch width"], settings: PatchSettings, generator: torch.Generator
) -> Iterator[tuple[float, Tensor, Tensor]]:
    """The share of training done, and the photos of the next batch with the view each is shown in."""
    photos, views = tokens.shape[:2]
    count = math.ceil(photos / settings.batch_photos)
    for epoch in range(settings.epochs):
        order = torch.randperm(photos, generator=generator)
        view = torch.randint(views, (photos,), generator=generator)
        for number, batch in enumerate(order.tensor_split(count)):
            yield (epoch + number / count) / settings.epochs, batch, view[batch]


def _start(mean: Float[Tensor, " head"], width: int, hidden: int, generator: torch.Generator) -> Bank:
    """torch's own Linear initialisation, and a last bias that makes every head start near its target's mean.

    The bias is found on random vectors, not on tokens: those of a fold's own photos must stay unseen.
    """
    heads = len(mean)

    def uniform(*shape: int, fan_in: int) -> Tensor:
        return (torch.rand(*shape, generator=generator) * 2 - 1) / math.sqrt(fan_in)

    bank = Bank(
        uniform(heads, width, hidden, fan_in=width),
        uniform(heads, hidden, fan_in=width),
        uniform(heads, hidden, fan_in=hidden),
        torch.zeros(heads),
    )
    _, raw = forward(bank, torch.randn(START_VECTORS, width, generator=generator))
    return bank._replace(b2=mean - raw.mean(0))


def _refuse_dead(
    heads: PatchHeads, tokens: Sequence[Tensor], seen: Bool[Tensor, "photo fold"], varies: Bool[Tensor, "target fold"]
) -> None:
    alive = ~varies
    for photo_tokens, photo_seen in zip(tokens, seen, strict=True):
        alive = alive | ((heads.grams(photo_tokens).amax(-1) > 0) & photo_seen)
        if alive.all():
            return
    target, fold = (int(i) for i in (~alive).nonzero()[0])
    raise TrainingFailed(
        f"The head of {TARGETS[target]}, fold {fold} died: it says 0 for every photo although the target varies. "
        f"Train with another --seed or a lower learning_rate."
    )
