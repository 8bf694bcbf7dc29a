import numpy as np

from herbage.model.paddock_error import MeanErrors


def groups(rng, count, photos, shared=0.2, own=0.3):
    """Estimates whose errors are shared by a group's photos in part, in units of the estimate plus 10 g."""
    estimated = rng.uniform(5, 40, (count, photos, 1)).repeat(5, axis=2)
    error = rng.normal(0, shared, (count, 1, 5)) + rng.normal(0, own, (count, photos, 5))
    weighed = estimated + error * (estimated + 22)
    return weighed.reshape(-1, 5), estimated.reshape(-1, 5), np.repeat(np.arange(count), photos)


def test_shared_errors_of_groups_and_own_errors_of_photos_are_separated():
    errors = MeanErrors.fit(*groups(np.random.default_rng(0), 400, 6))
    np.testing.assert_allclose(errors.shared, 0.2, atol=0.03)
    np.testing.assert_allclose(errors.own, 0.3, atol=0.03)


def test_they_are_separated_with_groups_of_different_sizes_too():
    rng = np.random.default_rng(1)
    weighed, estimated, group = groups(rng, 400, 8)
    selected = rng.uniform(size=len(group)) < 0.15 + 0.8 * (group % 5) / 4
    errors = MeanErrors.fit(weighed[selected], estimated[selected], group[selected])
    np.testing.assert_allclose(errors.shared, 0.2, atol=0.04)
    np.testing.assert_allclose(errors.own, 0.3, atol=0.03)


def test_the_interval_of_the_mean_of_a_new_group_has_the_stated_coverage():
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(300):
        weighed, estimated, group = groups(rng, 21, 5)
        old = group < 20
        errors = MeanErrors.fit(weighed[old], estimated[old], group[old])
        mean = estimated[~old].mean(0)
        covered.append(np.abs(weighed[~old].mean(0) - mean) <= errors.half_width_g(mean, 5, 0.8))
    assert 0.78 <= np.mean(covered) <= 0.9


def test_more_photos_reduce_only_the_photos_own_errors():
    errors = MeanErrors.fit(*groups(np.random.default_rng(3), 30, 4))
    mean = np.full(5, 20.0)
    one, many, endless = (errors.half_width_g(mean, photos, 0.9) for photos in (1, 10, 10**9))
    assert (one > many).all()
    assert (many > endless).all()
    assert (endless > 0.3 * many).all()


def test_too_few_groups_give_no_interval():
    errors = MeanErrors.fit(*groups(np.random.default_rng(4), 8, 3))
    assert np.isnan(errors.half_width_g(np.full(5, 20.0), 3, 0.9)).all()
    assert np.isfinite(errors.half_width_g(np.full(5, 20.0), 3, 0.8)).all()
