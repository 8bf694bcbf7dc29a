import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from herbage.backbones.views import IMAGENET_MEAN, IMAGENET_STD, VIEWS, blur, grid_shape, patches_per_photo, view_images
from herbage.recipe import load_recipe

SEED, FIELD = load_recipe("seed"), load_recipe("field")
PIL_TURNS = [
    [], [Image.Transpose.FLIP_LEFT_RIGHT], [Image.Transpose.FLIP_TOP_BOTTOM],
    [Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM], [Image.Transpose.ROTATE_90],
    [Image.Transpose.ROTATE_270],
]  # fmt: skip


@given(st.sampled_from(VIEWS), st.integers(1, 9), st.integers(1, 4), st.integers(0, 2**31 - 1))
def test_apply_then_undo_is_the_identity(view, side, width, seed):
    grid = torch.rand(side, side, width, generator=torch.Generator().manual_seed(seed))
    result = view.apply(grid.permute(2, 0, 1)).permute(1, 2, 0)
    assert torch.equal(view.undo(result), grid)


@pytest.mark.parametrize("number", range(6))
def test_views_equal_the_transposes_of_pillow(number):
    pixels = np.random.default_rng(0).integers(0, 255, (10, 10, 3), np.uint8)
    turned = Image.fromarray(pixels)
    for turn in PIL_TURNS[number]:
        turned = turned.transpose(turn)
    result = VIEWS[number].apply(torch.from_numpy(pixels).permute(2, 0, 1).float())
    np.testing.assert_array_equal(result.permute(1, 2, 0).byte().numpy(), np.asarray(turned))


def test_the_six_views_are_different_and_in_the_notebooks_order():
    names = ["as is", "horizontal flip", "vertical flip", "both flips", "turned 90", "turned 270"]
    assert [view.name for view in VIEWS] == names
    picture = torch.arange(9.0).reshape(1, 3, 3)
    assert len({tuple(view.apply(picture).flatten().tolist()) for view in VIEWS}) == 6


def test_blur_is_a_gaussian_of_5_taps_with_reflected_edges():
    image = torch.rand(1, 3, 9, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    offsets = np.arange(-2, 3)
    taps = np.exp(-0.5 * (offsets / 1.1) ** 2)
    taps /= taps.sum()
    padded = np.pad(image[0].numpy(), ((0, 0), (2, 2), (2, 2)), mode="reflect")
    expected = np.zeros((3, 9, 7))
    for dy in range(5):
        for dx in range(5):
            expected += taps[dy] * taps[dx] * padded[:, dy : dy + 9, dx : dx + 7]
    np.testing.assert_allclose(blur(image.float(), 1.1)[0].numpy(), expected, atol=1e-6)


def test_view_images_equal_the_transform_of_the_notebook():
    pixels = np.random.default_rng(1).integers(0, 255, (300, 500, 3), np.uint8)
    ours = view_images(pixels, SEED, 14)
    assert ours.shape == (6, 3, 224, 224)
    for number, turns in enumerate(PIL_TURNS):
        photo = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
        small = torch.nn.functional.interpolate(photo[None], (224, 224), mode="bilinear", antialias=True)
        turned = small[0].permute(1, 2, 0).numpy()
        channels = [Image.fromarray(turned[..., c]) for c in range(3)]
        for turn in turns:
            channels = [channel.transpose(turn) for channel in channels]
        turned = torch.from_numpy(np.stack([np.asarray(channel) for channel in channels]))
        normal = (turned - torch.tensor(IMAGENET_MEAN)[:, None, None]) / torch.tensor(IMAGENET_STD)[:, None, None]
        torch.testing.assert_close(ours[number], blur(normal[None], 1.1)[0], atol=1e-5, rtol=0)


def test_pixels_are_normalised_with_the_constants_of_imagenet():
    assert IMAGENET_MEAN == (0.485, 0.456, 0.406)
    assert IMAGENET_STD == (0.229, 0.224, 0.225)
    grey = view_images(np.full((30, 30, 3), 51, np.uint8), FIELD.model_copy(update={"crops": "whole", "views": 1}), 1)
    for channel, (mean, std) in enumerate(((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))):
        torch.testing.assert_close(grey[0, channel], torch.full((37, 37), (0.2 - mean) / std))


def test_halves_are_the_left_and_the_right_half_at_518():
    pixels = np.zeros((100, 201, 3), np.uint8)
    pixels[:, 100:] = 255
    left, right = view_images(pixels, FIELD, 14)[:2]
    assert left.shape == (3, 518, 518)
    assert (left < 0).all()
    assert (right > 0).all()
    assert grid_shape(FIELD) == (37, 74)
    assert patches_per_photo(FIELD) == 2 * FIELD.views * 37**2


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 2)])
@pytest.mark.parametrize("recipe", [SEED, FIELD], ids=["seed", "field"])
def test_the_smallest_photo_gives_finite_images(size, recipe):
    images = view_images(np.full((*size, 3), 90, np.uint8), recipe, 14)
    assert images.isfinite().all()
