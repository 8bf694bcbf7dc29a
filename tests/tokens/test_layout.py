import numpy as np
import pytest
import torch

from herbage.backbones.views import IMAGENET_MEAN, IMAGENET_STD, grid_shape, view_images
from herbage.recipe import load_recipe
from herbage.tokens.layout import BackboneOutput, tokens_shape, upright_tokens

SEED = load_recipe("seed")
PLAIN = load_recipe("field").model_copy(update={"grid": 4, "views": 6})


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
    tokens = upright_tokens([BackboneOutput(patches.mean(1), patches)], recipe)
    assert tokens.shape == tokens_shape(recipe, 3) == (6, rows * columns, 3)
    for view in tokens:
        torch.testing.assert_close(view, tokens[0], atol=1e-5, rtol=0)
    expected = (torch.from_numpy(colours).float() / 255 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    torch.testing.assert_close(tokens[0].reshape(rows, columns, 3), expected, atol=1e-5, rtol=0)


def test_recipes_with_class_vectors_have_one_vector_per_crop():
    recipe = PLAIN.model_copy(update={"keep": "class", "grid": 2, "views": 3})
    vectors = torch.arange(6.0).reshape(6, 1)
    tokens = upright_tokens([BackboneOutput(vectors, torch.zeros(6, 4, 1))], recipe)
    assert tokens[..., 0].tolist() == [[0, 1], [2, 3], [4, 5]]
    averaged = recipe.model_copy(update={"average_views": True})
    tokens = upright_tokens([BackboneOutput(vectors, torch.zeros(6, 4, 1))], averaged)
    assert tokens[..., 0].tolist() == [[2, 3]]


def test_averaged_views_are_the_mean_of_the_upright_ones():
    each, averaged = PLAIN, PLAIN.model_copy(update={"average_views": True})
    vectors = torch.rand(12, 16, 5, generator=torch.Generator().manual_seed(0))
    tokens = upright_tokens([BackboneOutput(vectors[:, 0], vectors)], averaged)
    assert tokens.shape == tokens_shape(averaged, 5) == (1, 4 * 8, 5)
    torch.testing.assert_close(tokens[0], upright_tokens([BackboneOutput(vectors[:, 0], vectors)], each).mean(0))
