import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herbage.errors import TableInvalid
from herbage.evaluation.folds import make_folds, refuse_leak
from herbage.heads.training_data import Folds


def frame_of(groups, states=None):
    return pd.DataFrame(
        {
            "image_path": [f"{n}.jpg" for n in range(len(groups))],
            "State": states or ["Tas"] * len(groups),
            "Sampling_Date": [str(np.datetime64("2015-01-01") + int(group)) for group in groups],
        }
    )


@settings(max_examples=40)
@given(st.lists(st.integers(1, 12), min_size=10, max_size=60).filter(lambda g: len(set(g)) >= 5), st.integers(0, 99))
def test_no_group_is_ever_split_and_every_photo_is_held_out_once(groups, seed):
    folds = make_folds(frame_of(groups), np.random.default_rng(0).uniform(0, 90, (len(groups), 5)), seed=seed)
    assert set(folds.fold) == set(range(5))
    for group in set(groups):
        assert len(set(folds.fold[np.array(groups) == group])) == 1


def test_states_are_spread_over_the_folds():
    states = ["Tas", "Vic"] * 20
    groups = [n // 2 for n in range(40)]
    folds = make_folds(frame_of(groups, states), np.zeros((40, 5)), count=4)
    for fold in range(4):
        assert set(np.array(states)[folds.fold == fold]) == {"Tas", "Vic"}


def test_a_state_with_just_as_many_photos_as_folds_is_in_every_fold():
    states = ["Tas", "Vic"] * 4
    folds = [make_folds(frame_of(range(8), states), np.zeros((8, 5)), count=4, seed=seed).fold for seed in range(5)]
    for fold in folds:
        assert all(set(np.array(states)[fold == own]) == {"Tas", "Vic"} for own in range(4))


def test_the_seed_moves_the_folds_and_nothing_else_does():
    grams = np.random.default_rng(0).uniform(0, 90, (40, 5))
    frame = frame_of([n // 2 for n in range(40)])
    one, two, other = (make_folds(frame, grams, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.fold, two.fold)
    assert (one.fold != other.fold).any()


def test_without_columns_to_group_by_it_warns_loudly():
    frame = frame_of(range(20)).drop(columns="Sampling_Date")
    folds = make_folds(frame, np.random.default_rng(0).uniform(0, 90, (20, 5)))
    assert folds.grouped_by == ()
    (remark,) = folds.remarks
    assert remark.is_warning
    assert "UNGROUPED FOLDS: the table lacks State or Sampling_Date" in remark.message
    assert "too high" in remark.message


def test_an_empty_group_by_warns_as_loudly():
    folds = make_folds(frame_of(range(20)), np.random.default_rng(0).uniform(0, 90, (20, 5)), group_by=[])
    assert "UNGROUPED FOLDS: `group_by` is empty" in folds.remarks[0].message


def test_own_columns_group_too():
    frame = frame_of(range(20)).assign(Farm=[n // 4 for n in range(20)])
    folds = make_folds(frame, np.zeros((20, 5)), group_by=["Farm"])
    assert (folds.grouped_by, len(folds.group_names)) == (("Farm",), 5)


@pytest.mark.parametrize(("groups", "options", "message"), [
    ([1, 1, 2, 2, 3, 3], {}, "`folds=5` needs at least 5 groups of State, Sampling_Date; the table has 3"),
    (range(9), {"count": 1}, "at least 2"),
    (range(9), {"group_by": ["Farm"]}, "`group_by`: the table has no column Farm; it has image_path"),
])  # fmt: skip
def test_folds_that_cannot_be_made_are_one_message(groups, options, message):
    with pytest.raises(TableInvalid, match=message):
        make_folds(frame_of(groups), np.zeros((len(groups), 5)), **options)


def test_a_photo_without_its_group_is_named():
    frame = frame_of(range(9))
    frame.loc[4, "Sampling_Date"] = None
    with pytest.raises(TableInvalid, match=r"1 photo without Sampling_Date.*: 4\.jpg\."):
        make_folds(frame, np.zeros((9, 5)))


def test_a_copy_within_its_own_fold_is_no_leak():
    refuse_leak(leaky(False), list("aabbccdd"))


def test_one_day_in_two_spellings_is_one_group():
    frame = frame_of(range(20))
    frame["Sampling_Date"] = [f"2015/9/{n // 4 + 1}" if n % 2 else f"2015-09-0{n // 4 + 1}" for n in range(20)]
    frame["State"] = ["Tas " if n % 3 else "Tas" for n in range(20)]
    folds = make_folds(frame, np.zeros((20, 5)))
    assert folds.group_names == [f"Tas 2015-09-0{day}" for day in range(1, 6)]


def test_more_folds_than_any_state_has_photos_is_no_fault():
    states = ["Tas", "Vic", "NSW", "WA"] * 6
    folds = make_folds(frame_of(range(24), states), np.zeros((24, 5)), count=12)
    assert folds.count == 12


def test_a_state_left_out_is_a_stratum_of_its_own():
    frame = frame_of(range(20))
    frame.loc[3, "State"] = None
    assert make_folds(frame, np.zeros((20, 5)), group_by=["Sampling_Date"]).count == 5


def test_without_states_light_and_heavy_swards_are_in_every_fold():
    """Fifty photos in five kinds of weight: each fold has each of them."""
    frame = frame_of(range(50)).drop(columns="State")
    weight = np.repeat([1.0, 20, 40, 60, 80], 10) + np.linspace(0, 1, 50)
    grams = np.stack([weight * 0.1, weight * 0, weight * 0.9, weight, weight], axis=1)
    folds = make_folds(frame, grams, group_by=["Sampling_Date"])
    for fold in range(5):
        kinds = np.repeat(np.arange(5), 10)[folds.fold == fold]
        assert (np.bincount(kinds, minlength=5) == 2).all()


def test_strata_are_of_the_weight_that_is_heaviest_also_where_others_are_not_known():
    frame = frame_of(range(50)).drop(columns="State")
    weight = np.repeat([1.0, 20, 40, 60, 80], 10) + np.linspace(0, 1, 50)
    grams = np.full((50, 5), np.nan)
    grams[:, 1], grams[:, 4] = 0.5, weight
    folds = make_folds(frame, grams, group_by=["Sampling_Date"])
    for fold in range(5):
        assert (np.bincount(np.repeat(np.arange(5), 10)[folds.fold == fold], minlength=5) == 2).all()


def test_as_many_groups_as_folds_are_enough():
    assert make_folds(frame_of(range(2)), np.zeros((2, 5)), count=2).count == 2


def leaky(split_group):
    """Eight photos in four groups on two folds; a leak is planted where asked."""
    group = np.arange(8) // 2
    fold = group % 2
    if split_group:
        fold[3] = 1 - fold[3]
    return Folds(fold, group, list("abcd"), ("Farm",))


def test_strata_that_would_leave_a_fold_empty_are_dropped():
    groups = [n // 4 for n in range(20)]
    states = [["Tas", "Tas", "Vic", "Tas", "Vic"][group] for group in groups]
    for seed in range(20):
        folds = make_folds(frame_of(groups, states), np.zeros((20, 5)), seed=seed)
        assert np.bincount(folds.fold).tolist() == [4] * 5
