import numpy as np
import torch

from herbage.model.domain import FALSE_ALARMS, Domain

RNG = torch.Generator().manual_seed(0)
GROUP = torch.arange(60) // 3
TOKENS = [torch.randn(2, 5, 8, generator=RNG) + torch.randn(8, generator=RNG) for _ in range(60)]


def test_photos_like_the_training_photos_are_inside_and_strange_ones_are_not():
    domain = Domain.fit(TOKENS, GROUP)
    like = [torch.randn(2, 5, 8, generator=RNG) + torch.randn(8, generator=RNG) for _ in range(200)]
    assert np.mean([domain.contains(t) for t in like]) > 0.85
    assert not any(domain.contains(t + 12) for t in like)


def test_the_limit_leaves_out_what_it_says_of_held_out_photos():
    domain = Domain.fit(TOKENS, GROUP)
    distance = torch.cdist(domain.mean_tokens, domain.mean_tokens)
    distance[GROUP[:, None] == GROUP[None]] = torch.inf
    assert abs(float((distance.amin(1) > domain.limit).float().mean()) - FALSE_ALARMS) < 0.02


def test_one_group_alone_can_call_nothing_strange():
    domain = Domain.fit(TOKENS, torch.zeros(60, dtype=torch.long))
    assert domain.contains(TOKENS[0] + 100)
