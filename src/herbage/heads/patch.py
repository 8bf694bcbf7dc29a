"""The seed's heads: one small network for every patch, shared weights, all targets and folds in one pass."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from herbage.backbones.engine import has_bf16
from herbage.errors import TrainingFailed
from herbage.heads.sam import HeadwiseSam
from herbage.progress import Track, silent
from herbage.recipe import PatchSettings
from herbage.targets import TARGETS, Known

SLOPE = 0.01
"""LeakyReLU's slope below 0, torch's default."""

START_VECTORS = 256


class Bank(NamedTuple):
    """The parameters of heads that read the same vectors, one after the other on the first axis."""

    w1: Float[Tensor, "head width hidden"]
    b1: Float[Tensor, "head hidden"]
    w2: Float[Tensor, "head hidden"]
    b2: Float[Tensor, " head"]


class Shown(NamedTuple):
    """The patches of some photos, one photo after the other, and what each head should say of each photo."""

    vectors: Float[Tensor, "photo_patch width"]
    goal: Float[Tensor, "photo head"]


class PatchHeads:
    """Linear width to hidden, LeakyReLU, Linear hidden to 1, ReLU for every patch; grams are the mean over patches.

    `w1` (target, fold, width, hidden), `b1` and `w2` (target, fold, hidden), `b2` (target, fold).
    """

    def __init__(self, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> None:
        self.w1, self.b1, self.w2, self.b2 = w1, b1, w2, b2
        self._layers: dict[torch.dtype, Layers] = {}

    @torch.inference_mode()
    def density(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold view patch"]:
        """Grams, if the whole photo looked like this patch."""
        views, patches, width = tokens.shape
        device = self.b2.device
        dtype = computing_type(tokens, device.type)
        if dtype not in self._layers:
            bank = Bank(*(p.flatten(0, 1) for p in (self.w1, self.b1, self.w2, self.b2)))
            self._layers[dtype] = Layers.of(bank, dtype)
        _, raw = forward(self._layers[dtype], tokens.reshape(-1, width).to(device, dtype))
        return F.relu(raw).T.reshape(*self.b2.shape, views, patches).cpu()

    def grams(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold view"]:
        """The mean over patches."""
        return self.density(tokens).mean(-1)

    def without(self, known: Known) -> "PatchHeads":
        """The heads with those of unknown targets saying NaN."""
        return PatchHeads(
            self.w1, self.b1, self.w2, self.b2.masked_fill(~torch.tensor(known)[:, None].to(self.b2.device), torch.nan)
        )

    def to(self, device: str) -> "PatchHeads":
        """The same heads, computing on this device."""
        if self.b2.device == torch.device(device):
            return self
        return PatchHeads(*(p.to(device) for p in (self.w1, self.b1, self.w2, self.b2)))

    def tensors(self) -> dict[str, Tensor]:
        """What a model file keeps, on the CPU; `PatchHeads(**tensors)` is the way back."""
        return {name: getattr(self, name).cpu() for name in ("w1", "b1", "w2", "b2")}

    @classmethod
    def fit(
        cls,
        tokens: Sequence[Tensor],
        grams: Float[np.ndarray, "photo target"],
        folds: Int[np.ndarray, " photo"],
        settings: PatchSettings,
        seed: int,
        device: str = "cpu",
        track: Track = silent,
    ) -> "PatchHeads":
        """Train every target and fold in one pass over the tokens; head (t, f) never sees a photo of fold f.

        Squared error of grams scaled by their spread, SAM over AdamW, cosine schedule to 0; each photo is shown in one
        view drawn at random. Tokens are standardised by the training photos of each fold, and both scales are folded
        into the weights at the end. A photo's tokens are asked for once to learn their scale and once an epoch, so they
        may be read from disk. A target that never varies in a fold gets a head that says its constant. Raises
        TrainingFailed for NaN, and for a head that dies although its target varies.
        """
        seen = torch.from_numpy(folds)[:, None] != torch.arange(int(folds.max()) + 1)
        goal = torch.from_numpy(grams).float()
        own, photos = seen[:, None].float(), seen.sum(0)
        mean = (goal[..., None] * own).sum(0) / photos
        spread = (((goal[..., None] - mean) ** 2 * own).sum(0) / photos).sqrt()
        varies = spread > 1e-6
        scale = torch.where(varies, spread, 1.0)

        standard = _Standard.of(tokens, seen)
        trained = _train(tokens, goal[..., None] / scale, seen, mean / scale, standard, settings, seed, device, track)

        w1, b1, w2, b2 = standard.fold_in(trained)
        # ReLU is positively homogeneous, so the scale of the grams goes into the last layer exactly.
        w2 = torch.where(varies[..., None], w2 * scale[..., None], 0.0)
        b2 = torch.where(varies, b2 * scale, mean)
        heads = cls(w1, b1, w2, b2).to(device)
        _refuse_dead(heads, tokens, seen, varies)
        return heads


def computing_type(tokens: Tensor, device: str = "cpu") -> torch.dtype:
    """What heads compute in: bf16 for tokens kept in half where the device multiplies it, else float32."""
    return torch.bfloat16 if tokens.dtype == torch.float16 and has_bf16(device) else torch.float32


class Layers(NamedTuple):
    """A bank as one network: first layers side by side, second layers on the diagonal of one matrix."""

    w1: Float[Tensor, "width head_hidden"]
    b1: Float[Tensor, " head_hidden"]
    w2: Float[Tensor, "head_hidden head"]
    b2: Float[Tensor, " head"]

    @classmethod
    def of(cls, bank: Bank, dtype: torch.dtype) -> "Layers":
        """In the type to compute in, but for the last bias: a head that says a constant says it exactly."""
        w1, b1, w2 = (p.to(dtype) for p in bank[:3])
        diagonal = torch.block_diag(*w2[..., None])  # type: ignore[no-untyped-call]  # torch gives it no types
        return cls(w1.transpose(0, 1).flatten(1), b1.flatten(), diagonal, bank.b2)


def forward(
    layers: Layers, vectors: Float[Tensor, "vector width"]
) -> tuple[Float[Tensor, "vector head_hidden"], Float[Tensor, "vector head"]]:
    """The hidden layer after LeakyReLU, and the output before ReLU in float32: one product each."""
    hidden = F.leaky_relu_(torch.addmm(layers.b1, vectors, layers.w1), SLOPE)
    return hidden, (hidden @ layers.w2).float() + layers.b2


def slope(bank: Bank, shown: Shown) -> tuple[Float[Tensor, " head"], Bank]:
    """Each head's mean squared error over the photos shown, and its gradient, computed in the vectors' type.

    Written out by hand: automatic differentiation passes over the hidden layer more often.
    """
    heads, width, hidden = bank.w1.shape
    vectors, goal = shown
    layers = Layers.of(bank, vectors.dtype)
    active, raw = forward(layers, vectors)
    by_photo = F.relu(raw).reshape(len(goal), -1, heads)
    error = by_photo.mean(1) - goal
    d_photo = 2 * error / (len(goal) * by_photo.shape[1])
    d_raw = d_photo.repeat_interleave(by_photo.shape[1], 0) * (raw > 0)
    d_last = d_raw.to(vectors.dtype)
    # LeakyReLU keeps signs, so its result says where its slope is 1.
    d_first = torch.ops.aten.leaky_relu_backward(d_last @ layers.w2.T, active, SLOPE, True)
    d_w2 = (active.T @ d_last).float().reshape(heads, hidden, heads)
    return error.square().mean(0), Bank(
        (vectors.T @ d_first).float().reshape(width, heads, hidden).transpose(0, 1),
        d_first.sum(0, dtype=torch.float32).reshape(heads, hidden),
        d_w2.diagonal(dim1=0, dim2=2).T,
        d_raw.sum(0),
    )


class _Standard(NamedTuple):
    """Mean and one over the standard deviation of each fold's training tokens."""

    mean: Float[Tensor, "fold width"]
    inverse: Float[Tensor, "fold width"]

    @classmethod
    def of(cls, tokens: Sequence[Tensor], seen: Bool[Tensor, "photo fold"]) -> "_Standard":
        moments = []
        for photo in tokens:
            vectors = photo.flatten(0, 1).double()
            moments.append(torch.stack([vectors.mean(0), vectors.square().mean(0)]))
        share = seen.double() / seen.sum(0)
        mean, square = torch.einsum("pf,pmw->mfw", share, torch.stack(moments))
        spread = (square - mean**2).clamp(min=0).sqrt()
        # A number that never varies says nothing; it is left at 0 instead of being blown up.
        inverse = torch.where(spread > 1e-6, 1 / spread.clamp(min=1e-6), 0.0)
        return cls(mean.float(), inverse.float())

    def apply(self, vectors: Float[Tensor, "*vector width"], fold: int) -> Float[Tensor, "*vector width"]:
        """The vectors as the heads of this fold are shown them."""
        return (vectors.float() - self.mean[fold]) * self.inverse[fold]

    def to(self, device: str) -> "_Standard":
        """On this device."""
        return _Standard(self.mean.to(device), self.inverse.to(device))

    def fold_in(self, bank: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The parameters, targets by folds, that give on raw tokens what these give on standardised ones."""
        w1, b1, w2, b2 = bank
        w1 = w1 * self.inverse[..., None]
        return w1, b1 - torch.einsum("fw,tfwh->tfh", self.mean, w1), w2, b2


def _train(
    tokens: Sequence[Tensor],
    goal: Float[Tensor, "photo target fold"],
    seen: Bool[Tensor, "photo fold"],
    mean: Float[Tensor, "target fold"],
    standard: _Standard,
    settings: PatchSettings,
    seed: int,
    device: str,
    track: Track,
) -> list[Tensor]:
    """Parameters on the CPU, targets by folds, for standardised tokens and scaled grams.

    The heads of a fold read the same standardised tokens, in one product; a fold none of whose photos are in a batch
    does nothing there.
    """
    generator = torch.Generator().manual_seed(seed)
    start = _start(mean, tokens[0].shape[-1], settings.hidden, generator)
    folds = [
        HeadwiseSam([p[:, fold].to(device) for p in start], rho=settings.rho, weight_decay=settings.weight_decay)
        for fold in range(mean.shape[1])
    ]
    dtype = computing_type(tokens[0], device)
    standard, goal = standard.to(device), goal.to(device)
    batches = list(_batches(len(tokens), tokens[0].shape[0], settings, generator))
    for done, photos, view in track(batches, "train", len(batches)):
        batch = torch.stack([tokens[p][v] for p, v in zip(photos.tolist(), view.tolist(), strict=True)]).to(device)
        rate = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
        for fold, sam in enumerate(folds):
            rows = seen[photos, fold].nonzero().flatten()
            if not len(rows):
                continue
            vectors = standard.apply(batch[rows].flatten(0, 1), fold).to(dtype)
            shown = Shown(vectors, goal[photos[rows], :, fold])
            losses = sam.step(lambda p: slope(Bank(*p), shown), learning_rate=rate)  # noqa: B023  # called at once
            if not torch.isfinite(losses).all():
                target = TARGETS[int((~torch.isfinite(losses)).nonzero()[0])]
                raise TrainingFailed(
                    f"The loss of {target} is not finite after {done:.0%} of training; "
                    f"lower learning_rate (now {settings.learning_rate}) in the recipe."
                )
    return [torch.stack(parts, dim=1).cpu() for parts in zip(*(sam.parameters for sam in folds), strict=True)]


def _batches(
    photos: int, views: int, settings: PatchSettings, generator: torch.Generator
) -> Iterator[tuple[float, Tensor, Tensor]]:
    """The share of training done, and the photos of the next batch with the view each is shown in."""
    count = math.ceil(photos / settings.batch_photos)
    for epoch in range(settings.epochs):
        order = torch.randperm(photos, generator=generator)
        view = torch.randint(views, (photos,), generator=generator)
        for number, batch in enumerate(order.tensor_split(count)):
            yield (epoch + number / count) / settings.epochs, batch, view[batch]


def _start(mean: Float[Tensor, "target fold"], width: int, hidden: int, generator: torch.Generator) -> list[Tensor]:
    """torch's own Linear initialisation, and a last bias that makes every head start near its target's mean.

    The bias is found on random vectors, not on tokens: those of a fold's own photos must stay unseen.
    """
    heads = mean.numel()

    def uniform(*shape: int, fan_in: int) -> Tensor:
        return (torch.rand(*shape, generator=generator) * 2 - 1) / math.sqrt(fan_in)

    bank = Bank(
        uniform(heads, width, hidden, fan_in=width),
        uniform(heads, hidden, fan_in=width),
        uniform(heads, hidden, fan_in=hidden),
        torch.zeros(heads),
    )
    _, raw = forward(Layers.of(bank, torch.float32), torch.randn(START_VECTORS, width, generator=generator))
    start = bank._replace(b2=mean.flatten() - raw.mean(0))
    return [p.reshape(*mean.shape, *p.shape[1:]) for p in start]


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
