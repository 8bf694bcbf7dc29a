import numpy as np
import pytest
import torch

from herbage.heads.measured import MeasuredColumn, append_measured, measured_inputs

HEIGHTS = np.array([2.0, 3.0, 3.0, 4.0, 5.0, np.nan, 40.0])


def test_a_skewed_column_of_positive_values_is_taken_by_logarithm():
    column = MeasuredColumn.fit("Height_Ave_cm", HEIGHTS)
    assert (column.logarithm, column.low, column.high) == (True, 2.0, 40.0)
    np.testing.assert_allclose(column.input(HEIGHTS), np.log(HEIGHTS))


@pytest.mark.parametrize("values", [[0.0, 3, 3, 4, 5, 40], [-1.0, 3, 3, 4, 5, 40], [1.0, 2, 3, 4], [7.0, 7, 7]])
def test_other_columns_are_taken_as_they_are(values):
    column = MeasuredColumn.fit("x", np.array(values))
    assert not column.logarithm
    np.testing.assert_array_equal(column.input(np.array(values)), values)


@pytest.mark.filterwarnings("error")
def test_a_logarithm_of_0_or_below_counts_as_missing():
    column = MeasuredColumn.fit("Height_Ave_cm", HEIGHTS)
    assert np.isnan(column.input(np.array([0.0, -3.0, np.nan]))).all()


def test_the_inputs_in_torch_are_those_in_numpy():
    columns = [MeasuredColumn.fit("a", HEIGHTS), MeasuredColumn.fit("b", np.array([1.0, 2, 3]))]
    values = np.array([[4.0, 9.0], [0.0, 1.0], [np.nan, 2.0]])
    inputs = measured_inputs(columns, values)
    np.testing.assert_allclose(measured_inputs(columns, torch.from_numpy(values), xp=torch).numpy(), inputs)
    np.testing.assert_allclose(inputs[0], [np.log(4), 9])


def test_the_inputs_are_appended_to_every_token():
    tokens = torch.randn(2, 3, 4).half()
    extended = append_measured(tokens, np.array([1.5, -2.0]))
    assert torch.equal(extended[..., :4], tokens.float())
    assert (extended[..., 4:] == torch.tensor([1.5, -2.0])).all()


def test_the_range_of_training_is_known():
    column = MeasuredColumn.fit("Height_Ave_cm", HEIGHTS)
    assert [column.contains(value) for value in (1.9, 2.0, 40.0, 41.0)] == [False, True, True, False]
