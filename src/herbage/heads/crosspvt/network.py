"""The whole network: tiles of both halves to clover, dead and green grams."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from herbage.heads.crosspvt.blocks import DROPOUT
from herbage.heads.crosspvt.fusion import CrossScaleFusion
from herbage.heads.crosspvt.mixer import PyramidMixer, Widths
from herbage.heads.crosspvt.retokenizer import Retokenizer
from herbage.targets import COMPONENTS, TARGETS

SMALL_TILES, BIG_TILES = 16, 4
TILES = 2 * (SMALL_TILES + BIG_TILES)
"""Left half: 4 x 4 small tiles, 2 x 2 big tiles; then the right half."""

HIDDEN = 448


class Outputs(NamedTuple):
    """`components`: clover, dead, green, at least 0. `auxiliary`: all five targets from the middle of the network, at
    least 0. `rank`: a number that is to order photos by weight.
    """

    components: Float[Tensor, "photo 3"]
    auxiliary: Float[Tensor, "photo 5"]
    rank: Float[Tensor, " photo"]


class CrossPvt(nn.Module):
    """Both halves through the same parts, each gated by the other, then one head a component.

    `as_published` keeps the original's defects in the network: padding that travels on as a token, and an auxiliary
    head whose loss never reaches the parts before it.
    """

    def __init__(self, width: int, widths: Widths = Widths(), *, as_published: bool = False) -> None:  # noqa: B008
        super().__init__()
        self.as_published = as_published
        self.retokenizer = Retokenizer(width)
        self.fusion = CrossScaleFusion(width)
        self.mixer = PyramidMixer(width, widths, keep_padding=as_published)
        self.gate_left, self.gate_right = (nn.Linear(widths.third, widths.third) for _ in range(2))
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Linear(2 * widths.third, HIDDEN), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, 1), nn.Softplus()
            )
            for _ in COMPONENTS
        )
        self.auxiliary = nn.Sequential(
            nn.LayerNorm(widths.second), nn.Linear(widths.second, len(TARGETS)), nn.Softplus()
        )
        self.rank = nn.Sequential(nn.LayerNorm(2 * widths.third), nn.Linear(2 * widths.third, 1))

    def forward(self, tiles: Float[Tensor, "photo 40 width"]) -> Outputs:
        """Grams in whatever scale it was trained in."""
        left, right = tiles.chunk(2, dim=1)
        (left, left_tokens), (right, right_tokens) = self._half(left), self._half(right)
        gated_left = left * torch.sigmoid(self.gate_left(right))
        gated_right = right * torch.sigmoid(self.gate_right(left))
        merged = torch.cat([gated_left, gated_right], dim=1)
        middle = torch.cat([left_tokens, right_tokens], dim=1).mean(1)
        return Outputs(
            torch.cat([head(merged) for head in self.heads], dim=1),
            self.auxiliary(middle.detach() if self.as_published else middle),
            self.rank(merged)[:, 0],
        )

    def _half(
        self, tiles: Float[Tensor, "photo 20 width"]
    ) -> tuple[Float[Tensor, "photo third"], Float[Tensor, "photo few second"]]:
        small = self.retokenizer(tiles[:, :SMALL_TILES])
        vector, tokens = self.mixer(self.fusion(small, tiles[:, SMALL_TILES:]))
        return vector, tokens
