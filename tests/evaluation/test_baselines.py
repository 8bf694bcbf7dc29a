import numpy as np
import pandas as pd
import pytest

from herbage.evaluation.baselines import score_floors
from herbage.evaluation.folds import make_folds
from herbage.evaluation.scoring import weighted_r2

RNG = np.random.default_rng(0)
TRUTH = RNG.uniform(0, 90, (30, 5))


def test_floors_stand_on_the_same_folds():
    import torch

    frame = pd.DataFrame({"image_path": [str(n) for n in range(30)], "State": "Tas"})
    frame["Sampling_Date"] = np.arange(30) // 3
    frame["Height_Ave_cm"] = TRUTH[:, 3] / 5
    folds = make_folds(frame, TRUTH)
    texture = [torch.from_numpy(t).half() for t in RNG.normal(size=(30, 1, 4, 6))]
    floors = score_floors(frame, TRUTH, folds, [str(n) for n in range(30)], texture)
    assert list(floors) == ["each target's mean", "ridge on texture", "ridge on Height_Ave_cm"]
    by_hand = np.stack([TRUTH[folds.fold != f].mean(0) for f in folds.fold])
    assert floors["each target's mean"].weighted_r2 == pytest.approx(weighted_r2(TRUTH, by_hand))
    assert floors["ridge on Height_Ave_cm"].targets["Dry_Total_g"].r2 > 0.95
