"""The order of the rows, against NumPy's own random numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn import reference
from fastnn.compiled import row_order

SEEDS = [0, 1, 2**32 - 1, 2**32, 2**64 + 3, 2**200 + 5]
ROWS = [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 127, 128, 129, 1000, 65536, 65537]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("first", [0, 1, 77, 2**32 - 4])
def test_the_same_order_as_numpy(seed: int, first: int) -> None:
    for m in ROWS:
        order = row_order(seed, first, 3, m)
        epochs = [np.random.default_rng((seed, first + epoch)).permutation(m) for epoch in range(3)]
        np.testing.assert_array_equal(order, np.concatenate(epochs), err_msg=str(m))
        assert order.dtype == np.int64


@given(st.integers(0, 2**130), st.integers(0, 2**31), st.integers(1, 300))
def test_every_row_once(seed: int, first: int, m: int) -> None:
    order = row_order(seed, first, 1, m)
    np.testing.assert_array_equal(np.sort(order), np.arange(m))
    np.testing.assert_array_equal(order, reference.row_order(seed, first, 1, m))


def test_an_epoch_beyond_the_words() -> None:
    first = 2**32 - 1
    np.testing.assert_array_equal(row_order(3, first, 2, 50), reference.row_order(3, first, 2, 50))


def test_two_epochs_and_then_three_are_five() -> None:
    np.testing.assert_array_equal(
        row_order(9, 0, 5, 40), np.concatenate([row_order(9, 0, 2, 40), row_order(9, 2, 3, 40)])
    )
