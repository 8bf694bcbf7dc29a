import numpy as np

from herbage.model.planning import choose_cuts


def test_cuts_are_spread_over_estimates_and_looks():
    rng = np.random.default_rng(0)
    weight = rng.uniform(0, 100, 60)
    kind = np.arange(60) % 3
    tokens = rng.normal(0, 0.1, (60, 12))
    tokens[np.arange(60), kind] += 5
    chosen = choose_cuts(weight, tokens, 9)
    assert len(set(chosen)) == 9
    assert set(kind[chosen]) == {0, 1, 2}
    assert np.ptp(weight[chosen]) > 0.8 * np.ptp(weight)
    gap = [np.abs(weight - weight[chosen][:, None]).min(0).max(), *(
        np.abs(weight - weight[rng.choice(60, 9, replace=False)][:, None]).min(0).max() for _ in range(50)
    )]  # fmt: skip
    assert gap[0] < np.mean(gap[1:])


def test_the_plan_of_more_cuts_begins_with_that_of_fewer():
    rng = np.random.default_rng(1)
    weight, tokens = rng.uniform(0, 100, 30), rng.normal(size=(30, 5))
    assert choose_cuts(weight, tokens, 12)[:4] == choose_cuts(weight, tokens, 4)
    assert sorted(choose_cuts(weight, tokens, 30)) == list(range(30))


def test_photos_that_are_all_alike_are_chosen_once_each():
    assert sorted(choose_cuts(np.full(5, 3.0), np.ones((5, 4)), 5)) == list(range(5))
