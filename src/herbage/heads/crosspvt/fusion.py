"""Cross-scale fusion: cross-attention between the tokens of the small tiles and those of the big tiles."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from herbage.heads.crosspvt.blocks import ATTENTION_HEADS, Attention, AttentionBlock

LAYERS = 2


class FusionLayer(nn.Module):
    """An attention block in each stream, then the first token of each stream attends to the other stream.

    CrossViT: Chen et al. 2021, arXiv:2103.14899.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.small_block, self.big_block = (AttentionBlock(width, heads=ATTENTION_HEADS, ratio=2) for _ in range(2))
        self.small_asks, self.big_asks = (Attention(width, heads=ATTENTION_HEADS) for _ in range(2))

    def forward(
        self,
        small: Float[Tensor, "photo 5 width"],
        big: Float[Tensor, "photo 5 width"],
        norm_small: nn.LayerNorm,
        norm_big: nn.LayerNorm,
    ) -> tuple[Float[Tensor, "photo 5 width"], Float[Tensor, "photo 5 width"]]:
        """Update both streams; each attends to the other as it was before the exchange."""
        small, big = self.small_block(small), self.big_block(big)
        query_small, query_big = norm_small(small[:, :1]), norm_big(big[:, :1])
        from_big = self.small_asks(query_small, torch.cat([big, query_big], dim=1))
        from_small = self.big_asks(query_big, torch.cat([small, query_small], dim=1))
        return (
            torch.cat([small[:, :1] + from_big, small[:, 1:]], dim=1),
            torch.cat([big[:, :1] + from_small, big[:, 1:]], dim=1),
        )


class CrossScaleFusion(nn.Module):
    """Two fusion layers that share the norms of the queries. The first token of each stream is zero and not learned."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(FusionLayer(width) for _ in range(LAYERS))
        self.norm_small, self.norm_big = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(
        self, small: Float[Tensor, "photo 4 width"], big: Float[Tensor, "photo 4 width"]
    ) -> Float[Tensor, "photo 10 width"]:
        """Return the first small token, the first big token, 4 small tokens and 4 big tokens."""
        start = torch.zeros_like(small[:, :1])
        small, big = torch.cat([start, small], dim=1), torch.cat([start, big], dim=1)
        for layer in self.layers:
            small, big = layer(small, big, self.norm_small, self.norm_big)
        return torch.cat([small[:, :1], big[:, :1], small[:, 1:], big[:, 1:]], dim=1)
