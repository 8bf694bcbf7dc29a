import pytest
import torch

from herbage.heads.patch import Bank, Batch, loss_gradient
from herbage.heads.sam import HeadwiseSam
from tests.heads.plain import PlainHead, bank_of, sam_step

HEADS, WIDTH, HIDDEN = 3, 5, 7


def problem(photos=6):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(photos, 4, WIDTH, generator=generator)
    return tokens, torch.rand(photos, HEADS, generator=generator)


def plain_heads():
    torch.manual_seed(2)
    return [PlainHead(WIDTH, HIDDEN) for _ in range(HEADS)]


@pytest.mark.parametrize("rho", [0.0, 0.05, 0.5])
def test_a_bank_steps_as_each_head_alone_would(rho):
    """Against a plain SAM over torch's AdamW, one head at a time, for 20 steps."""
    tokens, goal = problem()
    heads = plain_heads()
    optimisers = [torch.optim.AdamW(h.parameters(), lr=0.01, weight_decay=0.1) for h in heads]
    sam = HeadwiseSam(bank_of(heads), rho=rho, weight_decay=0.1)
    for _ in range(20):
        for k, (head, optimiser) in enumerate(zip(heads, optimisers, strict=True)):
            sam_step(head, optimiser, lambda m, k=k: ((m(tokens) - goal[:, k]) ** 2).mean(), rho)
        sam.step(lambda p: loss_gradient(Bank(*p), Batch(tokens.flatten(0, 1), goal)), learning_rate=0.01)
    for ours, theirs in zip(sam.parameters, bank_of(heads), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-5)


def test_one_norm_over_all_heads_would_be_another_result():
    """The fault made on purpose: heads coupled by one norm do not step as they would alone."""
    tokens, goal = problem()
    shown = Batch(tokens.flatten(0, 1), goal)
    alone = HeadwiseSam(bank_of(plain_heads()), rho=0.5, weight_decay=0.0)
    coupled = HeadwiseSam([p[None] for p in bank_of(plain_heads())], rho=0.5, weight_decay=0.0)

    def joint(parameters):
        losses, gradient = loss_gradient(Bank(*(p[0] for p in parameters)), shown)
        return losses.sum()[None], [g[None] for g in gradient]

    for _ in range(3):
        alone.step(lambda p: loss_gradient(Bank(*p), shown), learning_rate=0.01)
        coupled.step(joint, learning_rate=0.01)
    assert not torch.allclose(alone.parameters[0], coupled.parameters[0][0], rtol=1e-3)
