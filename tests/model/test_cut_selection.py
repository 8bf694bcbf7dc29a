import numpy as np

from herbage.model.cut_selection import choose_cuts


def test_cuts_are_spread_over_estimates_and_appearance():
    rng = np.random.default_rng(0)
    weight = rng.uniform(0, 100, 60)
    kind = np.arange(60) % 3
    tokens = rng.normal(0, 0.1, (60, 12))
    tokens[np.arange(60), kind] += 5
    chosen = choose_cuts(weight, tokens, 9)
    assert len(set(chosen)) == 9
    assert set(kind[chosen]) == {0, 1, 2}
    assert np.ptp(weight[chosen]) > 0.5 * np.ptp(weight)
    counts = np.bincount(kind[chosen], minlength=3)
    assert counts.min() >= 2


def test_as_many_cuts_as_photos_selects_all_and_the_selection_is_deterministic():
    rng = np.random.default_rng(1)
    weight, tokens = rng.uniform(0, 100, 30), rng.normal(size=(30, 5))
    assert choose_cuts(weight, tokens, 30) == list(range(30))
    assert choose_cuts(weight, tokens, 7) == choose_cuts(weight, tokens, 7)


def test_identical_photos_are_selected_once_each():
    assert sorted(choose_cuts(np.full(5, 3.0), np.ones((5, 4)), 5)) == list(range(5))
