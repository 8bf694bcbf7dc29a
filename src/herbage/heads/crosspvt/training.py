"""Training one network: cached class vectors of tiles, the score's own loss, and two helpers that shape the trunk."""

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
"""Of the ranking loss, in the unit of the rank head."""


def train_network(
    tokens: Float[Tensor, "photo view 40 width"],
    grams: Float[Tensor, "photo 5"],
    settings: CrossPvtSettings,
    seed: int,
) -> CrossPvt:
    """A network trained on these photos alone, each shown in one view drawn at random; raises TrainingFailed.

    AdamW with a cosine schedule to 0, gradients clipped. Where the settings say so, SAM takes each gradient at the edge
    of a neighbourhood (`herbage.heads.sam` is the same for banks), and the mean of the weights over the last steps
    (EMA) is what comes out. Unlike the original the backbone is not trained, so its second phase at a lower rate is
    not there, and the cached views are the only augmentation.
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
        taken = 0
        for epoch in range(settings.epochs):
            view = torch.randint(views, (photos,))
            for number, rows in enumerate(torch.randperm(photos).tensor_split(batches)):
                done = (epoch * batches + number) / steps
                for group in optimiser.param_groups:
                    group["lr"] = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
                shown, goal = tokens[rows, view[rows]].float(), grams[rows]
                value = _step(network, optimiser, partial(_loss_now, network, shown, goal, settings), settings)
                if not math.isfinite(value):
                    raise TrainingFailed(
                        f"The loss of CrossPVT is not finite after {done:.0%} of training; lower learning_rate "
                        f"(now {settings.learning_rate}) in the recipe."
                    )
                taken += 1
                if average is not None:
                    # Short at first, so that the start, which is random, is soon forgotten.
                    _follow(average, network, min(settings.ema, taken / (10 + taken)))
    return (average or network).eval().requires_grad_(False)


def loss(network: CrossPvt, outputs: Outputs, grams: Float[Tensor, "photo 5"], settings: CrossPvtSettings) -> Tensor:
    """Score-weighted squared error, plus the auxiliary head's, plus what the rank head says of pairs of photos.

    All in units of the mean total, so that a loss is near 1 whatever the quadrat; with the defect `raw_grams` in grams.
    """
    sums, weights = (torch.from_numpy(a).float() for a in (SUMS, SCORE_WEIGHTS))
    unit = network.scale_g[TOTAL]
    truth = grams / unit
    main = ((outputs.components @ sums.T / unit - truth) ** 2 * weights).sum(1).mean()
    auxiliary = ((outputs.auxiliary / unit - truth) ** 2).mean()
    total = truth[:, TOTAL]
    first, second = torch.arange(len(total)), torch.randperm(len(total))
    apart = total[first] - total[second]
    said = outputs.rank[first] - outputs.rank[second]
    ranking = (F.relu(MARGIN - said * apart.sign()) * (apart != 0)).mean()
    difference = F.smooth_l1_loss(said, apart)
    value: Tensor = (
        main
        + settings.auxiliary_weight * auxiliary
        + settings.ranking_weight * ranking
        + settings.difference_weight * difference
    )
    return value


def _loss_now(network: CrossPvt, shown: Tensor, goal: Tensor, settings: CrossPvtSettings) -> Tensor:
    return loss(network, network(shown), goal, settings)


def _step(
    network: CrossPvt, optimiser: torch.optim.Optimizer, loss_now: Callable[[], Tensor], settings: CrossPvtSettings
) -> float:
    parameters = list(network.parameters())
    drawn = torch.get_rng_state()
    value = loss_now()
    gradients = torch.autograd.grad(value, parameters)
    if settings.rho:
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        climbs = [gradient * (settings.rho / (norm + 1e-12)) for gradient in gradients]
        _move(parameters, climbs, 1)
        torch.set_rng_state(drawn)  # the same dropout and the same pairs: the same loss at another place
        gradients = torch.autograd.grad(loss_now(), parameters)
        _move(parameters, climbs, -1)
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
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    for ours, theirs in zip(average.parameters(), network.parameters(), strict=True):
        ours.lerp_(theirs, 1 - decay)
