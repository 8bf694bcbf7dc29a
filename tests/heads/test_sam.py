import pytest
import torch

from herbage.heads.patch import Bank, slope
from herbage.heads.sam import HeadwiseSam
from tests.heads.plain import PlainHead, sam_step

HEADS, WIDTH, HIDDEN = 3, 5, 7


def problem(photos=6):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(photos, 4, WIDTH, generator=generator)
    goal = torch.rand(photos, HEADS, generator=generator)
    own = torch.rand(photos, HEADS, generator=generator) < 0.7
    own[0] = True
    return tokens, goal, own


def plain_heads():
    torch.manual_seed(2)
    return [PlainHead(WIDTH, HIDDEN) for _ in range(HEADS)]


def bank_of(heads):
    return Bank(
        torch.stack([h.first.weight.detach().T for h in heads]),
        torch.stack([h.first.bias.detach() for h in heads]),
        torch.stack([h.second.weight.detach()[0] for h in heads]),
        torch.stack([h.second.bias.detach()[0] for h in heads]),
    )


def close(bank, heads, tolerance=2e-5):
    for ours, theirs in zip(bank, bank_of(heads), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("rho", [0.0, 0.05, 0.5])
def test_a_bank_steps_as_each_head_alone_would(rho):
    """Against a plain SAM over torch's AdamW, one head at a time, for 20 steps."""
    tokens, goal, own = problem()
    heads = plain_heads()
    optimisers = [torch.optim.AdamW(h.parameters(), lr=0.01, weight_decay=0.1) for h in heads]
    sam = HeadwiseSam(bank_of(heads), rho=rho, weight_decay=0.1)
    for _ in range(20):
        for k, (head, optimiser) in enumerate(zip(heads, optimisers, strict=True)):

            def loss_of(model, k=k):
                return ((model(tokens[own[:, k]]) - goal[own[:, k], k]) ** 2).mean()

            sam_step(head, optimiser, loss_of, rho)
        sam.step(lambda p: slope(Bank(*p), tokens, goal, own), learning_rate=0.01, active=own.any(0))
    close(Bank(*sam.parameters), heads)


def test_a_head_without_photos_keeps_its_weights_and_its_count():
    tokens, goal, own = problem()
    heads = plain_heads()
    optimisers = [torch.optim.AdamW(h.parameters(), lr=0.01, weight_decay=0.1) for h in heads]
    sam = HeadwiseSam(bank_of(heads), rho=0.05, weight_decay=0.1)
    for step in range(6):
        here = own.clone()
        here[:, 1] &= step % 2 == 0
        for k, (head, optimiser) in enumerate(zip(heads, optimisers, strict=True)):
            rows = here[:, k]
            if rows.any():
                sam_step(head, optimiser, lambda m, r=rows, k=k: ((m(tokens[r]) - goal[r, k]) ** 2).mean(), 0.05)
        sam.step(lambda p, here=here: slope(Bank(*p), tokens, goal, here), learning_rate=0.01, active=here.any(0))
    close(Bank(*sam.parameters), heads)


def test_one_norm_over_all_heads_would_be_another_result():
    """The fault made on purpose: heads coupled by one norm do not step as they would alone."""
    tokens, goal, own = problem()
    alone = HeadwiseSam(bank_of(plain_heads()), rho=0.5, weight_decay=0.0)
    coupled = HeadwiseSam([p[None] for p in bank_of(plain_heads())], rho=0.5, weight_decay=0.0)

    def joint(parameters):
        losses, gradient = slope(Bank(*(p[0] for p in parameters)), tokens, goal, own)
        return losses.sum()[None], [g[None] for g in gradient]

    alone.step(lambda p: slope(Bank(*p), tokens, goal, own), learning_rate=0.01, active=own.any(0))
    coupled.step(joint, learning_rate=0.01, active=torch.tensor([True]))
    # AdamW's first step is a sign: only where the neighbourhood changed a gradient's sign do the two differ.
    assert not torch.allclose(alone._mean[0], coupled._mean[0][0], rtol=1e-3)
