"""Pyramid mixer: three stages that reduce the ten tokens of a half to one vector."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from herbage.heads.crosspvt.blocks import AttentionBlock, GatedConvolutionBlock, SpatialReductionBlock

TOKENS = 10
ROWS, COLUMNS = 3, 4
WINDOW = 2
POOLED_TOKENS = max(4, TOKENS // 2)
KERNEL = 5


class Widths(NamedTuple):
    """Width of a token in each of the three stages."""

    first: int
    second: int
    third: int


class MobileVitBlock(nn.Module):
    """MobileViT block: convolutions for local, attention for global structure, concatenated with the input.

    MobileViT: Mehta and Rastegari 2021, arXiv:2110.02178.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width), nn.Conv2d(width, width, 1), nn.GELU()
        )
        self.far = nn.Sequential(*(AttentionBlock(width, heads=4, ratio=2) for _ in range(2)))
        self.join = nn.Conv2d(2 * width, width, 1)

    def forward(self, grid: Float[Tensor, "photo width row column"]) -> Float[Tensor, "photo width row column"]:
        """Apply the block; for the attention the grid's sides are resized up to multiples of the 2 x 2 window."""
        shape = grid.shape[-2:]
        target = [math.ceil(side / WINDOW) * WINDOW for side in shape]
        near = self.near(grid)
        if list(shape) != target:
            near = F.interpolate(near, size=target, mode="bilinear", align_corners=False)
        rows, columns = (side // WINDOW for side in target)
        photos, width = near.shape[:2]
        windows = near.reshape(photos, width, rows, WINDOW, columns, WINDOW)
        # One sequence: all pixels of the first window, then all pixels of the second.
        mixed = self.far(windows.permute(0, 2, 4, 3, 5, 1).flatten(1, 4))
        back = mixed.reshape(photos, rows, columns, WINDOW, WINDOW, width).permute(0, 5, 1, 3, 2, 4)
        far = back.reshape(photos, width, *target)
        if list(shape) != target:
            far = F.interpolate(far, size=list(shape), mode="bilinear", align_corners=False)
        joined: Tensor = self.join(torch.cat([grid, far], dim=1))
        return joined


class PyramidMixer(nn.Module):
    """Three stages with increasing width and decreasing number of tokens.

    The second stage pads its grid with a token of zeros. `keep_padding=True` passes that token on, as published;
    `keep_padding=False` drops it after the grid has been used.
    """

    def __init__(self, width: int, widths: Widths, *, keep_padding: bool) -> None:
        super().__init__()
        self.keep_padding = keep_padding
        self.enter1, self.local = nn.Linear(width, widths.first), MobileVitBlock(widths.first)
        self.enter2 = nn.Linear(widths.first, widths.second)
        self.reduce = SpatialReductionBlock(widths.second, heads=8, reduction=2, ratio=3)
        self.along2 = GatedConvolutionBlock(widths.second, KERNEL)
        self.enter3 = nn.Linear(widths.second, widths.third)
        self.along3 = nn.Sequential(*(GatedConvolutionBlock(widths.third, KERNEL) for _ in range(3)))
        self.last = AttentionBlock(widths.third, heads=8, ratio=2)

    def forward(
        self, tokens: Float[Tensor, "photo 10 width"]
    ) -> tuple[Float[Tensor, "photo third"], Float[Tensor, "photo token second"]]:
        """Return the half's vector and the second stage's tokens: 5, or 6 with `keep_padding`."""
        grid = _pad(self.enter1(tokens), ROWS * COLUMNS).transpose(1, 2).reshape(len(tokens), -1, ROWS, COLUMNS)
        first = self.local(grid).flatten(2).transpose(1, 2)[:, :TOKENS]

        wide = self.enter2(first)
        pooled = F.adaptive_avg_pool1d(wide.transpose(1, 2), POOLED_TOKENS).transpose(1, 2)
        rows, columns = smallest_grid(POOLED_TOKENS)
        grid = _pad(wide[:, :POOLED_TOKENS] + pooled, rows * columns).reshape(len(tokens), rows, columns, -1)
        reduced = self.reduce(grid).flatten(1, 2)
        second = self.along2(reduced if self.keep_padding else reduced[:, :POOLED_TOKENS])

        wider = self.enter3(second)
        pair = torch.stack([wider.mean(1), wider.amax(1)], dim=1)
        return self.last(self.along3(pair)).mean(1), second


def smallest_grid(count: int) -> tuple[int, int]:
    """Rows and columns of a grid for `count` tokens: a square of side floor(sqrt(count)), extended until all fit."""
    rows = columns = math.isqrt(count)
    while rows * columns < count:
        if columns <= rows:
            columns += 1
        else:
            rows += 1
    return rows, columns


def _pad(tokens: Float[Tensor, "photo token width"], count: int) -> Float[Tensor, "photo count width"]:
    return F.pad(tokens, (0, 0, 0, count - tokens.shape[1]))
