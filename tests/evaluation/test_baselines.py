import numpy as np
import pandas as pd
import pytest
import torch

from herbage.evaluation.baselines import remarks_on_sensors, score_baselines, sensor_readings
from herbage.evaluation.folds import make_folds
from herbage.evaluation.scoring import weighted_r2
from herbage.heads.training_data import TrainingData

RNG = np.random.default_rng(0)
TRUTH = RNG.uniform(0, 90, (30, 5))


def test_baselines_are_scored_on_the_same_folds():
    frame = pd.DataFrame({"image_path": [str(n) for n in range(30)], "State": "Tas"})
    frame["Sampling_Date"] = np.arange(30) // 3
    frame["Height_Ave_cm"] = TRUTH[:, 3] / 5
    folds = make_folds(frame, TRUTH)
    texture = [torch.from_numpy(t).half() for t in RNG.normal(size=(30, 1, 4, 6))]
    data = TrainingData([], TRUTH, folds, [str(n) for n in range(30)], sensor_readings(frame))
    baselines = score_baselines(data, texture)
    assert list(baselines) == ["each target's mean", "ridge on texture", "ridge on Height_Ave_cm"]
    by_hand = np.stack([TRUTH[folds.fold != f].mean(0) for f in folds.fold])
    assert baselines["each target's mean"].weighted_r2 == pytest.approx(weighted_r2(TRUTH, by_hand))
    assert baselines["ridge on Height_Ave_cm"].targets["Dry_Total_g"].r2 > 0.95


def test_measured_columns_are_a_baseline_for_the_photos_that_have_them():
    """Under any name, and where values are missing: they may explain more than the photo."""
    frame = pd.DataFrame({"image_path": [str(n) for n in range(30)], "State": "Tas"})
    frame["Sampling_Date"] = np.arange(30) // 3
    frame["Ruler"] = TRUTH[:, 3] / 5
    frame.loc[[4, 17], "Ruler"] = np.nan
    folds = make_folds(frame, TRUTH)
    texture = [torch.from_numpy(t).half() for t in RNG.normal(size=(30, 1, 4, 6))]
    assert remarks_on_sensors(frame, ["Ruler"]) == ()
    data = TrainingData([], TRUTH, folds, [str(n) for n in range(30)], sensor_readings(frame, ["Ruler"]))
    baselines = score_baselines(data, texture, ["Ruler"])
    assert list(baselines) == ["each target's mean", "ridge on texture", "ridge on Ruler"]
    assert baselines["ridge on Ruler"].photos == 28
    assert baselines["ridge on Ruler"].targets["Dry_Total_g"].r2 > 0.95


def test_a_column_with_a_hole_or_an_impossible_reading_is_no_baseline():
    frame = pd.DataFrame({"Height_Ave_cm": [1.0, 2.0, None], "Pre_GSHH_NDVI": ["0.5", "0.6", "9e9"]})
    frame["image_path"] = ["a.jpg", "b.jpg", "c.jpg"]
    assert sensor_readings(frame) == {}
    height, ndvi = remarks_on_sensors(frame)
    assert height.message == (
        "Height_Ave_cm is not used as a baseline, because some photos have no plausible number in it: c.jpg (empty)."
    )
    assert ndvi.names == ("c.jpg (9e9)",)
    assert list(sensor_readings(frame.iloc[:2])) == ["Height_Ave_cm", "Pre_GSHH_NDVI"]
    assert remarks_on_sensors(frame.iloc[:2]) == ()
