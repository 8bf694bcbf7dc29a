import numpy as np
import pytest
import torch

from herbage.errors import TrainingFailed
from herbage.heads.crosspvt.heads import CrossPvtHeads
from herbage.heads.crosspvt.network import CrossPvt
from herbage.heads.crosspvt.training import loss, train_network
from herbage.heads.training_data import FitOptions, Folds, TrainingData
from herbage.recipe import CrossPvtSettings, load_recipe
from herbage.targets import SCORE_WEIGHTS, SUMS

SMALL = CrossPvtSettings(widths=(16, 24, 32), epochs=30, batch_photos=6, learning_rate=3e-3, dropout=0.0)
PHOTOS = 12


def recipe_of(settings):
    """The recipe crosspvt with these settings."""
    return load_recipe("crosspvt").model_copy(update={"crosspvt": settings})


def fit(tokens, grams, folds, settings, checkpoint=None):
    """Heads fitted to these photos."""
    data = TrainingData(list(tokens), grams.double().numpy(), Folds.of(folds))
    return CrossPvtHeads.fit(data, recipe_of(settings), FitOptions(checkpoint=checkpoint))


def photos(seed=0):
    """Tiles whose first dimensions hold the weights."""
    rng = np.random.default_rng(seed)
    components = rng.uniform(2, 30, (PHOTOS, 3))
    tokens = rng.normal(0, 0.1, (PHOTOS, 3, 40, 12))
    tokens[..., :3] += components[:, None, None, :] / 10
    return torch.from_numpy(tokens).half(), torch.from_numpy(components @ SUMS.T).float()


def squared_error(network, tokens, grams):
    with torch.no_grad():
        return float(((network(tokens[:, 0].float()).components @ torch.tensor(SUMS).float().T - grams) ** 2).mean())


@pytest.mark.parametrize("change", [{}, {"rho": 0.05}, {"ema": 0.8}, {"inner_width": 24}], ids=str)
def test_it_learns_from_tiles(change):
    tokens, grams = photos()
    network = train_network(tokens, grams, SMALL.model_copy(update=change), seed=0)
    assert not network.training
    assert squared_error(network, tokens, grams) < 0.6 * float(grams.var(0).mean())


@pytest.mark.parametrize(("defects", "scaled"), [(False, True), (True, False), (("raw_grams",), False)])
def test_outputs_are_in_units_of_the_training_photos_mean_unless_raw(defects, scaled):
    tokens, grams = photos()
    network = train_network(tokens, grams, SMALL.model_copy(update={"epochs": 1, "as_published": defects}), seed=0)
    torch.testing.assert_close(network.scale_g, grams.mean(0) if scaled else torch.ones(5))


def test_the_same_seed_gives_the_same_bytes_and_leaves_the_global_one_alone():
    tokens, grams = photos()
    settings = SMALL.model_copy(update={"epochs": 2})
    torch.manual_seed(5)
    once = train_network(tokens, grams, settings, seed=1).state_dict()
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), drawn)
    twice, other = (train_network(tokens, grams, settings, seed=s).state_dict() for s in (1, 2))
    assert all(torch.equal(once[name], twice[name]) for name in once)
    assert not all(torch.equal(once[name], other[name]) for name in once)


def test_a_folds_network_never_sees_its_photos():
    tokens, grams = photos()
    folds = np.arange(PHOTOS) % 2
    settings = SMALL.model_copy(update={"epochs": 2})
    before = fit(tokens, grams, folds, settings).tensors()
    tokens, changed = tokens.clone(), grams.clone()
    tokens[0], changed[0] = 9.0, 500.0
    after = fit(tokens, changed, folds, settings).tensors()
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if name.startswith("fold0.network0.")} <= same
    assert not {name for name in before if name.startswith("fold1.")} <= same


def test_grams_add_up_and_come_back_from_tensors():
    tokens, grams = photos()
    settings = SMALL.model_copy(update={"epochs": 1, "networks": 2})
    heads = fit(tokens, grams, np.arange(PHOTOS) % 3, settings)
    estimated = heads.fold_grams(tokens[0])
    assert estimated.shape == (5, 3)
    torch.testing.assert_close(estimated, torch.tensor(SUMS).double() @ estimated[:3], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(heads.grams(tokens[0]), estimated.mean(1))
    assert heads.density(tokens[0]) is None
    alone = torch.stack([net(tokens[0].float()).components for net in heads.networks[1]])
    assert not torch.equal(alone[0], alone[1])
    torch.testing.assert_close(estimated[:3, 1], alone.mean((0, 1)).double())
    tensors = heads.tensors()
    assert {name: tuple(t.shape) for name, t in tensors.items()} == CrossPvtHeads.shapes(recipe_of(settings), 3, 12)
    assert torch.equal(CrossPvtHeads.open(tensors, recipe_of(settings), 3, 12).fold_grams(tokens[0]), estimated)


def test_an_interrupted_training_resumes_with_the_next_fold(tmp_path, monkeypatch):
    tokens, grams = photos()
    settings, folds = SMALL.model_copy(update={"epochs": 1}), np.arange(PHOTOS) % 3
    how = (tokens, grams, folds, settings)
    expected = fit(*how).tensors()
    trained = []

    def counted(*given):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(given)
        return train_network(*given)

    monkeypatch.setattr("herbage.heads.crosspvt.heads.train_network", counted)
    with pytest.raises(KeyboardInterrupt):
        fit(*how, tmp_path / "checkpoint")
    trained.clear()
    resumed = fit(*how, tmp_path / "checkpoint").tensors()
    assert len(trained) == 1
    assert all(torch.equal(resumed[name], expected[name]) for name in expected)

    trained.clear()
    other = (tokens, grams + 1, folds, settings)
    with pytest.raises(KeyboardInterrupt):
        fit(*other, tmp_path / "checkpoint")
    assert len(trained) == 2, "checkpoints of other grams are not used"

    for file in (tmp_path / "checkpoint").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    trained.clear()
    with pytest.raises(KeyboardInterrupt):
        fit(*how, tmp_path / "checkpoint")
    assert len(trained) == 2, "a truncated checkpoint is trained again"


def test_the_loss_is_the_sum_of_its_parts():
    tokens, grams = photos()
    alone = {"auxiliary_weight": 0.0, "ranking_weight": 0.0, "difference_weight": 0.0}
    settings = SMALL.model_copy(update={**alone, "as_published": True})
    network = CrossPvt(12, settings).eval()
    outputs = network(tokens[:, 0].float())
    estimated = outputs.components.detach().double().numpy() @ SUMS.T
    expected = ((estimated - grams.numpy()) ** 2 @ SCORE_WEIGHTS).mean()
    assert loss(network, outputs, grams, settings).item() == pytest.approx(expected, rel=1e-5)
    auxiliary = ((outputs.auxiliary - grams) ** 2).mean().item()
    both = settings.model_copy(update={"auxiliary_weight": 0.4})
    assert loss(network, outputs, grams, both).item() == pytest.approx(expected + 0.4 * auxiliary, rel=1e-5)
    ordered = outputs._replace(rank=grams[:, 3] * 10)
    ranked = settings.model_copy(update={"ranking_weight": 1.0})
    assert loss(network, ordered, grams, ranked).item() == pytest.approx(expected, rel=1e-2)
    upside_down = outputs._replace(rank=-grams[:, 3])
    assert loss(network, upside_down, grams, ranked).item() > expected + 1


def test_a_loss_that_is_not_finite_says_what_to_do():
    tokens, grams = photos()
    with pytest.raises(TrainingFailed, match="lower learning_rate"):
        train_network(tokens, grams, SMALL.model_copy(update={"learning_rate": 1e30}), seed=0)
