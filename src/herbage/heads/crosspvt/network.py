"""The CrossPVT network: from the tiles of both halves to grams of clover, dead and green."""

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
"""Small tiles per half (4 x 4), which precede its 2 x 2 big tiles."""

HIDDEN = 448


class Outputs(NamedTuple):
    """The network's outputs for a batch of photos.

    `components`: clover, dead and green in grams. `auxiliary`: all five targets in grams, estimated from the mixer's
    second stage. `rank`: a score that orders photos by total weight.
    """

    components: Float[Tensor, "photo 3"]
    auxiliary: Float[Tensor, "photo 5"]
    rank: Float[Tensor, " photo"]


class CrossPvt(nn.Module):
    """Estimates the components of a photo from the class vectors of its tiles.

    For each half, with the same weights: `retokenizer` merges 16 small tiles into 4 tokens, `fusion` exchanges
    information between small and big tiles, and `mixer` reduces all tokens to one vector. Then each half is gated by
    the other, and one head per component reads both.

    The heads work in units of the training photos' mean grams, which is stored in the buffer `scale_g`. Class vectors
    are not standardised, because that lowers the score (docs/crosspvt.md). The settings' `as_published` restores
    defects of the original.
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
        """Set the unit of each target to its mean over these photos, at least 0.1 g."""
        if "raw_grams" not in self.defects:
            self.scale_g.copy_(grams.mean(0).clamp(min=0.1))

    def forward(self, tiles: Float[Tensor, "photo 40 width"]) -> Outputs:
        """Compute all outputs; training uses all of them, prediction only the components."""
        tiles = self.enter(tiles)
        # One batch of all left halves and all right halves, because both use the same weights.
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
    ) -> tuple[Float[Tensor, "half third"], Float[Tensor, "half token second"]]:
        small = self.retokenizer(tiles[:, :SMALL_TILES])
        vector, tokens = self.mixer(self.fusion(small, tiles[:, SMALL_TILES:]))
        return vector, tokens
