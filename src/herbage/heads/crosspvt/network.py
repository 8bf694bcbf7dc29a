"""The whole network: tiles of both halves to clover, dead and green grams."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from herbage.heads.crosspvt.blocks import DROPOUT
from herbage.heads.crosspvt.fusion import CrossScaleFusion
from herbage.heads.crosspvt.mixer import PyramidMixer, Widths
from herbage.heads.crosspvt.retokenizer import Retokenizer
from herbage.recipe import CrossPvtSettings
from herbage.targets import COMPONENTS, TARGETS

SMALL_TILES = 16
"""Of a half, 4 x 4; its 2 x 2 big tiles follow."""

HIDDEN = 448


class Outputs(NamedTuple):
    """`components`: clover, dead, green in grams. `auxiliary`: all five targets in grams, from the network's middle.
    `rank`: a number that is to order photos by total weight.
    """

    components: Float[Tensor, "photo 3"]
    auxiliary: Float[Tensor, "photo 5"]
    rank: Float[Tensor, " photo"]


class CrossPvt(nn.Module):
    """Both halves through the same parts, each gated by the other, then one head a component.

    Outputs are in units of the training photos' mean grams, which is kept in a buffer. Class vectors are taken as the
    backbone gives them: standardising each number by the training photos scores less (docs/crosspvt.md). The
    settings' `as_published` brings the original's defects back one by one.
    """

    scale_g: Float[Tensor, "5"]

    def __init__(self, width: int, settings: CrossPvtSettings) -> None:
        super().__init__()
        self.defects = settings.defects
        widths, inner = Widths(*settings.widths), settings.inner_width or width
        self.register_buffer("scale_g", torch.ones(len(TARGETS)))
        self.enter = nn.Identity() if settings.inner_width is None else nn.Linear(width, inner)
        self.retokenizer = Retokenizer(inner)
        self.fusion = CrossScaleFusion(inner)
        self.mixer = PyramidMixer(inner, widths, keep_padding="padding" in settings.defects)
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
        for part in self.modules():
            if isinstance(part, nn.Dropout):
                part.p = settings.dropout
            elif isinstance(part, nn.MultiheadAttention):
                part.dropout = settings.dropout

    def learn_scale(self, grams: Float[Tensor, "photo 5"]) -> None:
        """Give each target the unit of its mean among these photos."""
        if "raw_grams" not in self.defects:
            self.scale_g.copy_(grams.mean(0).clamp(min=0.1))

    def forward(self, tiles: Float[Tensor, "photo 40 width"]) -> Outputs:
        """Everything that training looks at; estimating takes the components alone."""
        tiles = self.enter(tiles)
        # The left halves of all photos, then the right ones: the same weights see both.
        vectors, tokens = self._half(torch.cat(tiles.chunk(2, dim=1)))
        left, right = vectors.chunk(2)
        gated_left = left * torch.sigmoid(self.gate_left(right))
        gated_right = right * torch.sigmoid(self.gate_right(left))
        merged = torch.cat([gated_left, gated_right], dim=1)
        middle = torch.cat(tokens.chunk(2), dim=1).mean(1)
        return Outputs(
            torch.cat([head(merged) for head in self.heads], dim=1) * self.scale_g[list(COMPONENTS)],
            self.auxiliary(middle.detach() if "detached" in self.defects else middle) * self.scale_g,
            self.rank(merged)[:, 0],
        )

    def _half(
        self, tiles: Float[Tensor, "half 20 width"]
    ) -> tuple[Float[Tensor, "half third"], Float[Tensor, "half few second"]]:
        small = self.retokenizer(tiles[:, :SMALL_TILES])
        vector, tokens = self.mixer(self.fusion(small, tiles[:, SMALL_TILES:]))
        return vector, tokens
