import numpy as np
import pytest
import torch
from torch.nn import functional as F

from herbage.backbones.tiles import TILES, cut, tile_images, tile_tokens
from herbage.backbones.views import IMAGENET_MEAN, IMAGENET_STD
from herbage.recipe import load_recipe

NATIVE = load_recipe("field").model_copy(
    update={"crops": "tiles", "keep": "class", "grid": 4, "views": 3, "predict_views": None}
)
PUBLISHED = NATIVE.model_copy(update={"tiles": "published"})


def numbered():
    """A photo of 8 x 4 flat blocks of 28 pixels whose red channel is the block's number, left half then right half."""
    left = np.arange(16).reshape(4, 4)
    blocks = np.concatenate([left, left + 16], axis=1).astype(np.uint8)
    return np.kron(np.stack([blocks] * 3, -1), np.ones((28, 28, 1), np.uint8))


def red(images):
    return (images[:, 0] * IMAGENET_STD[0] + IMAGENET_MEAN[0]).mean((1, 2)) * 255


def test_tiles_are_ordered_by_view_half_row_and_column():
    small, big = tile_images(numbered(), NATIVE, 14)
    assert (small.shape, big.shape) == ((3 * 32, 3, 28, 28), (3 * 8, 3, 56, 56))
    upright = np.arange(32).reshape(2, 4, 4)
    expected = np.stack([upright, upright[:, :, ::-1], upright[:, ::-1]]).reshape(-1)
    np.testing.assert_allclose(red(small), expected, atol=1e-3)
    quarters = upright.reshape(2, 2, 2, 2, 2).mean((2, 4))
    views = np.stack([quarters, quarters[:, :, ::-1], quarters[:, ::-1]]).reshape(-1)
    np.testing.assert_allclose(red(big), views, atol=0.05)


def test_class_vectors_are_ordered_left_small_left_big_right_small_right_big():
    small, big = torch.arange(96.0)[:, None], 100 + torch.arange(24.0)[:, None]
    tokens = tile_tokens(small, big, NATIVE)
    assert tokens.shape == (3, TILES, 1)
    expected = [*range(16), *range(100, 104), *range(16, 32), *range(104, 108)]
    assert tokens[0, :, 0].tolist() == expected
    assert tokens[1, :, 0].tolist() == [n + (32 if n < 100 else 8) for n in expected]


def test_published_tiles_are_cut_from_the_resized_half_and_resized_up():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (90, 140, 3), np.uint8)
    small, big = tile_images(pixels, PUBLISHED.model_copy(update={"views": 1}), 14)
    assert (small.shape, big.shape) == ((32, 3, 56, 56), (8, 3, 56, 56))
    right = torch.from_numpy(pixels[:, 70:]).permute(2, 0, 1).float()[None] / 255
    resized = F.interpolate(right, size=(56, 56), mode="area")
    tile = F.interpolate(resized[:, :, 14:28, 28:42], size=(56, 56), mode="bilinear")
    expected = (tile[0] - torch.tensor(IMAGENET_MEAN)[:, None, None]) / torch.tensor(IMAGENET_STD)[:, None, None]
    torch.testing.assert_close(small[16 + 4 + 2], expected)


def test_cuts_are_at_rounded_even_steps():
    half = torch.arange(3 * 518 * 6.0).reshape(3, 518, 6)
    tiles = cut(half, 4)
    assert [tile.shape[1] for tile in tiles[::4]] == [130, 129, 129, 130]  # edges 0, 129.5, 259, 388.5, 518
    assert torch.equal(torch.cat([torch.cat(tiles[4 * r : 4 * r + 4], dim=2) for r in range(4)], dim=1), half)


@pytest.mark.parametrize("recipe", [NATIVE, PUBLISHED], ids=["native", "published"])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 2)])
def test_the_smallest_photo_gives_every_tile(size, recipe):
    for images in tile_images(np.full((*size, 3), 90, np.uint8), recipe, 14):
        assert images.isfinite().all()
        assert len(images) in (96, 24)
