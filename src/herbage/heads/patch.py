"""The heads of recipe `seed`: one small network shared by all patches; all targets and folds in one pass."""

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from herbage.backbones.engine import has_bf16
from herbage.errors import TrainingFailed
from herbage.heads.sam import HeadwiseSam
from herbage.heads.training_data import FitOptions, TrainingData
from herbage.recipe import PatchSettings, Recipe
from herbage.targets import TARGETS, TargetMask

SLOPE = 0.01
"""LeakyReLU's slope below 0, torch's default."""

START_VECTORS = 256


class Bank(NamedTuple):
    """The parameters of heads that read the same vectors, stacked on the first axis."""

    w1: Float[Tensor, "head width hidden"]
    b1: Float[Tensor, "head hidden"]
    w2: Float[Tensor, "head hidden"]
    b2: Float[Tensor, " head"]


class Batch(NamedTuple):
    """The patches of some photos, photo by photo, and each head's target value for each photo."""

    vectors: Float[Tensor, "photo_patch width"]
    goal: Float[Tensor, "photo head"]


class PatchHeads:
    """Linear width to hidden, LeakyReLU, Linear hidden to 1, ReLU for every patch; grams are the mean over patches.

    `w1` (target, fold, width, hidden), `b1` and `w2` (target, fold, hidden), `b2` (target, fold).
    """

    reads_mean_token: ClassVar[bool] = False
    takes_measured: ClassVar[bool] = False
    delivered: ClassVar[str] = "the mean of the heads of all folds"

    def __init__(self, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> None:
        self.w1, self.b1, self.w2, self.b2 = w1, b1, w2, b2
        self._layers: dict[torch.dtype, Layers] = {}

    @classmethod
    def check(cls, recipe: Recipe, width: int, known: TargetMask) -> None:
        """Any target can be fitted on tokens of any width."""

    @classmethod
    def fit(cls, data: TrainingData, recipe: Recipe, options: FitOptions) -> "PatchHeads":
        """Train every target and fold in one pass over the tokens; head (t, f) is trained without fold f.

        Squared error of grams scaled by their spread, SAM over AdamW, cosine schedule to 0; each epoch uses one random
        view of each photo. Tokens are standardised by the training photos of each fold, and both scales are folded into
        the weights at the end. Each photo's tokens are read once for the scale and once per epoch, so they may be on
        disk. A target that never varies in a fold gets a head with a constant estimate. Raises TrainingFailed for NaN,
        and for a head that dies although its target varies.
        """
        in_training = torch.from_numpy(data.folds.fold)[:, None] != torch.arange(data.folds.count)
        goal = _Goal.of(torch.from_numpy(data.filled_g).float(), in_training)
        standard = _Standard.of(data.tokens, in_training)
        trained = _train(data.tokens, goal, in_training, standard, recipe.patch, options)

        w1, b1, w2, b2 = standard.fold_in(trained)
        # ReLU is positively homogeneous, so the scale of the grams goes into the last layer exactly.
        w2 = torch.where(goal.varies[..., None], w2 * goal.scale[..., None], 0.0)
        b2 = torch.where(goal.varies, b2 * goal.scale, goal.mean)
        heads = cls(w1, b1, w2, b2).to(options.device)
        _refuse_dead(heads, data.tokens, in_training, goal.varies)
        unknown = ~torch.tensor(data.known)[:, None].to(heads.b2.device)
        return cls(heads.w1, heads.b1, heads.w2, heads.b2.masked_fill(unknown, torch.nan))

    @classmethod
    def shapes(cls, recipe: Recipe, folds: int, width: int) -> dict[str, tuple[int, ...]]:
        """The tensors of a model file."""
        bank, hidden = (len(TARGETS), folds), recipe.patch.hidden
        return {"w1": (*bank, width, hidden), "b1": (*bank, hidden), "w2": (*bank, hidden), "b2": bank}

    @classmethod
    def open(cls, tensors: dict[str, Tensor], recipe: Recipe, folds: int, width: int) -> "PatchHeads":
        """Rebuild the heads from a model file's tensors."""
        return cls(**tensors)

    @torch.inference_mode()
    def _values(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold view patch"]:
        """Grams if the whole photo looked like this patch, by each head in each view."""
        views, patches, width = tokens.shape
        device = self.b2.device
        dtype = computing_type(tokens, device.type)
        if dtype not in self._layers:
            bank = Bank(*(p.flatten(0, 1) for p in (self.w1, self.b1, self.w2, self.b2)))
            self._layers[dtype] = Layers.of(bank, dtype)
        _, raw = forward(self._layers[dtype], tokens.reshape(-1, width).to(device, dtype))
        return F.relu(raw).T.reshape(*self.b2.shape, views, patches).cpu()

    def grams(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, " target"]:
        """The mean over folds, views and patches."""
        return self._values(tokens).mean(-1).double().mean((1, 2))

    def fold_grams(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target fold"]:
        """The mean over views and patches."""
        return self._values(tokens).mean(-1).double().mean(-1)

    def density(self, tokens: Float[Tensor, "view patch width"]) -> Float[Tensor, "target patch"]:
        """Grams if the whole photo looked like this patch, the mean over folds and views."""
        return self._values(tokens).double().mean((1, 2))

    def to(self, device: str) -> "PatchHeads":
        """The same heads, computing on this device."""
        if self.b2.device == torch.device(device):
            return self
        return PatchHeads(*(p.to(device) for p in (self.w1, self.b1, self.w2, self.b2)))

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a model file, on the CPU."""
        return {name: getattr(self, name).cpu() for name in ("w1", "b1", "w2", "b2")}


def computing_type(tokens: Tensor, device: str = "cpu") -> torch.dtype:
    """The type to compute in: bf16 for half-precision tokens on a device with bf16 products, else float32."""
    return torch.bfloat16 if tokens.dtype == torch.float16 and has_bf16(device) else torch.float32


class Layers(NamedTuple):
    """A bank as one network: first layers concatenated, second layers in one block-diagonal matrix."""

    w1: Float[Tensor, "width head_hidden"]
    b1: Float[Tensor, " head_hidden"]
    w2: Float[Tensor, "head_hidden head"]
    b2: Float[Tensor, " head"]

    @classmethod
    def of(cls, bank: Bank, dtype: torch.dtype) -> "Layers":
        """Convert to the computing type, except the last bias, so that a constant estimate stays exact."""
        w1, b1, w2 = (p.to(dtype) for p in bank[:3])
        diagonal = torch.block_diag(*w2[..., None])  # type: ignore[no-untyped-call]  # torch gives it no types
        return cls(w1.transpose(0, 1).flatten(1), b1.flatten(), diagonal, bank.b2)


def forward(
    layers: Layers, vectors: Float[Tensor, "vector width"]
) -> tuple[Float[Tensor, "vector head_hidden"], Float[Tensor, "vector head"]]:
    """The hidden layer after LeakyReLU, and the output before ReLU in float32; one matrix product each."""
    hidden = F.leaky_relu_(torch.addmm(layers.b1, vectors, layers.w1), SLOPE)
    return hidden, (hidden @ layers.w2).float() + layers.b2


def loss_gradient(bank: Bank, batch: Batch) -> tuple[Float[Tensor, " head"], Bank]:
    """Each head's mean squared error over the batch, and its gradient, computed in the vectors' type.

    The gradient is written by hand, because automatic differentiation would read the hidden layer more often.
    """
    heads, width, hidden = bank.w1.shape
    vectors, goal = batch
    layers = Layers.of(bank, vectors.dtype)
    active, raw = forward(layers, vectors)
    by_photo = F.relu(raw).reshape(len(goal), -1, heads)
    error = by_photo.mean(1) - goal
    d_photo = 2 * error / (len(goal) * by_photo.shape[1])
    d_raw = d_photo.repeat_interleave(by_photo.shape[1], 0) * (raw > 0)
    d_last = d_raw.to(vectors.dtype)
    # LeakyReLU preserves signs, so its slope follows from its output.
    d_first = torch.ops.aten.leaky_relu_backward(d_last @ layers.w2.T, active, SLOPE, True)
    d_w2 = (active.T @ d_last).float().reshape(heads, hidden, heads)
    return error.square().mean(0), Bank(
        (vectors.T @ d_first).float().reshape(width, heads, hidden).transpose(0, 1),
        d_first.sum(0, dtype=torch.float32).reshape(heads, hidden),
        d_w2.diagonal(dim1=0, dim2=2).T,
        d_raw.sum(0),
    )


class _Goal(NamedTuple):
    """Scaled grams that each head is trained to predict, and the mean and scale of its training photos in grams."""

    scaled: Float[Tensor, "photo target fold"]
    mean: Float[Tensor, "target fold"]
    scale: Float[Tensor, "target fold"]
    varies: Bool[Tensor, "target fold"]

    @classmethod
    def of(cls, grams: Float[Tensor, "photo target"], in_training: Bool[Tensor, "photo fold"]) -> "_Goal":
        own, photos = in_training[:, None].float(), in_training.sum(0)
        mean = (grams[..., None] * own).sum(0) / photos
        spread = (((grams[..., None] - mean) ** 2 * own).sum(0) / photos).sqrt()
        varies = spread > 1e-6
        scale = torch.where(varies, spread, 1.0)
        return cls(grams[..., None] / scale, mean, scale, varies)


class _Standard(NamedTuple):
    """Mean, and one over the standard deviation, of each fold's training tokens."""

    mean: Float[Tensor, "fold width"]
    inverse: Float[Tensor, "fold width"]

    @classmethod
    def of(cls, tokens: Sequence[Tensor], in_training: Bool[Tensor, "photo fold"]) -> "_Standard":
        moments = []
        for photo in tokens:
            vectors = photo.flatten(0, 1).double()
            moments.append(torch.stack([vectors.mean(0), vectors.square().mean(0)]))
        share = in_training.double() / in_training.sum(0)
        mean, square = torch.einsum("pf,pmw->mfw", share, torch.stack(moments))
        spread = (square - mean**2).clamp(min=0).sqrt()
        # A constant dimension carries no information; dividing by its spread would amplify rounding errors.
        inverse = torch.where(spread > 1e-6, 1 / spread.clamp(min=1e-6), 0.0)
        return cls(mean.float(), inverse.float())

    def apply(self, vectors: Float[Tensor, "*vector width"], fold: int) -> Float[Tensor, "*vector width"]:
        """Standardise vectors for the heads of this fold."""
        return (vectors.float() - self.mean[fold]) * self.inverse[fold]

    def to(self, device: str) -> "_Standard":
        """The same values on this device."""
        return _Standard(self.mean.to(device), self.inverse.to(device))

    def fold_in(self, bank: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Parameters (target, fold, ...) that give on raw tokens what `bank` gives on standardised ones."""
        w1, b1, w2, b2 = bank
        w1 = w1 * self.inverse[..., None]
        return w1, b1 - torch.einsum("fw,tfwh->tfh", self.mean, w1), w2, b2


def _train(
    tokens: Sequence[Tensor],
    goal: _Goal,
    in_training: Bool[Tensor, "photo fold"],
    standard: _Standard,
    settings: PatchSettings,
    options: FitOptions,
) -> list[Tensor]:
    """Parameters (target, fold, ...) on the CPU, for standardised tokens and scaled grams.

    The heads of a fold read the same standardised tokens in one product. A batch without training photos of a fold
    skips that fold.
    """
    generator = torch.Generator().manual_seed(options.seed)
    start = _start(goal.mean / goal.scale, tokens[0].shape[-1], settings.hidden, generator)
    folds = [
        HeadwiseSam(
            [p[:, fold].to(options.device) for p in start], rho=settings.rho, weight_decay=settings.weight_decay
        )
        for fold in range(goal.mean.shape[1])
    ]
    dtype = computing_type(tokens[0], options.device)
    standard, scaled = standard.to(options.device), goal.scaled.to(options.device)
    batches = list(_batches(len(tokens), tokens[0].shape[0], settings, generator))
    for done, photos, view in options.track(batches, "train", len(batches)):
        photo_tokens = torch.stack([tokens[p][v] for p, v in zip(photos.tolist(), view.tolist(), strict=True)])
        photo_tokens = photo_tokens.to(options.device)
        rate = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
        for fold, sam in enumerate(folds):
            rows = in_training[photos, fold].nonzero().flatten()
            if not len(rows):
                continue
            vectors = standard.apply(photo_tokens[rows].flatten(0, 1), fold).to(dtype)
            batch = Batch(vectors, scaled[photos[rows], :, fold])
            losses = sam.step(lambda p: loss_gradient(Bank(*p), batch), learning_rate=rate)  # noqa: B023  # called at once
            _refuse_nan(losses, done, settings)
    return [torch.stack(parts, dim=1).cpu() for parts in zip(*(sam.parameters for sam in folds), strict=True)]


def _refuse_nan(losses: Float[Tensor, " head"], done: float, settings: PatchSettings) -> None:
    if not torch.isfinite(losses).all():
        target = TARGETS[int((~torch.isfinite(losses)).nonzero()[0])]
        raise TrainingFailed(
            f"The loss of {target} is not finite after {done:.0%} of training; "
            f"lower learning_rate (now {settings.learning_rate}) in the recipe."
        )


def _batches(
    photos: int, views: int, settings: PatchSettings, generator: torch.Generator
) -> Iterator[tuple[float, Tensor, Tensor]]:
    """Batches: the share of training done, the photos, and the view of each photo."""
    count = math.ceil(photos / settings.batch_photos)
    for epoch in range(settings.epochs):
        order = torch.randperm(photos, generator=generator)
        view = torch.randint(views, (photos,), generator=generator)
        for number, batch in enumerate(order.tensor_split(count)):
            yield (epoch + number / count) / settings.epochs, batch, view[batch]


def _start(mean: Float[Tensor, "target fold"], width: int, hidden: int, generator: torch.Generator) -> list[Tensor]:
    """torch's Linear initialisation, with a last bias that makes every head start near its target's mean.

    The bias is computed on random vectors, not on tokens, so that held-out photos have no influence.
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
    heads: PatchHeads,
    tokens: Sequence[Tensor],
    in_training: Bool[Tensor, "photo fold"],
    varies: Bool[Tensor, "target fold"],
) -> None:
    alive = ~varies
    for photo_tokens, own in zip(tokens, in_training, strict=True):
        alive = alive | ((heads.fold_grams(photo_tokens) > 0) & own)
        if alive.all():
            return
    target, fold = (int(i) for i in (~alive).nonzero()[0])
    raise TrainingFailed(
        f"The head of {TARGETS[target]}, fold {fold} died: it estimates 0 for every photo although the target varies. "
        f"Train with another `seed` or a lower learning_rate."
    )
