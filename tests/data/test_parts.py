"""make_labels, the one rule for labels that all readers share."""

import numpy as np
import pytest

from fastnn.data.parts import make_labels
from fastnn.data.source import Array

LABELS: list[tuple[Array, type, list[float]]] = [
    (np.array([3, 1, 2], np.int8), np.int64, [3, 1, 2]),
    (np.array([3.0, 1.0, 2.0]), np.int64, [3, 1, 2]),
    (np.array([3.0, 1.0, -2.0], np.float16), np.int64, [3, 1, -2]),
    (np.array([[3], [1], [2]]), np.int64, [3, 1, 2]),
    (np.array([True, False, True]), np.int64, [1, 0, 1]),
    (np.array([0.5, 1.0, 2.0], np.float32), np.float64, [0.5, 1.0, 2.0]),
    (np.array([np.nan, 1.0, 2.0]), np.float64, [np.nan, 1.0, 2.0]),
    (np.array([-np.inf, 1.0, 2.0], np.float16), np.float64, [-np.inf, 1.0, 2.0]),
    (np.array([1e300, 1.0, 2.0]), np.float64, [1e300, 1.0, 2.0]),
]


@pytest.mark.parametrize(("labels", "dtype", "expected"), LABELS)
def test_labels_are_int64_where_they_are_whole(labels: Array, dtype: type, expected: list[float]) -> None:
    read = make_labels(labels, "file")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, expected)
    assert read.flags.c_contiguous


def test_neighbours_above_the_exact_integers_stay_floats() -> None:
    assert make_labels(np.array([2.0**53 - 1]), "file").dtype == np.int64
    assert make_labels(np.array([2.0**53]), "file").dtype == np.float64  # which 2**53 + 1 is rounded to


def test_labels_are_not_a_view_that_changes_with_the_input() -> None:
    column = np.arange(6).reshape(3, 2)[:, :1]
    read = make_labels(column, "file")
    column[:] = 9
    assert read.tolist() == [0, 2, 4]
