"""A literal implementation of the public notebook: every view decodes the photo again, one head at a time, in float32.

Benchmarks compare herbage with it, and tests/test_notebook_parity.py tests parity with it.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

SIDE_PX = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BLUR_SIGMA = 1.1
"""The notebook draws one at random (GaussianBlur)."""

HIDDEN = 128
BATCH_PHOTOS = 16
LEARNING_RATE, WEIGHT_DECAY, RHO = 1e-3, 0.01, 0.05

TURNS: tuple[tuple[Image.Transpose, ...], ...] = (
    (),
    (Image.Transpose.FLIP_LEFT_RIGHT,),
    (Image.Transpose.FLIP_TOP_BOTTOM,),
    (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM),
    (Image.Transpose.ROTATE_90,),
    (Image.Transpose.ROTATE_270,),
)


def see(path: Path, turns: Sequence[Image.Transpose], dtype: torch.dtype = torch.float32) -> Tensor:
    """One view (3, 224, 224): the photo turned, to a float tensor, resized, normalised, blurred."""
    photo = Image.open(path).convert("RGB")
    for turn in turns:
        photo = photo.transpose(turn)
    tensor = torch.from_numpy(np.array(photo)).permute(2, 0, 1).to(dtype) / 255
    tensor = F.interpolate(tensor[None], (SIDE_PX, SIDE_PX), mode="bilinear", antialias=True)[0]
    mean, std = (torch.tensor(of, dtype=dtype)[:, None, None] for of in (MEAN, STD))
    tensor = (tensor - mean) / std
    taps = torch.exp(-0.5 * ((torch.arange(5, dtype=dtype) - 2) / BLUR_SIGMA) ** 2)
    kernel = torch.outer(taps, taps) / taps.sum() ** 2
    padded = F.pad(tensor[:, None], [2] * 4, mode="reflect")
    return F.conv2d(padded, kernel[None, None])[:, 0].float()


@torch.no_grad()
def tokens(backbone: nn.Module, path: Path, dtype: torch.dtype = torch.float32) -> Tensor:
    """Patch vectors (6, 256, width) of a photo, not turned back; `dtype` is the precision of resizing and blur."""
    return torch.stack([backbone(see(path, turns, dtype)[None]).last_hidden_state[0, 1:] for turns in TURNS])


def head(width: int) -> nn.Module:
    """A head from patch vectors (..., width) to one number per patch."""
    return nn.Sequential(nn.Linear(width, HIDDEN), nn.LeakyReLU(), nn.Linear(HIDDEN, 1), nn.ReLU())


@torch.no_grad()
def grams(heads: Sequence[nn.Module], of_photo: Tensor) -> Tensor:
    """Estimates (head, view): each head's mean over the patches of a view."""
    return torch.stack([torch.stack([one(view).mean() for view in of_photo]) for one in heads])


def train_head(of_photos: Tensor, weights: Tensor, epochs: int) -> nn.Module:
    """A head trained with SAM and AdamW on tokens (photo, 6, 256, width), one random view per photo and epoch."""
    one = head(of_photos.shape[-1])
    optimiser = torch.optim.AdamW(one.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for given, goal in _batches(of_photos, weights):
            _backward(one, given, goal)
            with torch.no_grad():
                norm = torch.stack([p.grad.norm() for p in one.parameters() if p.grad is not None]).norm()
                climbs = [RHO * p.grad / (norm + 1e-12) for p in one.parameters() if p.grad is not None]
                for parameter, climb in zip(one.parameters(), climbs, strict=True):
                    parameter.add_(climb)
            _backward(one, given, goal)
            with torch.no_grad():
                for parameter, climb in zip(one.parameters(), climbs, strict=True):
                    parameter.sub_(climb)
            optimiser.step()
        schedule.step()
    return one


def _batches(of_photos: Tensor, weights: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    photos, views = of_photos.shape[:2]
    for rows in torch.randperm(photos).tensor_split(math.ceil(photos / BATCH_PHOTOS)):
        yield of_photos[rows, torch.randint(views, (len(rows),))].float(), weights[rows]


def _backward(one: nn.Module, given: Tensor, goal: Tensor) -> None:
    one.zero_grad()
    F.mse_loss(one(given)[..., 0].mean(1), goal).backward()
