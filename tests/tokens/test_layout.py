import numpy as np
import pytest
import torch

from herbage.backbones.texture import NAMES, TextureBackbone
from herbage.backbones.views import IMAGENET_MEAN, IMAGENET_STD, grid_shape, view_images
from herbage.recipe import load_recipe
from herbage.tokens.layout import BackboneOutput, extra_width, tokens_shape, upright_tokens

SEED = load_recipe("seed")
PLAIN = load_recipe("field").model_copy(update={"grid": 4, "views": 6, "average_views": False, "heterogeneity": False})


def mean_colours(images):
    return images.unfold(2, 14, 14).unfold(3, 14, 14).mean((-2, -1)).flatten(2).transpose(1, 2)


def photo(recipe, seed=2):
    rows, columns = grid_shape(recipe)
    colours = np.random.default_rng(seed).integers(0, 255, (rows, columns, 3), np.uint8)
    return colours, np.kron(colours, np.ones((14, 14, 1), np.uint8))


@pytest.mark.parametrize("recipe", [SEED.model_copy(update={"grid": 4}), PLAIN], ids=["whole", "halves"])
def test_patches_of_all_views_are_aligned(recipe):
    """A backbone that returns each patch's mean colour gives the same tokens in all views once they are upright."""
    rows, columns = grid_shape(recipe)
    colours, pixels = photo(recipe)
    images = view_images(pixels, recipe.model_copy(update={"blur_sigma": 0.0}), 14)
    patches = mean_colours(images)
    tokens = upright_tokens([BackboneOutput(images, patches.mean(1), patches)], recipe)
    assert tokens.shape == tokens_shape(recipe, 3) == (6, rows * columns, 3)
    for view in tokens:
        torch.testing.assert_close(view, tokens[0], atol=1e-5, rtol=0)
    expected = (torch.from_numpy(colours).float() / 255 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    torch.testing.assert_close(tokens[0].reshape(rows, columns, 3), expected, atol=1e-5, rtol=0)


def test_recipes_with_class_vectors_have_one_vector_per_crop():
    recipe = PLAIN.model_copy(update={"keep": "class", "grid": 2, "views": 3})
    vectors = torch.arange(6.0).reshape(6, 1)
    tokens = upright_tokens([BackboneOutput(torch.zeros(6, 3, 28, 28), vectors, torch.zeros(6, 4, 1))], recipe)
    assert tokens[..., 0].tolist() == [[0, 1], [2, 3], [4, 5]]
    averaged = recipe.model_copy(update={"average_views": True})
    tokens = upright_tokens([BackboneOutput(torch.zeros(6, 3, 28, 28), vectors, torch.zeros(6, 4, 1))], averaged)
    assert tokens[..., 0].tolist() == [[2, 3]]


def test_averaged_views_are_the_mean_of_the_upright_ones():
    each, averaged = PLAIN, PLAIN.model_copy(update={"average_views": True})
    images = view_images(photo(each)[1], each, 14)
    vectors = torch.rand(12, 16, 5, generator=torch.Generator().manual_seed(0))
    tokens = upright_tokens([BackboneOutput(images, vectors[:, 0], vectors)], averaged)
    assert tokens.shape == tokens_shape(averaged, 5) == (1, 4 * 8, 5)
    torch.testing.assert_close(
        tokens[0], upright_tokens([BackboneOutput(images, vectors[:, 0], vectors)], each).mean(0)
    )


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("patch_px", [14, 16])
def test_heterogeneity_is_appended_to_every_vector(average, patch_px):
    recipe = PLAIN.model_copy(update={"average_views": average, "heterogeneity": True})
    pixels = np.random.default_rng(4).integers(0, 255, (4 * patch_px, 8 * patch_px, 3), np.uint8)
    images = view_images(pixels, recipe, patch_px)
    vectors = torch.rand(12, 16, 2, generator=torch.Generator().manual_seed(0))
    tokens = upright_tokens([BackboneOutput(images, vectors[:, 0], vectors)], recipe)
    assert tokens.shape == tokens_shape(recipe, 2) == (1 if average else 6, 32, 2 + extra_width(recipe))
    plain = recipe.model_copy(update={"heterogeneity": False})
    assert torch.equal(tokens[..., :2], upright_tokens([BackboneOutput(images, vectors[:, 0], vectors)], plain))
    if patch_px == 14:
        features = TextureBackbone()(images[:2])[1]
        deviations = [[(features[c, p] - features[c].mean(0)).abs() for p in range(16)] for c in range(2)]
        expected = torch.stack([one for crop in deviations for one in crop]).mean(0)
        torch.testing.assert_close(tokens[..., 2:], expected.expand(*tokens.shape[:2], -1))


def test_a_flat_photo_has_no_heterogeneity_and_one_with_contrast_has():
    recipe = PLAIN.model_copy(update={"heterogeneity": True, "grid": 8})

    def heterogeneity(pixels):
        vectors = torch.zeros(12, 64, 2)
        output = BackboneOutput(view_images(pixels, recipe, 14), vectors[:, 0], vectors)
        return dict(zip(NAMES, upright_tokens([output], recipe)[0, 0, 2:], strict=True))

    flat = np.full((112, 224, 3), 120, np.uint8)
    assert max(heterogeneity(flat).values()) < 1e-3
    striped = flat.copy()
    striped[:56] = 40
    assert heterogeneity(striped)["mean_brightness"] > 0.1
