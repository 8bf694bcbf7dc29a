from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from herbage.errors import InputInvalid
from herbage.targets import (
    QUADRAT_AREA_M2,
    SCORE_WEIGHTS,
    SUMS,
    TARGETS,
    balance,
    check_area,
    derivable,
    derive,
    g_per_m2,
    kg_per_ha,
    known_targets,
    main_target,
    missing_names,
)

RAW = st.lists(st.floats(-50, 200), min_size=5, max_size=5).map(np.array)


def loss(components, raw):
    return float((SUMS @ components - raw) ** 2 @ SCORE_WEIGHTS)


@given(RAW)
def test_balance_obeys_the_sums_and_is_at_least_0(raw):
    clover, dead, green, total, gdm = balance(raw)
    assert min(clover, dead, green) >= 0
    np.testing.assert_allclose([total, gdm], [clover + dead + green, clover + green], atol=1e-9)


@given(RAW)
def test_balance_is_no_worse_than_an_independent_minimiser(raw):
    ours = loss(balance(raw)[:3], raw)
    theirs = minimize(loss, np.full(3, 10.0), args=(raw,), bounds=[(0, None)] * 3, method="L-BFGS-B").fun
    assert ours <= theirs * (1 + 1e-6) + 1e-6


@given(st.lists(st.floats(0, 100), min_size=3, max_size=3).map(np.array))
def test_balanced_weights_stay_as_they_are(components):
    np.testing.assert_allclose(balance(SUMS @ components), SUMS @ components, atol=1e-9)


def test_balance_takes_many_photos_at_once():
    raw = np.random.default_rng(0).normal(10, 20, (7, 5))
    np.testing.assert_allclose(balance(raw), [balance(row) for row in raw])


@given(RAW)
def test_balance_is_the_same_in_torch(raw):
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(
        balance(torch.from_numpy(raw), xp=torch, known=(True,) * 5).numpy(), balance(raw), atol=1e-9
    )


def test_targets_that_are_unknown_stay_so_in_torch_too():
    torch = pytest.importorskip("torch")
    raw = np.array([np.nan, np.nan, np.nan, 30.0, 20.0])
    known = (False, False, False, True, True)
    np.testing.assert_allclose(balance(torch.from_numpy(raw), known, xp=torch).numpy(), balance(raw))
    np.testing.assert_allclose(balance(raw), raw)


def test_the_order_and_the_weights_are_the_competitions():
    assert TARGETS == ("Dry_Clover_g", "Dry_Dead_g", "Dry_Green_g", "Dry_Total_g", "GDM_g")
    assert dict(zip(TARGETS, SCORE_WEIGHTS, strict=True)) == {
        "Dry_Clover_g": 0.1, "Dry_Dead_g": 0.1, "Dry_Green_g": 0.1, "Dry_Total_g": 0.5, "GDM_g": 0.2,
    }  # fmt: skip


def test_21_g_on_a_quadrat_of_70_by_30_cm_is_a_tonne_a_hectare():
    assert kg_per_ha(np.array([21.0]), 0.21)[0] == 1000
    assert g_per_m2(np.array([21.0]), 0.21)[0] == 100


def by_substitution(known):
    """Which targets the two sums give, and what they are, solved one by one: total = c + d + g, gdm = c + g."""
    rules = [(3, {0: 1, 1: 1, 2: 1}), (4, {0: 1, 2: 1}), (3, {4: 1, 1: 1})]
    there = set(known)
    for _ in range(5):
        for whole, parts in rules:
            missing = [one for one in (whole, *parts) if one not in there]
            there |= set(missing) if len(missing) == 1 else set()
    return there


@pytest.mark.parametrize("known", list(product([False, True], repeat=5)))
def test_what_the_sums_determine_is_derived_and_nothing_else(known):
    truth = SUMS @ np.array([[3.0, 7], [11, 0], [20, 5]])
    grams = np.where(known, truth.T, np.nan)
    expected = by_substitution([target for target in range(5) if known[target]])
    assert {target for target, there in enumerate(derivable(known)) if there} == expected
    filled = derive(grams)
    assert {target for target, there in enumerate(known_targets(filled)) if there} == expected
    np.testing.assert_allclose(filled[:, sorted(expected)], truth.T[:, sorted(expected)], atol=1e-9)
    assert missing_names(known) == [name for name, there in zip(TARGETS, known, strict=True) if not there]


def test_a_derived_weight_is_never_below_0():
    filled = derive(np.array([[5.0, 4.0, np.nan, 8.9, np.nan]]))
    assert filled[0, 2] == 0, "total is 0.1 g less than clover and dead, which scales may do"


def test_the_main_target_is_the_total_or_the_next_that_is_known():
    order = [3, 4, 2, 1, 0]
    for number, target in enumerate(order):
        known = tuple(one in order[number:] for one in range(5))
        assert main_target(known) == target


@given(RAW, st.integers(1, 30))
def test_balance_of_some_targets_is_no_worse_than_an_independent_minimiser(raw, which):
    known = [bool(which >> target & 1) for target in range(5)]
    came = balance(np.where(known, raw, np.nan))
    assert np.array_equal(np.isnan(came), ~np.array(known))
    weights = SCORE_WEIGHTS * known

    def missed(components):
        return float((SUMS @ components - raw) ** 2 @ weights)

    theirs = minimize(missed, np.full(3, 10.0), bounds=[(0, None)] * 3, method="L-BFGS-B").fun
    ours = float(((came - raw)[known] ** 2 * weights[known]).sum())
    assert ours <= theirs * (1 + 1e-6) + 1e-6


def test_areas_no_quadrat_has_are_refused():
    for area in (1e-4, QUADRAT_AREA_M2, 1e4):
        check_area(area)
    for area in (0, -1, 0.99e-4, 1.01e4, float("nan")):
        with pytest.raises(InputInvalid, match="square metres"):
            check_area(area)
    assert pytest.approx(0.7 * 0.3) == QUADRAT_AREA_M2
