"""What the network's parts are built of. No positional encoding, no layer scale, no drop path anywhere."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

DROPOUT = 0.1

ATTENTION_HEADS = 6
"""Of the first two stages, whose width follows the backbone's."""


class FeedForward(nn.Sequential):
    """Linear width to ratio x width, GELU, dropout, Linear back."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__(
            nn.Linear(width, ratio * width), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(ratio * width, width)
        )


class Attention(nn.MultiheadAttention):
    """Multi-head attention of queries to tokens that are keys and values alike."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads, dropout=DROPOUT, batch_first=True)

    def forward(  # type: ignore[override]  # one use of many
        self, queries: Float[Tensor, "photo query width"], tokens: Float[Tensor, "photo token width"]
    ) -> Float[Tensor, "photo query width"]:
        """What each query takes from the tokens."""
        taken: Tensor = super().forward(queries, tokens, tokens, need_weights=False)[0]
        return taken


class AttentionBlock(nn.Module):
    """Pre-norm transformer block: tokens += self-attention, tokens += feed-forward."""

    def __init__(self, width: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2, self.feed_forward = nn.LayerNorm(width), FeedForward(width, ratio)

    def forward(self, tokens: Float[Tensor, "photo token width"]) -> Float[Tensor, "photo token width"]:
        """The tokens, each having heard the others."""
        normed = self.norm1(tokens)
        tokens = tokens + self.attention(normed, normed)
        mixed: Tensor = tokens + self.feed_forward(self.norm2(tokens))
        return mixed


class SpatialReductionBlock(nn.Module):
    """A PVT block: as an attention block, but keys and values are the tokens' grid reduced by a strided convolution.

    In this network the grid is 2 x 3 and the reduction 2, so there is one key (the third column is not even in it), the
    softmax over it is always 1, and the attention adds the same vector to every token. Published so, and kept.
    PVT: Wang et al. 2021, arXiv:2102.12122.
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
        """The grid, each token having heard the reduced grid."""
        normed = self.norm1(grid)
        reduced = self.norm_reduced(self.reduce(normed.permute(0, 3, 1, 2)).flatten(2).transpose(1, 2))
        key, value = self.key_value(reduced).chunk(2, dim=-1)
        query, key, value = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (self.query(normed.flatten(1, 2)), key, value)
        )
        taken = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        grid = grid + self.out(taken).reshape(grid.shape)
        mixed: Tensor = grid + self.feed_forward(self.norm2(grid))
        return mixed


class GatedConvolutionBlock(nn.Module):
    """What the original calls "local Mamba": a gate and a depthwise convolution along the tokens.

    There is no state-space model in it.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.norm, self.gate, self.out = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)
        self.along = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, tokens: Float[Tensor, "photo token width"]) -> Float[Tensor, "photo token width"]:
        """The tokens, each having heard its neighbours."""
        normed = self.norm(tokens)
        gated = normed * torch.sigmoid(self.gate(normed))
        heard = self.along(gated.transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = tokens + self.dropout(self.out(heard))
        return mixed
