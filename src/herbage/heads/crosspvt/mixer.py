"""Pyramid mixer: the ten tokens of a half become one vector, in three stages."""

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
FEWER = max(4, TOKENS // 2)
KERNEL = 5


class Widths(NamedTuple):
    """Numbers a token in the three stages."""

    first: int
    second: int
    third: int


class MobileVitBlock(nn.Module):
    """A convolution for what is near and attention for what is far, set beside the input. arXiv:2110.02178."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width), nn.Conv2d(width, width, 1), nn.GELU()
        )
        self.far = nn.Sequential(*(AttentionBlock(width, heads=4, ratio=2) for _ in range(2)))
        self.join = nn.Conv2d(2 * width, width, 1)

    def forward(self, grid: Float[Tensor, "photo width row column"]) -> Float[Tensor, "photo width row column"]:
        """The grid, whose sides are resized up to whole windows of 2 x 2 for the attention."""
        shape = grid.shape[-2:]
        whole = [math.ceil(side / WINDOW) * WINDOW for side in shape]
        near = self.near(grid)
        if list(shape) != whole:
            near = F.interpolate(near, size=whole, mode="bilinear", align_corners=False)
        rows, columns = (side // WINDOW for side in whole)
        photos, width = near.shape[:2]
        windows = near.reshape(photos, width, rows, WINDOW, columns, WINDOW)
        # All pixels of the first window, then all of the second: one sequence.
        mixed = self.far(windows.permute(0, 2, 4, 3, 5, 1).flatten(1, 4))
        back = mixed.reshape(photos, rows, columns, WINDOW, WINDOW, width).permute(0, 5, 1, 3, 2, 4)
        far = back.reshape(photos, width, *whole)
        if list(shape) != whole:
            far = F.interpolate(far, size=list(shape), mode="bilinear", align_corners=False)
        joined: Tensor = self.join(torch.cat([grid, far], dim=1))
        return joined


class PyramidMixer(nn.Module):
    """Three stages of growing width and fewer tokens.

    `keep_padding`: as published, the token of zeros that fills the second stage's grid goes on as a token of its own;
    without it, it is dropped once the grid has been used.
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
    ) -> tuple[Float[Tensor, "photo third"], Float[Tensor, "photo few second"]]:
        """The half's vector, and the second stage's tokens (6 with the padding kept, else 5)."""
        grid = _pad(self.enter1(tokens), ROWS * COLUMNS).transpose(1, 2).reshape(len(tokens), -1, ROWS, COLUMNS)
        first = self.local(grid).flatten(2).transpose(1, 2)[:, :TOKENS]

        wide = self.enter2(first)
        pooled = F.adaptive_avg_pool1d(wide.transpose(1, 2), FEWER).transpose(1, 2)
        rows, columns = smallest_grid(FEWER)
        grid = _pad(wide[:, :FEWER] + pooled, rows * columns).reshape(len(tokens), rows, columns, -1)
        reduced = self.reduce(grid).flatten(1, 2)
        second = self.along2(reduced if self.keep_padding else reduced[:, :FEWER])

        wider = self.enter3(second)
        pair = torch.stack([wider.mean(1), wider.amax(1)], dim=1)
        return self.last(self.along3(pair)).mean(1), second


def smallest_grid(count: int) -> tuple[int, int]:
    """Rows and columns: a square of side floor(sqrt(count)), grown by columns and rows in turn until it holds all."""
    rows = columns = math.isqrt(count)
    while rows * columns < count:
        if columns <= rows:
            columns += 1
        else:
            rows += 1
    return rows, columns


def _pad(tokens: Float[Tensor, "photo token width"], count: int) -> Float[Tensor, "photo count width"]:
    return F.pad(tokens, (0, 0, 0, count - tokens.shape[1]))
