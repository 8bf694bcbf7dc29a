from dataclasses import replace

import numpy as np
import pytest

from herbage.errors import TableInvalid
from herbage.evaluation.comparison import average_estimates, paired_difference
from herbage.evaluation.out_of_fold import OutOfFold

RNG = np.random.default_rng(0)
TRUTH = RNG.uniform(0, 90, (30, 5))
GUESS = TRUTH + RNG.normal(0, 15, (30, 5))


def oof(estimates, fold=None):
    group = np.arange(30) // 3
    paths, names = [f"{n}" for n in range(30)], [str(one) for one in group]
    return OutOfFold(paths, names, group % 5 if fold is None else fold, TRUTH, estimates)


def shuffled(table):
    return table.take(np.random.default_rng(0).permutation(30).tolist())


def test_the_better_model_is_better_by_an_interval_above_0():
    difference = paired_difference(
        oof(TRUTH + 20 * RNG.normal(size=TRUTH.shape)), oof(TRUTH + RNG.normal(size=TRUTH.shape))
    )
    assert difference.low > 0
    assert difference.low < difference.value < difference.high


def test_a_model_is_no_better_than_itself_whatever_the_order_of_rows():
    assert paired_difference(oof(GUESS), shuffled(oof(GUESS))) == (0, 0, 0)


def test_other_photos_or_folds_cannot_be_compared():
    with pytest.raises(TableInvalid, match="30 photos differ in their fold"):
        paired_difference(oof(GUESS), oof(GUESS, fold=(np.arange(30) // 3 + 1) % 5))
    with pytest.raises(TableInvalid, match="1 photos are in only one"):
        paired_difference(oof(GUESS), oof(GUESS).take(range(29)))
    with pytest.raises(TableInvalid, match="different weights"):
        paired_difference(oof(GUESS), replace(oof(GUESS), weighed_g=TRUTH + 1))


def test_the_average_is_photo_by_photo_whatever_the_order_of_rows():
    shifted = shuffled(oof(GUESS + 6))
    average = average_estimates([oof(GUESS), shifted, oof(GUESS)])
    np.testing.assert_allclose(average.estimated_g, GUESS + 2)
    with pytest.raises(TableInvalid, match="1 photos are in only one"):
        average_estimates([oof(GUESS), oof(GUESS).take(range(29))])
