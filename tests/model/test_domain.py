import numpy as np
import torch

from herbage.model.domain import Domain, false_alarms, mean_token

RNG = torch.Generator().manual_seed(0)
GROUP = torch.arange(90) // 3


def photos(count, mean=0.0):
    return [torch.randn(2, 5, 8, generator=RNG) + torch.randn(8, generator=RNG) + mean for _ in range(count)]


TOKENS = photos(90)


def test_photos_like_the_training_photos_are_in_domain_and_unlike_ones_are_not():
    domain = Domain.fit(TOKENS, GROUP)
    assert np.mean([domain.contains(t) for t in photos(300)]) > 0.9
    assert not any(domain.contains(t) for t in photos(50, mean=8.0))


def test_the_distance_is_mahalanobis_with_shrunken_variances():
    means = torch.stack([mean_token(t) for t in TOKENS]).double()
    standard = (means - means.mean(0)) / means.std(0, correction=0)
    covariance = standard.T @ standard / len(means)
    shrunken = 0.9 * covariance + 0.1 * covariance.trace() / 8 * torch.eye(8)
    new = torch.stack([mean_token(t) for t in photos(7, mean=1.0)]).double()
    difference = (new - means.mean(0)) / means.std(0, correction=0)
    expected = (difference @ torch.linalg.inv(shrunken) * difference).sum(1).sqrt()
    torch.testing.assert_close(Domain.fit(TOKENS, GROUP).distance(new.float()), expected, rtol=1e-4, atol=1e-4)


def test_tokens_may_have_more_dimensions_than_there_are_photos():
    tokens = [torch.randn(1, 4, 200, generator=RNG) for _ in range(24)]
    domain = Domain.fit(tokens, torch.arange(24) // 2)
    assert sum(domain.contains(torch.randn(1, 4, 200, generator=RNG)) for _ in range(50)) > 40
    assert not domain.contains(torch.randn(1, 4, 200, generator=RNG) + 3)


def test_false_alarms_on_new_groups_are_as_rare_as_documented():
    """Groups differ from each other; over many draws, photos of a new group are seldom flagged as out of domain."""
    alarms = []
    for _ in range(120):
        places = torch.randn(30, 1, 6, generator=RNG).repeat_interleave(2, 0) + 0.5 * torch.randn(
            60, 4, 6, generator=RNG
        )
        group = torch.arange(60) // 2
        domain = Domain.fit(list(places[:58, None]), group[:58])
        alarms.append(not domain.contains(places[58, None]))
    assert np.mean(alarms) <= false_alarms(29) + 0.05
    assert false_alarms(9) == 0.1


def test_with_a_single_group_every_photo_is_in_domain():
    domain = Domain.fit(TOKENS, torch.zeros(90, dtype=torch.long))
    assert domain.contains(TOKENS[0] + 100)
