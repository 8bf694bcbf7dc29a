"""The halves of a map join without a step, and keep their levels away from the join."""

import numpy as np
import pytest
import torch

from herbage.heads.halves import join_halves
from herbage.heads.ridge import RidgeHeads
from herbage.recipe import load_recipe

SHAPES = [(1, 2), (2, 4), (3, 6), (37, 74), (5, 8)]


def some_map(rows, columns, seed=0):
    """A map of five targets without a step at the join."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(5, rows, columns))).float()


def steps(z):
    """The difference between neighbouring columns, the mean over rows."""
    return z.diff(dim=2).mean(1)


def plainly_joined(z):
    """The rule, one target and one column at a time."""
    joined, half = z.clone(), z.shape[2] // 2
    for target in range(len(z)):
        step = float(np.mean([float(row[half]) - float(row[half - 1]) for row in z[target]]))
        for column in range(half):
            share = (column + 0.5) / half
            joined[target, :, column] += share * step / 2
            joined[target, :, -1 - column] -= share * step / 2
    return joined


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_it_is_the_rule_done_one_column_at_a_time(rows, columns):
    z = some_map(rows, columns)
    torch.testing.assert_close(join_halves(z), plainly_joined(z))
    assert join_halves(z).dtype == z.dtype


@pytest.mark.parametrize(("rows", "columns"), [shape for shape in SHAPES if shape[1] > 2])
def test_a_step_between_the_halves_disappears(rows, columns):
    """A fault made on purpose: one half is raised, and all but one part in the number of columns is removed."""
    raised = some_map(rows, columns) * 0.01
    raised[:, :, columns // 2 :] += torch.tensor([1.0, -2, 3, 0.5, 4])[:, None, None]
    before, after = (steps(z)[:, columns // 2 - 1] for z in (raised, join_halves(raised)))
    torch.testing.assert_close(after, before / columns)


def test_a_constant_map_and_a_map_without_a_step_stay_the_same():
    constant = torch.full((5, 4, 8), 3.7)
    assert torch.equal(join_halves(constant), constant)
    z = some_map(6, 12)
    z[:, :, 6:] -= steps(z)[:, 5][:, None, None]
    torch.testing.assert_close(join_halves(z), z, rtol=0, atol=1e-6)


def test_a_steady_slope_changes_by_less_than_half_of_one_step():
    slope = torch.arange(74.0).expand(5, 37, 74)
    assert (join_halves(slope) - slope).abs().max() < 0.5


def test_a_bare_half_stays_low_away_from_the_join():
    z = torch.full((5, 37, 74), 2.0)
    z[:, :, 37:] = 8.0
    joined = join_halves(z)
    assert joined[:, :, :9].mean() < 2.5
    assert joined[:, :, -9:].mean() > 7.5
    assert (joined.diff(dim=2) > -1e-5).all()  # the bare half is nowhere above the other
    torch.testing.assert_close(joined.mean((1, 2)), z.mean((1, 2)))


def test_an_edge_away_from_the_join_stays_sharp():
    z = torch.zeros(5, 37, 74)
    z[:, :, 50:] = 4.0
    assert torch.equal(join_halves(z), z)


def test_the_mean_of_the_map_and_the_pattern_of_each_half_stay():
    z = some_map(37, 74)
    change = join_halves(z) - z
    torch.testing.assert_close(change.mean((1, 2)), torch.zeros(5), rtol=0, atol=1e-6)
    assert torch.allclose(change, change[:, :1], atol=1e-6)  # the same in each row
    assert torch.allclose(change, -change.flip(2), atol=1e-6)


def test_the_mirrored_map_is_joined_to_the_mirrored_result():
    z = some_map(7, 10)
    torch.testing.assert_close(join_halves(z.flip(2)), join_halves(z).flip(2))


def test_a_target_without_a_head_stays_unknown_and_the_others_do_not_notice():
    z = some_map(3, 6)
    unknown = z.clone()
    unknown[1] = torch.nan
    joined = join_halves(unknown)
    assert joined[1].isnan().all()
    assert torch.equal(joined[[0, 2, 3, 4]], join_halves(z)[[0, 2, 3, 4]])


def test_it_can_be_exported():
    pytest.importorskip("torch", "2.13", reason="the extra onnx needs it")

    class Join(torch.nn.Module):
        def forward(self, z):
            return join_halves(z)

    z = some_map(37, 74)
    exported = torch.export.export(Join(), (z,)).module()
    assert torch.equal(exported(some_map(37, 74, seed=1)), join_halves(some_map(37, 74, seed=1)))


@pytest.mark.parametrize(("crops", "is_joined"), [("halves", True), ("whole", False)])
def test_the_density_of_ridge_heads_is_joined_only_where_the_recipe_has_halves(crops, is_joined):
    recipe = load_recipe("field").model_copy(update={"crops": crops, "grid": 4, "views": 1, "predict_views": None})
    columns = 8 if crops == "halves" else 4
    tokens = torch.zeros(1, 4, columns, 3)
    tokens[:, :, columns // 2 :] = 1.0
    tensors = {
        "coefficient": torch.ones(5, 2, 3),
        "intercept": torch.ones(5, 2),
        "common": torch.zeros(5, 1, 4 * columns),
    }
    heads = RidgeHeads(tensors, recipe)
    density = heads.density(tokens.flatten(1, 2)).reshape(5, 4, columns)
    step = (density.sqrt()[:, :, columns // 2] - density.sqrt()[:, :, columns // 2 - 1]).max()
    assert (step < 1) == is_joined
