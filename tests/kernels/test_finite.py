"""Whether numbers are finite, against NumPy: in the kernel, and in what chooses it."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import finite
from fastnn.kernels.finite import all_finite

Array = NDArray[Any]
DType = np.dtype[Any]


def wrong_ones(size: int, dtype: DType) -> list[tuple[int, float]]:
    return [(place, value) for place in {0, size // 2, size - 1} for value in (np.nan, np.inf, -np.inf)]


def test_every_place_counts_and_no_other(size: int, dtype: DType) -> None:
    memory = np.full(size + 2, np.nan, dtype)
    x, address = memory[1:-1], memory.__array_interface__["data"][0] + dtype.itemsize
    x[:] = np.finfo(dtype).max
    assert all_finite(address, size, memory)
    for place, value in wrong_ones(size, dtype):
        x[place] = value
        assert not all_finite(address, size, memory)
        x[place] = np.finfo(dtype).min


@pytest.mark.parametrize("rows", [1, 3 * finite.MANY], ids=["few", "many"])
@pytest.mark.parametrize("step", [1, 2], ids=["contiguous", "with gaps"])
def test_any_layout(rows: int, step: int, dtype: DType) -> None:
    x = np.zeros((rows, 3 * step), dtype)[:, ::step]
    assert finite.all_finite(x)
    for place, value in wrong_ones(rows, dtype):
        x[place, -1] = value
        assert not finite.all_finite(x)
        x[place, -1] = 0
