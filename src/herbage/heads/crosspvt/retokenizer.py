"""T2T retokenizer: merges the vectors of 4 x 4 small tiles into 2 x 2 tokens."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from herbage.heads.crosspvt.blocks import ATTENTION_HEADS, AttentionBlock

SIDE, SIDE_AFTER = 4, 2


class Retokenizer(nn.Module):
    """Two attention blocks over the tiles, then the mean per quadrant. T2T: Yuan et al. 2021, arXiv:2101.11986."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(AttentionBlock(width, heads=ATTENTION_HEADS, ratio=2) for _ in range(2)))

    def forward(self, tiles: Float[Tensor, "photo 16 width"]) -> Float[Tensor, "photo 4 width"]:
        """Return the token of each quadrant, in row-major order."""
        grid = self.blocks(tiles).transpose(1, 2).unflatten(-1, (SIDE, SIDE))
        return F.adaptive_avg_pool2d(grid, SIDE_AFTER).flatten(2).transpose(1, 2)
