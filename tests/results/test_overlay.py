import io
from dataclasses import replace

import numpy as np
from PIL import Image

from herbage.results.overlay import draw_overlay, map_files
from tests.results.test_predictions import an_estimate

GREY = np.full((60, 120, 3), 128, np.uint8)


def picture(estimate, **options):
    return Image.open(io.BytesIO(draw_overlay(GREY, estimate, **options))).convert("RGB")


def brightness_of_halves(image):
    """Mean brightness of the left and the right half of the mapped photo, the lower of the two."""
    grey = np.asarray(image.convert("L"), float)
    lower = grey[50 + 450 + 8 : 50 + 450 + 8 + 450]
    return lower[:, :350].mean(), lower[:, 550:].mean()


def test_the_overlay_is_brighter_where_there_is_more_weight():
    left, right = brightness_of_halves(picture(an_estimate(), scale_g_per_m2=None))
    assert right > left + 30


def test_two_pictures_with_one_scale_are_comparable():
    scale = np.full(5, 60.0 / 0.21)
    light, heavy = (brightness_of_halves(picture(an_estimate(level=g), scale_g_per_m2=scale)) for g in (5.0, 20.0))
    assert heavy[0] > light[1]
    own = [brightness_of_halves(picture(an_estimate(level=g), scale_g_per_m2=None)) for g in (5.0, 20.0)]
    np.testing.assert_allclose(own[0], own[1], atol=1)


def test_colours_do_not_depend_on_the_quadrat():
    """The same sward on twice the area weighs twice as much and gets the same colours."""
    one = an_estimate()
    two = replace(one, grams=2 * one.grams, map=2 * one.map, quadrat_area_m2=2 * one.quadrat_area_m2)
    pictures = [brightness_of_halves(picture(e, scale_g_per_m2=np.full(5, 200.0))) for e in (one, two)]
    assert pictures[0] == pictures[1]


def test_overlays_are_deterministic_and_any_name_and_size_can_be_drawn():
    assert draw_overlay(GREY, an_estimate(), scale_g_per_m2=None) == draw_overlay(
        GREY, an_estimate(), scale_g_per_m2=None
    )
    assert picture(an_estimate("é 牧草 " * 40 + ".jpg"), scale_g_per_m2=None).width == 900
    for size in ((1, 1, 3), (3, 700, 3), (2000, 10, 3)):
        assert draw_overlay(np.zeros(size, np.uint8), an_estimate(), scale_g_per_m2=np.zeros(5))


def test_maps_of_one_name_in_two_folders_have_different_files():
    assert len({map_files(n) for n in ("a/x.jpg", "b/x.jpg", "x.jpg", "x.png")}) == 4
    alike = ("a/b.jpg", "a__b.jpg", "a\\b.jpg", "a_/b.jpg", "a/_b.jpg", "a___b.jpg")
    assert len({map_files(name) for name in alike}) == len(alike)
    assert not set("/\\") & set("".join(map_files("a/b\\c.jpg")))
