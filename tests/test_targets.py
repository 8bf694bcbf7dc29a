import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from herbage.targets import SCORE_WEIGHTS, SUMS, TARGETS, balance, g_per_m2, kg_per_ha

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


def test_the_order_and_the_weights_are_the_competitions():
    assert TARGETS == ("Dry_Clover_g", "Dry_Dead_g", "Dry_Green_g", "Dry_Total_g", "GDM_g")
    assert dict(zip(TARGETS, SCORE_WEIGHTS, strict=True)) == {
        "Dry_Clover_g": 0.1, "Dry_Dead_g": 0.1, "Dry_Green_g": 0.1, "Dry_Total_g": 0.5, "GDM_g": 0.2,
    }  # fmt: skip


def test_21_g_on_a_quadrat_of_70_by_30_cm_is_a_tonne_a_hectare():
    assert kg_per_ha(np.array([21.0]), 0.21)[0] == 1000
    assert g_per_m2(np.array([21.0]), 0.21)[0] == 100
