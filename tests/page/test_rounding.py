"""Numbers are rounded as in Python."""

import numpy as np


def test_numbers_are_rounded_as_in_python(modules):
    rng = np.random.default_rng(0)
    values = [*(rng.normal(0, 10.0 ** rng.integers(-4, 5)) for _ in range(2000)), *(k / 2**n for k in range(-40, 40) for n in range(9))]  # fmt: skip
    for digits in (0, 1, 4, 6):
        found = modules.evaluate(
            "async ([values, digits]) => { const { round } = await import('./rounding.js');"
            "return values.map((value) => round(value, digits)) }",
            [[float(value) for value in values], digits],
        )
        assert found == [round(float(value), digits) for value in values]
