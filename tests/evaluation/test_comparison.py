import numpy as np
import pandas as pd
import pytest

from herbage.errors import TableInvalid
from herbage.evaluation.comparison import estimated, paired_difference, plain_average
from herbage.targets import TARGETS

RNG = np.random.default_rng(0)
TRUTH = RNG.uniform(0, 90, (30, 5))
GUESS = TRUTH + RNG.normal(0, 15, (30, 5))


def oof(estimates, fold=None):
    frame = pd.DataFrame({"image_path": [f"{n}" for n in range(30)], "group": np.arange(30) // 3})
    frame["fold"] = np.arange(30) // 3 % 5 if fold is None else fold
    for t, name in enumerate(TARGETS):
        frame[name], frame[f"{name}_estimated"] = TRUTH[:, t], estimates[:, t]
    return frame


def test_the_better_model_is_better_by_an_interval_above_0():
    difference = paired_difference(
        oof(TRUTH + 20 * RNG.normal(size=TRUTH.shape)), oof(TRUTH + RNG.normal(size=TRUTH.shape))
    )
    assert difference.low > 0
    assert difference.low < difference.value < difference.high


def test_a_model_is_no_better_than_itself_in_whatever_order_its_rows_stand():
    shuffled = oof(GUESS).sample(frac=1, random_state=0)
    assert paired_difference(oof(GUESS), shuffled) == (0, 0, 0)


def test_other_photos_or_folds_cannot_be_compared():
    with pytest.raises(TableInvalid, match="30 photos differ in their fold"):
        paired_difference(oof(GUESS), oof(GUESS, fold=(np.arange(30) // 3 + 1) % 5))
    with pytest.raises(TableInvalid, match="1 photos are in one"):
        paired_difference(oof(GUESS), oof(GUESS).iloc[:-1])
    with pytest.raises(TableInvalid, match="different weighed grams"):
        paired_difference(oof(GUESS), oof(GUESS).assign(Dry_Total_g=1.0))


def test_the_plain_average_is_photo_by_photo_whatever_the_order_of_rows():
    shifted = oof(GUESS + 6).sample(frac=1, random_state=0)
    np.testing.assert_allclose(estimated(plain_average([oof(GUESS), shifted, oof(GUESS)])), GUESS + 2)
    with pytest.raises(TableInvalid, match="1 photos are in one"):
        plain_average([oof(GUESS), oof(GUESS).iloc[:-1]])
