"""Ideas of the ladder that the library does not hold, each as small as it can be tried. All judge by the same folds.

An idea is a function from (train, test) photo numbers to the test photos' grams; what it tunes, it tunes by grouped
cross-validation among the training photos. Vectors are standardised over all photos, which looks at no weight.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold
from torch.nn import functional as F

from herbage.targets import SCORE_WEIGHTS, SUMS

Array = np.ndarray
Idea = Callable[[Array, Array], Array]
PENALTIES = (3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
INNER_FOLDS = 4


class Photos(NamedTuple):
    """What was weighed: grams (photo, 5), the group of each photo, and its height (cm) and NDVI where measured."""

    grams: Array
    group: Array
    sensors: Array


def standard(vectors: Array) -> Array:
    """Each number with mean 0 and spread 1 over the photos."""
    spread = vectors.std(0)
    return (vectors - vectors.mean(0)) / np.where(spread > 1e-6, spread, 1)


def linear(*blocks: tuple[Array, float]) -> Array:
    """Kernel of a linear head on blocks of vectors, each counting by its weight however wide it is."""
    return sum(weight * standard(block) @ standard(block).T / block.shape[1] for block, weight in blocks)


def patch_components(patches: Array, means: Array, keep: int, whiten: float) -> Array:
    """Mean vectors in the first principal components of all patches; `whiten` 1 makes the patches' spread even."""
    flat = patches.reshape(-1, patches.shape[-1])
    centre, spread = flat.mean(0), flat.std(0)
    variance, axes = np.linalg.eigh(np.cov(((flat - centre) / spread).T))
    variance, axes = variance[::-1][:keep], axes[:, ::-1][:, :keep]
    return (means - centre) / spread @ axes * variance ** (-whiten / 2)


def components_kernel(components: Array) -> Array:
    """Linear kernel on vectors that keep their own scale."""
    centred = components - components.mean(0)
    kernel = centred @ centred.T
    return kernel * len(kernel) / np.trace(kernel)


def rbf_on_patches(patches: Array, keep: int) -> Array:
    """Mean of a Gaussian kernel over all pairs of patches: the widest non-linear head a patch that is still convex."""
    photos, count, width = patches.shape
    low = patch_components(patches, patches.reshape(-1, width), keep, 0.5).reshape(photos, count, keep)
    flat = torch.from_numpy(low.reshape(-1, keep)).float()
    reach = 2 * torch.pdist(flat[:: max(1, len(flat) // 2000)]).median()
    kernel = np.empty((photos, photos))
    for i, own in enumerate(torch.from_numpy(low).float()):
        near = torch.exp(-(torch.cdist(own, flat) ** 2) / (2 * reach**2))
        kernel[i] = near.reshape(count, photos, count).mean((0, 2)).double().numpy()
    return kernel


def kernel_ridge(
    kernel: Array,
    photos: Photos,
    *,
    link: tuple[Callable[[Array], Array], Callable[[Array], Array]] = (np.asarray, np.asarray),
    noise: Callable[[Array], Array] = lambda train: np.eye(len(train)),
) -> Idea:
    """Ridge on a kernel; `link` goes from grams to what is fitted and back, `noise` gives the errors' covariance."""

    def solve(train: Array, test: Array, penalty: float) -> Array:
        rows = kernel[:, train].mean(1)
        centred = kernel - rows[:, None] - rows[None] + kernel[np.ix_(train, train)].mean()
        inner = centred[np.ix_(train, train)]
        scale = np.trace(inner) / len(train)
        fitted = link[0](photos.grams[train])
        mean = fitted.mean(0)
        weights = np.linalg.solve(inner / scale + penalty * noise(train), fitted - mean)
        return link[1](mean + centred[np.ix_(test, train)] / scale @ weights)

    def idea(train: Array, test: Array) -> Array:
        splits = list(GroupKFold(INNER_FOLDS).split(train, groups=photos.group[train]))
        loss = [
            sum(((solve(train[i], train[o], p) - photos.grams[train[o]]) ** 2 @ SCORE_WEIGHTS).sum() for i, o in splits)
            for p in PENALTIES
        ]
        return solve(train, test, PENALTIES[int(np.argmin(loss))])

    return idea


def group_effect(photos: Photos, share: float) -> Callable[[Array], Array]:
    """A mixed model: photos of one place and day share an error."""
    return lambda train: np.eye(len(train)) + share * (photos.group[train][:, None] == photos.group[train][None])


def growing_noise(photos: Photos) -> Callable[[Array], Array]:
    """Errors whose variance grows with the weighed total."""

    def noise(train: Array) -> Array:
        variance = 20 + photos.grams[train, 3]
        return np.diag(variance / variance.mean())

    return noise


def partial_least_squares(vectors: Array, photos: Photos, components: int) -> Idea:
    """PLS on mean vectors, targets weighted as the score weights them."""
    root = np.sqrt(SCORE_WEIGHTS)

    def idea(train: Array, test: Array) -> Array:
        return PLSRegression(components).fit(vectors[train], photos.grams[train] * root).predict(vectors[test]) / root

    return idea


def learnt_sensors(vectors: Array, photos: Photos, weight: float) -> Idea:
    """Height and NDVI, known for training photos, are estimated from the vectors and stand beside them."""
    height, ndvi = np.log(photos.sensors[:, 0]), photos.sensors[:, 1]
    known = standard(np.stack([height, ndvi, height * ndvi], 1))
    scaled = standard(vectors)

    def idea(train: Array, test: Array) -> Array:
        guessed = np.empty_like(known)
        for i, o in GroupKFold(INNER_FOLDS).split(train, groups=photos.group[train]):
            guessed[train[o]] = Ridge(alpha=100.0).fit(scaled[train[i]], known[train[i]]).predict(scaled[train[o]])
        guessed[test] = Ridge(alpha=100.0).fit(scaled[train], known[train]).predict(scaled[test])
        return kernel_ridge(linear((vectors, 1.0), (guessed, weight)), photos)(train, test)

    return idea


def softplus_nets(
    patches: Array,
    photos: Photos,
    seed: int,
    *,
    hidden: int = 16,
    epochs: int = 60,
    learning_rate: float = 4e-3,
    weight_decay: float = 1.0,
    dropout: float = 0.2,
    delta: float = 1.0,
    rho: float = 0.0,
    nets: int = 4,
) -> Idea:
    """A small network a patch with three softplus components, sums by construction, Huber loss weighted as the score.

    `patches` (sample, patch, number) holds both halves of every photo as samples of their own. Each step sees 64
    patches of 16 samples; several networks are averaged. `rho` above 0 is SAM.
    """
    sums, weights = torch.tensor(SUMS).float(), torch.tensor(SCORE_WEIGHTS).float()
    halves = len(patches) // len(photos.grams)
    tokens = torch.from_numpy(patches).float()

    def idea(train: Array, test: Array) -> Array:
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)  # dropout takes no generator
        samples = torch.from_numpy((train[:, None] * halves + np.arange(halves)).reshape(-1))
        goal = torch.from_numpy(photos.grams[train]).float().repeat_interleave(halves, 0)
        scale = ((goal**2 * weights).sum(1).mean() / weights.sum()).sqrt()
        centre, spread = tokens[samples].mean((0, 1)), tokens[samples].std((0, 1))
        width = tokens.shape[-1]
        start = (goal[:, :3].mean(0) / scale).clamp(min=0.05)
        parameters = [
            torch.randn(nets, width, hidden, generator=generator) / math.sqrt(width),
            torch.zeros(nets, 1, hidden),
            torch.randn(nets, hidden, 3, generator=generator) * 0.3 / math.sqrt(hidden),
            torch.log(torch.expm1(start)).expand(nets, 1, 3).clone(),
        ]
        for parameter in parameters:
            parameter.requires_grad_()
        optimiser = torch.optim.AdamW(
            [{"params": parameters[::2], "weight_decay": weight_decay}, {"params": parameters[1::2]}],
            lr=learning_rate, weight_decay=0.0,
        )  # fmt: skip

        def components(vectors: torch.Tensor, drop: float) -> torch.Tensor:
            w1, b1, w2, b2 = parameters
            active = F.gelu(((vectors - centre) / spread).expand(nets, -1, -1) @ w1 + b1)
            return F.softplus(F.dropout(active, drop) @ w2 + b2)

        def backward(vectors: torch.Tensor, truth: torch.Tensor) -> None:
            optimiser.zero_grad()
            made = components(vectors.reshape(-1, width), dropout).reshape(nets, len(truth), -1, 3).mean(2) @ sums.T
            loss = F.huber_loss(made, (truth / scale).expand_as(made), reduction="none", delta=delta)
            (loss * weights).sum(-1).mean(1).sum().backward()

        steps = epochs * math.ceil(len(samples) / 16)
        for step in range(steps):
            if step % math.ceil(len(samples) / 16) == 0:
                batches = iter(torch.randperm(len(samples), generator=generator).split(16))
            batch = next(batches)
            some = torch.randint(tokens.shape[1], (len(batch), 64), generator=generator)
            vectors, truth = tokens[samples[batch][:, None], some], goal[batch]
            backward(vectors, truth)
            if rho:
                climbed = _climb(parameters, rho)
                backward(vectors, truth)
                with torch.no_grad():
                    for parameter, climb in zip(parameters, climbed, strict=True):
                        parameter -= climb
            for part in optimiser.param_groups:
                part["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
            optimiser.step()
        with torch.no_grad():
            made = [
                components(tokens[photo * halves : (photo + 1) * halves].reshape(-1, width), 0.0).mean((0, 1))
                for photo in test
            ]
        return (torch.stack(made) * scale @ sums.T).double().numpy()

    return idea


def _climb(parameters: Sequence[torch.Tensor], rho: float) -> list[torch.Tensor]:
    """SAM's step to the edge of each network's neighbourhood, taken; returned so that it can be taken back."""
    norm = torch.stack([p.grad.flatten(1).square().sum(1) for p in parameters]).sum(0).sqrt()
    climbed = [p.grad * (rho / (norm + 1e-12)).reshape(-1, 1, 1) for p in parameters]
    with torch.no_grad():
        for parameter, climb in zip(parameters, climbed, strict=True):
            parameter += climb
    return climbed
