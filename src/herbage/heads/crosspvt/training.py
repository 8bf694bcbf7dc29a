"""Training of one CrossPVT network on cached class vectors of tiles."""

import copy
import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from herbage.errors import TrainingFailed
from herbage.heads.crosspvt.network import CrossPvt, Outputs
from herbage.recipe import CrossPvtSettings
from herbage.targets import SCORE_WEIGHTS, SUMS, TOTAL

MARGIN = 1.0
"""Margin of the ranking loss, in the unit of the rank head."""


def train_network(
    tokens: Float[Tensor, "photo view 40 width"],
    grams: Float[Tensor, "photo 5"],
    settings: CrossPvtSettings,
    seed: int,
) -> CrossPvt:
    """Train a network on these photos, each in one random view per epoch; raises TrainingFailed if the loss diverges.

    The optimiser is AdamW with a cosine schedule to 0 and clipped gradients. With `rho`, SAM computes each gradient at
    the edge of a neighbourhood (`herbage.heads.sam` is the version for stacked heads). With `ema`, the result is an
    exponential moving average of the weights. The original also trains the backbone, in a second phase at a lower
    rate; here the backbone is frozen and the cached views are the only augmentation.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = CrossPvt(tokens.shape[-1], settings)
        network.learn_scale(grams)
        average = copy.deepcopy(network) if settings.ema else None
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        photos, views = tokens.shape[:2]
        batches = math.ceil(photos / settings.batch_photos)
        steps = settings.epochs * batches
        network.train()
        steps_done = 0
        for epoch in range(settings.epochs):
            view = torch.randint(views, (photos,))
            for number, rows in enumerate(torch.randperm(photos).tensor_split(batches)):
                progress = (epoch * batches + number) / steps
                for group in optimiser.param_groups:
                    group["lr"] = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
                inputs, truth = tokens[rows, view[rows]].float(), grams[rows]
                value = _step(network, optimiser, partial(_batch_loss, network, inputs, truth, settings), settings)
                if not math.isfinite(value):
                    raise TrainingFailed(
                        f"The loss of CrossPVT is not finite after {progress:.0%} of training; lower learning_rate "
                        f"(now {settings.learning_rate}) in the recipe."
                    )
                steps_done += 1
                if average is not None:
                    # A smaller decay at first, so that the random initial weights lose their influence quickly.
                    _update_average(average, network, min(settings.ema, steps_done / (10 + steps_done)))
    return (average or network).eval().requires_grad_(False)


def loss(network: CrossPvt, outputs: Outputs, grams: Float[Tensor, "photo 5"], settings: CrossPvtSettings) -> Tensor:
    """Squared error with the weights of the score, plus the auxiliary head's error, plus losses of the rank head.

    The rank head's losses compare random pairs of photos. All terms are in units of the mean total, so that a loss is
    near 1 for quadrats of any size; with the defect `raw_grams` they are in grams.
    """
    sums, weights = (torch.from_numpy(a).float() for a in (SUMS, SCORE_WEIGHTS))
    unit = network.scale_g[TOTAL]
    truth = grams / unit
    main = ((outputs.components @ sums.T / unit - truth) ** 2 * weights).sum(1).mean()
    auxiliary = ((outputs.auxiliary / unit - truth) ** 2).mean()
    total = truth[:, TOTAL]
    first, second = torch.arange(len(total)), torch.randperm(len(total))
    observed = total[first] - total[second]
    predicted = outputs.rank[first] - outputs.rank[second]
    ranking = (F.relu(MARGIN - predicted * observed.sign()) * (observed != 0)).mean()
    difference = F.smooth_l1_loss(predicted, observed)
    value: Tensor = (
        main
        + settings.auxiliary_weight * auxiliary
        + settings.ranking_weight * ranking
        + settings.difference_weight * difference
    )
    return value


def _batch_loss(network: CrossPvt, inputs: Tensor, truth: Tensor, settings: CrossPvtSettings) -> Tensor:
    return loss(network, network(inputs), truth, settings)


def _step(
    network: CrossPvt, optimiser: torch.optim.Optimizer, closure: Callable[[], Tensor], settings: CrossPvtSettings
) -> float:
    parameters = list(network.parameters())
    rng_state = torch.get_rng_state()
    value = closure()
    gradients = torch.autograd.grad(value, parameters)
    if settings.rho:
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        ascent = [gradient * (settings.rho / (norm + 1e-12)) for gradient in gradients]
        _move(parameters, ascent, 1)
        torch.set_rng_state(rng_state)  # the second gradient needs the same dropout and the same pairs
        gradients = torch.autograd.grad(closure(), parameters)
        _move(parameters, ascent, -1)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
    optimiser.step()
    return float(value.detach())


@torch.no_grad()
def _move(parameters: Sequence[Tensor], by: Sequence[Tensor], sign: int) -> None:
    for parameter, change in zip(parameters, by, strict=True):
        parameter.add_(change, alpha=sign)


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    for averaged, current in zip(average.parameters(), network.parameters(), strict=True):
        averaged.lerp_(current, 1 - decay)
