import numpy as np
import pytest
import torch
from pydantic import ValidationError

from herbage.heads.measured import MeasuredColumn, append_measured, measured_inputs

HEIGHTS = np.array([2.0, 3.0, 3.0, 4.0, 5.0, np.nan, 40.0])


def test_a_skewed_column_of_positive_values_is_taken_by_logarithm():
    column = MeasuredColumn.fit("Height_Ave_cm", HEIGHTS)
    assert (column.logarithm, column.low, column.high) == (True, 2.0, 40.0)
    np.testing.assert_allclose(column.input(HEIGHTS), (np.log(HEIGHTS) - np.log(2)) / np.log(20))


@pytest.mark.parametrize("values", [[0.0, 3, 3, 4, 5, 40], [-1.0, 3, 3, 4, 5, 40], [1.0, 2, 3, 4]])
def test_other_columns_are_linear(values):
    column, values = MeasuredColumn.fit("x", np.array(values)), np.array(values)
    assert not column.logarithm
    np.testing.assert_allclose(column.input(values), (values - values.min()) / np.ptp(values))


@pytest.mark.parametrize(("scale", "offset"), [(1e-12, 0.0), (1e9, 0.0), (1.0, 1e9)])
def test_the_unit_of_a_column_does_not_matter(scale, offset):
    values = np.array([1.0, 2, 4, 5])
    column = MeasuredColumn.fit("x", offset + scale * values)
    np.testing.assert_allclose(column.input(offset + scale * values), (values - 1) / 4, atol=1e-6)


def test_a_value_too_far_outside_the_training_range_counts_as_missing():
    column = MeasuredColumn.fit("x", np.array([1.0, 2, 3, 4, 5]))
    assert np.isnan(column.input(np.array([-3.1, -2.9, 0.0, 8.9, 9.1, np.inf, -np.inf]))).tolist() == [
        True, False, False, False, True, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change", [{"low": np.nan}, {"high": np.inf}, {"low": 9.0, "high": 1.0}, {"name": ""}, {"low": -1.0}]
)
def test_a_damaged_record_is_refused(change):
    good = {"name": "x", "logarithm": True, "low": 1.0, "high": 2.0}
    with pytest.raises(ValidationError):
        MeasuredColumn.model_validate(good | change)


@pytest.mark.filterwarnings("error")
def test_a_logarithm_of_0_or_below_counts_as_missing():
    column = MeasuredColumn.fit("Height_Ave_cm", HEIGHTS)
    assert np.isnan(column.input(np.array([0.0, -3.0, np.nan]))).all()


def test_the_inputs_in_torch_are_those_in_numpy():
    columns = [MeasuredColumn.fit("a", HEIGHTS), MeasuredColumn.fit("b", np.array([1.0, 2, 3]))]
    values = np.array([[4.0, 9.0], [0.0, 1.0], [np.nan, 2.0]])
    inputs = measured_inputs(columns, values)
    np.testing.assert_allclose(measured_inputs(columns, torch.from_numpy(values), xp=torch).numpy(), inputs)
    np.testing.assert_allclose(inputs[0], [np.log(4 / 2) / np.log(40 / 2), np.nan])
    np.testing.assert_allclose(inputs[1], [np.nan, 0])


def test_the_inputs_are_appended_to_every_token():
    tokens = torch.randn(2, 3, 4).half()
    extended = append_measured(tokens, np.array([1.5, -2.0]))
    assert torch.equal(extended[..., :4], tokens.float())
    assert (extended[..., 4:] == torch.tensor([1.5, -2.0])).all()


def test_the_range_of_training_is_known():
    column = MeasuredColumn.fit("Height_Ave_cm", HEIGHTS)
    assert [column.contains(value) for value in (1.9, 2.0, 40.0, 41.0)] == [False, True, True, False]
