import numpy as np
import pytest
import torch

from herbage.heads.crosspvt.blocks import AttentionBlock, GatedConvolutionBlock, SpatialReductionBlock
from herbage.heads.crosspvt.fusion import CrossScaleFusion
from herbage.heads.crosspvt.mixer import MobileVitBlock, PyramidMixer, Widths, smallest_grid
from herbage.heads.crosspvt.network import CrossPvt
from herbage.heads.crosspvt.retokenizer import Retokenizer
from herbage.recipe import CrossPvtSettings
from tests.heads.crosspvt import plain

WIDTH = 24
NARROW = Widths(16, 24, 32)


def made(module_class, *args, **how):
    """A module with every parameter moved away from its start, so that norms and biases count too."""
    torch.manual_seed(0)
    module = module_class(*args, **how).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    return module


def tokens(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def same(ours, plainly):
    np.testing.assert_allclose(ours.detach().numpy(), plainly, rtol=1e-5, atol=1e-5)


def test_parameters_are_those_of_the_specification():
    network = CrossPvt(768, CrossPvtSettings())
    parts = {"retokenizer": 9.45, "fusion": 28.36, "mixer": 13.60, "heads": 1.72}
    millions = {name: sum(p.numel() for p in getattr(network, name).parameters()) / 1e6 for name in parts}
    assert {name: round(count, 2) for name, count in millions.items()} == parts
    every = sum(p.numel() for p in network.parameters()) / 1e6
    assert round(every, 2) == 53.97
    assert round(every - sum(millions.values()), 2) == 0.83


@pytest.mark.parametrize("photos", [1, 3])
def test_blocks_do_as_they_are_specified(photos):
    x = tokens(photos, 6, WIDTH)
    block, gated = made(AttentionBlock, WIDTH, 6, 2), made(GatedConvolutionBlock, WIDTH, 5)
    reduction = made(SpatialReductionBlock, WIDTH, 8, 2, 3)
    grid = tokens(photos, 4, 6, WIDTH)
    for i in range(photos):
        same(block(x)[i], plain.attention_block(plain.Weights(block), x[i].double().numpy(), 6))
        same(gated(x)[i], plain.gated_convolution_block(plain.Weights(gated), x[i].double().numpy(), 5))
        same(
            reduction(grid)[i], plain.spatial_reduction_block(plain.Weights(reduction), grid[i].double().numpy(), 8, 2)
        )


def test_the_retokenizer_gives_the_mean_of_each_quarter():
    module, tiles = made(Retokenizer, WIDTH), tokens(2, 16, WIDTH)
    same(module(tiles)[1], plain.retokenize(plain.Weights(module), tiles[1].double().numpy()))


def test_the_streams_exchange_what_they_know():
    module, small, big = made(CrossScaleFusion, WIDTH), tokens(2, 4, WIDTH), tokens(2, 4, WIDTH).flip(0)
    expected = plain.fuse(plain.Weights(module), small[1].double().numpy(), big[1].double().numpy())
    same(module(small, big)[1], expected)


def test_windows_are_mixed_and_put_back():
    module, grid = made(MobileVitBlock, 16), tokens(2, 16, 3, 4)
    expected = plain.mobile_vit(plain.Weights(module), grid[1].double().permute(1, 2, 0).numpy())
    same(module(grid)[1].permute(1, 2, 0), expected)


@pytest.mark.parametrize("keep_padding", [True, False])
def test_the_mixer_goes_through_its_three_stages(keep_padding):
    module, x = made(PyramidMixer, WIDTH, NARROW, keep_padding=keep_padding), tokens(2, 10, WIDTH)
    vector, second = module(x)
    expected_vector, expected_second = plain.mix(plain.Weights(module), x[1].double().numpy(), keep_padding)
    same(vector[1], expected_vector)
    same(second[1], expected_second)
    assert second.shape == (2, 6 if keep_padding else 5, 24)


@pytest.mark.parametrize("as_published", [True, False])
def test_the_whole_network_does_as_it_is_specified(as_published):
    module, tiles = (
        made(CrossPvt, WIDTH, CrossPvtSettings(widths=NARROW, as_published=as_published)),
        tokens(2, 40, WIDTH),
    )
    outputs = module(tiles)
    for ours, expected in zip(
        outputs, plain.whole(plain.Weights(module), tiles[1].double().numpy(), as_published), strict=True
    ):
        same(ours[1], expected)
    assert (outputs.components >= 0).all()
    assert (outputs.auxiliary >= 0).all()


def test_the_auxiliary_loss_reaches_the_trunk_unless_as_published():
    for as_published in (True, False):
        module = made(CrossPvt, WIDTH, CrossPvtSettings(widths=NARROW, as_published=as_published))
        module(tokens(2, 40, WIDTH)).auxiliary.sum().backward()
        reached = module.retokenizer.blocks[0].norm1.weight.grad is not None
        assert reached is not as_published


def test_the_one_key_of_the_second_stage_makes_its_softmax_constant():
    """As the docstring says: whatever the queries are, the attention adds the same vector to every token."""
    block, grid = made(SpatialReductionBlock, WIDTH, 8, 2, 3), tokens(1, 2, 3, WIDTH)
    before = block(grid)
    with torch.no_grad():
        block.query.weight.zero_()
    torch.testing.assert_close(block(grid), before)


@pytest.mark.parametrize(("count", "grid"), [(4, (2, 2)), (5, (2, 3)), (6, (2, 3)), (7, (3, 3)), (10, (3, 4))])
def test_the_grid_grows_width_first(count, grid):
    assert smallest_grid(count) == grid
