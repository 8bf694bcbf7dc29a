import numpy as np
import torch

from herbage.backbones.texture import NAMES, TextureBackbone
from herbage.backbones.views import view_images
from herbage.recipe import load_recipe

WHOLE = load_recipe("seed").model_copy(update={"grid": 8, "views": 1, "blur_sigma": 0.0})


def describe(pixels):
    backbone = TextureBackbone()
    class_vectors, patches = backbone(view_images(pixels, WHOLE, backbone.patch_px))
    assert patches.shape == (1, 64, len(NAMES))
    torch.testing.assert_close(class_vectors, patches.mean(1))
    return dict(zip(NAMES, patches[0].T, strict=True))


def flat(colour, side=112):
    return np.tile(np.array(colour, np.uint8), (side, side, 1))


def test_there_are_a_few_dozen_features_with_distinct_names():
    assert 24 <= len(NAMES) == len(set(NAMES)) <= 48


def test_flat_colours_have_the_expected_features():
    green, straw = describe(flat((60, 160, 40))), describe(flat((206, 182, 134)))
    assert green["share_green"].eq(1).all()
    assert straw["share_straw"].eq(1).all()
    torch.testing.assert_close(green["mean_green"], torch.full((64,), 160 / 255), atol=1e-5, rtol=0)
    for name in NAMES:
        if name.startswith(("spread", "contrast", "edges", "coherence")):
            assert green[name].abs().max() < 2e-3, name


def test_stripes_have_edge_energy_across_and_none_along():
    stripes = flat((50, 50, 50))
    stripes[:, (np.arange(112) // 4) % 2 == 0] = 200
    features = describe(stripes)
    assert (features["edges_2px_0deg"] > 10 * features["edges_2px_90deg"]).all()
    assert (features["coherence_2px"] > 0.99).all()


def test_each_patch_describes_its_own_pixels():
    pixels = flat((110, 85, 60))
    pixels[:14, 14:28] = (60, 160, 40)
    share = describe(pixels)["share_green"].reshape(8, 8)
    assert share[0, 1] == 1
    assert share.sum() == 1


def test_features_of_noise_and_of_black_and_white_are_finite():
    rng = np.random.default_rng(0)
    for pixels in (rng.integers(0, 255, (112, 112, 3), np.uint8), flat((0, 0, 0)), flat((255, 255, 255))):
        assert all(values.isfinite().all() for values in describe(pixels).values())
