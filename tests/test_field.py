"""The field recipe with every kind of backbone."""

import numpy as np
import pytest

import herbage
from herbage import steps
from herbage.recipe import load_recipe
from herbage.targets import CLOVER, DEAD, GDM, GREEN, TOTAL


@pytest.mark.parametrize("kind", ["tiny_dinov2", "tiny_dinov3", "tiny_depth_anything", "texture"])
def test_it_adds_up_maps_what_it_says_and_comes_back_from_disk(kind, request, weighed_photos, tmp_path):
    recipe = load_recipe("field").model_copy(update={"grid": 6})
    backbone = kind if kind == "texture" else request.getfixturevalue(kind)
    steps.train(
        weighed_photos / "wide.csv", photos=weighed_photos, model=tmp_path / "m", recipe=recipe, backbone=backbone
    )
    model = herbage.HerbageModel.from_pretrained(tmp_path / "m")
    estimate = model.estimate(next(iter(sorted((weighed_photos / "train").glob("*.png")))))
    grams = estimate.grams
    np.testing.assert_allclose(grams[TOTAL], grams[CLOVER] + grams[DEAD] + grams[GREEN], atol=1e-9)
    np.testing.assert_allclose(grams[GDM], grams[CLOVER] + grams[GREEN], atol=1e-9)
    assert estimate.map.shape == (5, 6, 12)
    np.testing.assert_allclose(estimate.map.mean((1, 2)), grams, rtol=1e-5, atol=1e-9)
