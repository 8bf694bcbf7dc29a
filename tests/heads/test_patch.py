import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from herbage.errors import TrainingFailed
from herbage.heads.patch import Bank, Batch, PatchHeads, _batches, _start, loss_gradient
from herbage.heads.training_data import FitOptions, Folds, TrainingData
from herbage.recipe import PatchSettings, load_recipe
from tests.heads.plain import PlainHead, bank_of, sam_step

QUICK = PatchSettings(hidden=8, epochs=30, batch_photos=4, learning_rate=0.01)


def fit(tokens, grams, folds, settings, seed):
    """Heads fitted to these photos with settings of the recipe `seed`."""
    recipe = load_recipe("seed").model_copy(update={"patch": settings})
    return PatchHeads.fit(TrainingData(tokens, grams, Folds.of(folds)), recipe, FitOptions(seed))


def drawn(photos=12, views=2, patches=9, width=6, seed=0):
    """Tokens whose first dimension is each patch's density, the same in every view; grams follow it."""
    rng = np.random.default_rng(seed)
    tokens = rng.normal(size=(photos, views, patches, width)).astype(np.float32)
    level = rng.uniform(0, 1, (photos, 1, 1)) + 0.2 * rng.normal(size=(photos, 1, patches))
    tokens[..., 0] = level
    density = np.maximum(level[:, 0].mean(-1), 0)
    grams = density[:, None] * np.array([5.0, 10, 30, 45, 35])
    return [torch.from_numpy(t).half() for t in tokens], grams


@given(st.integers(1, 5), st.integers(1, 40), st.integers(0, 2**31 - 1))
def test_losses_and_gradients_are_those_of_plain_modules(photos, patches, seed):
    torch.manual_seed(seed)
    heads = [PlainHead(6, 8) for _ in range(4)]
    tokens, goal = torch.randn(photos, patches, 6), torch.rand(photos, 4)
    losses, gradient = loss_gradient(bank_of(heads), Batch(tokens.flatten(0, 1), goal))
    for k, head in enumerate(heads):
        loss = ((head(tokens) - goal[:, k]) ** 2).mean()
        loss.backward()
        torch.testing.assert_close(losses[k], loss.detach(), rtol=1e-5, atol=1e-6)
        expected = [
            head.first.weight.grad.T,
            head.first.bias.grad,
            head.second.weight.grad[0],
            head.second.bias.grad[0],
        ]
        for ours, theirs in zip(gradient, expected, strict=True):
            torch.testing.assert_close(ours[k], theirs, rtol=1e-4, atol=1e-6)


def plain_bank():
    torch.manual_seed(0)
    plain = [[PlainHead(6, 8) for _ in range(2)] for _ in range(5)]
    return plain, PatchHeads(*(torch.stack(p) for p in zip(*(bank_of(row) for row in plain), strict=True)))


def test_the_estimate_is_the_plain_modules_and_the_map_averages_to_it():
    plain, heads = plain_bank()
    tokens = torch.randn(3, 16, 6)
    grams = heads.fold_grams(tokens)
    assert grams.shape == (5, 2)
    for t, row in enumerate(plain):
        for f, head in enumerate(row):
            torch.testing.assert_close(grams[t, f], head(tokens).detach().double().mean())
    torch.testing.assert_close(heads.grams(tokens), grams.mean(1))
    torch.testing.assert_close(heads.density(tokens).mean(-1), heads.grams(tokens))


def test_tokens_kept_in_half_give_the_same_to_a_hundredth():
    _, heads = plain_bank()
    tokens = torch.randn(3, 16, 6).half()
    torch.testing.assert_close(heads.grams(tokens), heads.grams(tokens.float()), rtol=1e-2, atol=1e-2)


def test_no_part_of_a_gradient_is_left_on_another_device():
    """The meta device computes shapes alone, and refuses, as a GPU does, tensors on two devices."""
    shapes = (4, 6, 8), (4, 8), (4, 8), (4,)
    batch = Batch(torch.empty(18, 6, device="meta"), torch.empty(2, 4, device="meta"))
    losses, gradient = loss_gradient(Bank(*(torch.empty(shape, device="meta") for shape in shapes)), batch)
    assert {p.device.type for p in (losses, *gradient)} == {"meta"}
    with pytest.raises(RuntimeError, match="device"):
        loss_gradient(Bank(*(torch.randn(shape) for shape in shapes)), batch)


def test_training_in_one_pass_is_training_one_head_at_a_time():
    """Every head against a plain module with SAM over torch's AdamW, where batches lack all photos of some fold."""
    tokens, grams = drawn(photos=7)
    tokens = [photo.float() for photo in tokens]
    folds = np.array([0, 0, 0, 1, 1, 2, 2])
    settings = PatchSettings(hidden=4, epochs=4, batch_photos=2, learning_rate=0.01, rho=0.1)
    heads = fit(tokens, grams, folds, settings, seed=3)
    lacked = 0
    for f in range(3):
        seen = np.flatnonzero(folds != f)
        known = torch.cat([tokens[p].flatten(0, 1) for p in seen])
        centre, spread = known.mean(0), known.std(0, unbiased=False)
        for t in range(5):
            scale, mean = grams[seen, t].std(), grams[seen, t].mean()
            draws = torch.Generator().manual_seed(3)
            start = _start(torch.full((5, 3), float(mean / scale)), 6, 4, draws)
            head = PlainHead(6, 4)
            with torch.no_grad():
                head.first.weight.copy_(start[0][t, f].T)
                head.first.bias.copy_(start[1][t, f])
                head.second.weight.copy_(start[2][t, f][None])
                head.second.bias.copy_(start[3][t, f])
            optimiser = torch.optim.AdamW(head.parameters(), weight_decay=settings.weight_decay)
            for done, photos, view in _batches(7, 2, settings, draws):
                rows = [(p, v) for p, v in zip(photos.tolist(), view.tolist(), strict=True) if folds[p] != f]
                lacked += not rows
                if rows:
                    shown = torch.stack([(tokens[p][v] - centre) / spread for p, v in rows])
                    goal = torch.tensor([grams[p, t] / scale for p, _ in rows]).float()
                    optimiser.param_groups[0]["lr"] = 0.01 * 0.5 * (1 + np.cos(np.pi * done))
                    sam_step(head, optimiser, lambda m, x=shown, y=goal: ((m(x) - y) ** 2).mean(), 0.1)
            judged = head((tokens[0] - centre) / spread).detach() * scale
            torch.testing.assert_close(heads.fold_grams(tokens[0])[t, f], judged.mean().double(), rtol=1e-3, atol=1e-3)
    assert lacked > 0


def test_training_learns_and_two_runs_are_one():
    tokens, grams = drawn()
    folds = np.arange(12) % 3
    one, two = (fit(tokens, grams, folds, QUICK, seed=4) for _ in range(2))
    other = fit(tokens, grams, folds, QUICK, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(one.tensors().values(), two.tensors().values(), strict=True))
    assert not torch.equal(one.w1, other.w1)
    judged = np.stack([one.fold_grams(t)[:, f].numpy() for t, f in zip(tokens, folds, strict=True)])
    assert ((judged - grams) ** 2).sum() < 0.5 * ((grams - grams.mean(0)) ** 2).sum()


def test_a_fold_is_blind_to_its_own_photos():
    """Other tokens and grams for the photos of fold 0 leave the heads of fold 0 as they were, to the bit."""
    tokens, grams = drawn()
    folds = np.arange(12) % 3
    changed_tokens, changed = list(tokens), grams.copy()
    for photo in np.flatnonzero(folds == 0):
        changed[photo] *= 7
        changed_tokens[photo] = tokens[photo] * 1.5
    one = fit(tokens, grams, folds, QUICK, seed=0)
    two = fit(changed_tokens, changed, folds, QUICK, seed=0)
    assert not torch.equal(one.w1[:, 1], two.w1[:, 1])
    for ours, theirs in zip(one.tensors().values(), two.tensors().values(), strict=True):
        assert torch.equal(ours[:, 0], theirs[:, 0])


def test_a_target_that_never_varies_gets_its_constant():
    tokens, grams = drawn()
    grams[:, 1] = 0
    grams[:, 0] = 3.25
    heads = fit(tokens, grams, np.arange(12) % 3, QUICK, seed=0)
    assert (heads.grams(tokens[0])[1] == 0).all()
    torch.testing.assert_close(heads.fold_grams(tokens[0])[0], torch.full((3,), 3.25).double())


def test_a_number_of_the_token_that_never_varies_does_no_harm():
    tokens, grams = drawn()
    for photo in tokens:
        photo[..., 3] = 7.0
    assert fit(tokens, grams, np.arange(12) % 3, QUICK, seed=0).w1.isfinite().all()


def test_no_head_starts_dead():
    tokens, grams = drawn()
    heads = fit(tokens, grams, np.arange(12) % 3, QUICK.model_copy(update={"epochs": 1}), seed=0)
    first = np.stack([heads.grams(t).numpy() for t in tokens]).mean(0)
    np.testing.assert_allclose(first, grams.mean(0), rtol=0.6)


def test_nan_is_an_error_and_not_a_result():
    tokens, grams = drawn()
    tokens[3][0, 0, 0] = torch.inf
    with pytest.raises(TrainingFailed, match="not finite"):
        fit(tokens, grams, np.arange(12) % 3, QUICK, seed=0)


def test_a_head_that_dies_although_its_target_varies_is_an_error(monkeypatch):
    tokens, grams = drawn()

    def kill(*_):
        bank = [torch.zeros(5, 3, 6, 8), torch.zeros(5, 3, 8), torch.zeros(5, 3, 8), torch.ones(5, 3)]
        bank[3][2, 1] = -1.0
        return bank

    monkeypatch.setattr("herbage.heads.patch._train", kill)
    with pytest.raises(TrainingFailed, match="Dry_Green_g, fold 1 died"):
        fit(tokens, grams, np.arange(12) % 3, QUICK, seed=0)


def test_heads_of_unknown_targets_estimate_nan():
    tokens, grams = drawn()
    grams[:, 2] = np.nan
    estimated = fit(tokens, grams, np.arange(12) % 3, QUICK, seed=0).grams(tokens[0])
    assert estimated[2].isnan().all()
    assert estimated[[0, 1, 3, 4]].isfinite().all()
