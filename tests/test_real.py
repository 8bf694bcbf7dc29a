"""Real photos and real weights, where HERBAGE_REAL names a folder of them."""

import numpy as np
import pytest

from herbage import steps


def test_a_model_on_real_photos_scores_better_than_the_baselines(real_folder, tmp_path):
    model = steps.train(
        real_folder / "train.csv", photos=real_folder, model=tmp_path / "field", backbone=real_folder / "vits14"
    )
    baselines = model.evidence.baselines
    assert model.evidence.training.grouped_by == ("State", "Sampling_Date")
    assert model.evidence.alone.score.weighted_r2 > baselines["ridge on texture"].weighted_r2 + 0.1
    assert baselines["each target's mean"].weighted_r2 == pytest.approx(0.22, abs=0.03)
    estimate = model.estimate(next((real_folder / "train").glob("*.jpg")))
    np.testing.assert_allclose(estimate.map.mean((1, 2)), estimate.grams, rtol=1e-4)
    assert estimate.in_domain
