from dataclasses import replace

import numpy as np
import pytest

from herbage.errors import TableInvalid
from herbage.evaluation.comparison import average_estimates, no_better_than_mean, paired_difference
from herbage.evaluation.out_of_fold import OutOfFold
from herbage.targets import TARGETS

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


def test_a_target_is_no_better_than_the_mean_unless_its_errors_are_smaller_in_nearly_all_draws_of_groups():
    fold = np.arange(30) // 3 % 5
    means = np.stack([TRUTH[fold != own].mean(0) for own in fold])
    estimates = np.column_stack([
        TRUTH[:, 0], means[:, 1], TRUTH[:, 2] + 5, RNG.permutation(TRUTH[:, 3]), means[:, 4] + RNG.normal(0, 1, 30),
    ])  # fmt: skip
    assert no_better_than_mean(oof(estimates)) == ["Dry_Dead_g", "Dry_Total_g", "GDM_g"]
    assert no_better_than_mean(oof(TRUTH)) == []


def test_one_good_group_is_not_enough():
    """The sum of errors is smaller than that of the mean, but only because of one group of ten."""
    truth = TRUTH.copy()
    truth[:3] += 200
    estimates = truth.mean(0) + RNG.normal(0, 8, (30, 5))
    estimates[:3] = truth[:3]
    table = replace(oof(estimates), weighed_g=truth)
    assert ((truth - estimates) ** 2).sum() < ((truth - truth.mean(0)) ** 2).sum()
    assert no_better_than_mean(table, truth.mean(0)) == list(TARGETS)


def test_a_new_table_is_compared_with_the_training_mean():
    table = replace(oof(TRUTH + 30), fold=np.zeros(30, int))
    assert no_better_than_mean(table, TRUTH.mean(0) + 300) == []
    assert no_better_than_mean(table, TRUTH.mean(0)) == list(TARGETS)


def test_targets_that_are_not_estimated_are_not_named():
    unknown = GUESS.copy()
    unknown[:, 1] = np.nan
    assert "Dry_Dead_g" not in no_better_than_mean(oof(unknown))
