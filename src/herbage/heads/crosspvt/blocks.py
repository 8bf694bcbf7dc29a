"""Building blocks of the network; none has a positional encoding, layer scale or drop path."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

DROPOUT = 0.1

ATTENTION_HEADS = 6
"""Attention heads of `retokenizer` and `fusion`, whose width follows the backbone's."""


class FeedForward(nn.Sequential):
    """Linear layer to `ratio` x `width`, GELU, dropout, linear layer back to `width`."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__(
            nn.Linear(width, ratio * width), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(ratio * width, width)
        )


class Attention(nn.MultiheadAttention):
    """Multi-head attention in which the tokens are both keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads, dropout=DROPOUT, batch_first=True)

    def forward(  # type: ignore[override]  # fewer arguments than torch's
        self, queries: Float[Tensor, "photo query width"], tokens: Float[Tensor, "photo token width"]
    ) -> Float[Tensor, "photo query width"]:
        """Return the attention output of each query."""
        attended: Tensor = super().forward(queries, tokens, tokens, need_weights=False)[0]
        return attended


class AttentionBlock(nn.Module):
    """Pre-norm transformer block: tokens += self-attention, tokens += feed-forward."""

    def __init__(self, width: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2, self.feed_forward = nn.LayerNorm(width), FeedForward(width, ratio)

    def forward(self, tokens: Float[Tensor, "photo token width"]) -> Float[Tensor, "photo token width"]:
        """Apply the block to the tokens of each photo."""
        normed = self.norm1(tokens)
        tokens = tokens + self.attention(normed, normed)
        mixed: Tensor = tokens + self.feed_forward(self.norm2(tokens))
        return mixed


class SpatialReductionBlock(nn.Module):
    """PVT block: an attention block whose keys and values are the grid of tokens, reduced by a strided convolution.

    In this network the grid is 2 x 3 and the reduction 2. So there is a single key, which does not cover the third
    column; the softmax over it is always 1, and the attention adds the same vector to every token. This is as
    published. PVT: Wang et al. 2021, arXiv:2102.12122.
    """

    def __init__(self, width: int, heads: int, reduction: int, ratio: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.reduce = nn.Conv2d(width, width, reduction, stride=reduction)
        self.norm_reduced, self.out = nn.LayerNorm(width), nn.Linear(width, width)
        self.feed_forward = FeedForward(width, ratio)

    def forward(self, grid: Float[Tensor, "photo row column width"]) -> Float[Tensor, "photo row column width"]:
        """Apply the block to the grid of each photo."""
        normed = self.norm1(grid)
        reduced = self.norm_reduced(self.reduce(normed.permute(0, 3, 1, 2)).flatten(2).transpose(1, 2))
        key, value = self.key_value(reduced).chunk(2, dim=-1)
        query, key, value = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (self.query(normed.flatten(1, 2)), key, value)
        )
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        grid = grid + self.out(attended).reshape(grid.shape)
        mixed: Tensor = grid + self.feed_forward(self.norm2(grid))
        return mixed


class GatedConvolutionBlock(nn.Module):
    """A gate and a depthwise convolution along the tokens.

    The original calls this block "local Mamba", but it has no state-space model.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.norm, self.gate, self.out = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)
        self.along = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, tokens: Float[Tensor, "photo token width"]) -> Float[Tensor, "photo token width"]:
        """Apply the block to the tokens of each photo."""
        normed = self.norm(tokens)
        gated = normed * torch.sigmoid(self.gate(normed))
        convolved = self.along(gated.transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = tokens + self.dropout(self.out(convolved))
        return mixed
