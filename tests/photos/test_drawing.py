import numpy as np
import pytest

from herbage.photos.drawing import CELL_PX, Light, draw_sward
from herbage.targets import SUMS

LIGHT = Light(brightness=1.0, warmth=1.0, soil=(112.0, 88.0, 66.0), yellow=0.1)


def test_weights_are_close_to_those_requested_and_obey_the_sums():
    sward = draw_sward(np.random.default_rng(0), LIGHT, green=20, dead=8, clover=5)
    np.testing.assert_allclose(sward.grams, sward.density.sum((1, 2)))
    np.testing.assert_allclose(sward.grams, SUMS @ sward.grams[:3])
    np.testing.assert_allclose(sward.grams[:3], (5, 8, 20), rtol=0.1)


def test_cells_with_more_green_weight_are_greener():
    sward = draw_sward(np.random.default_rng(1), LIGHT, green=15, dead=0, clover=0)
    pixels = np.asarray(sward.image, float)
    excess = 2 * pixels[..., 1] - pixels[..., 0] - pixels[..., 2]
    rows, columns = sward.density.shape[1:]
    cells = excess.reshape(rows, CELL_PX, columns, CELL_PX).mean((1, 3))
    assert np.corrcoef(cells.ravel(), sward.density[2].ravel())[0, 1] > 0.8


@pytest.mark.parametrize("part", ["green", "dead", "clover"])
def test_a_part_that_is_not_drawn_weighs_0(part):
    grams = {"green": 3.0, "dead": 3.0, "clover": 3.0, part: 0.0}
    sward = draw_sward(np.random.default_rng(2), LIGHT, **grams)
    assert sward.grams[{"clover": 0, "dead": 1, "green": 2}[part]] == 0


def test_drawings_are_deterministic():
    one, two = (draw_sward(np.random.default_rng(5), LIGHT, green=4, dead=2, clover=1) for _ in range(2))
    np.testing.assert_array_equal(np.asarray(one.image), np.asarray(two.image))
