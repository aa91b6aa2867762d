"""Panels whose last columns fill a register in part, against the same sums one after the other."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn.kernels import panels
from fastnn.kernels.compiling.compile import entry
from fastnn.kernels.panels import SHORT, Matrix
from fastnn.kernels.simd.vectors import REGISTER_BYTES

Array = NDArray[Any]
Guarded = Callable[[Any], Array]
Close = Callable[..., None]


@entry
def multiply_filled(
    rows: int,
    columns: int,
    wide: int,
    depth: int,
    A: Array,
    K: int,
    B: Array,
    N: int,
    zero: Array,
    C: Array,
) -> None:
    left, right = Matrix(A, 0, 1, K), Matrix(B, 0, N, 1)
    panels.multiply_filled(rows, columns, wide, depth, left, right, Matrix(zero, 0, 0, 1), C)


@pytest.mark.parametrize("depth", [1, 2, 33])
def test_multiply_filled(depth: int, dtype: np.dtype[Any], guarded: Guarded, rng: Any, assert_close: Close) -> None:
    """Every number of columns and rows. Whichever way the product is made, every column has the same bits, and what
    fills up the panel is zero."""
    lanes = REGISTER_BYTES // dtype.itemsize
    most, zero = 2 * lanes, guarded(np.zeros(2 * lanes, dtype))
    for rows in range(1, most + 1):
        X, dZ = (rng.normal(size=(depth, size)).astype(dtype) for size in (rows + 1, most))
        C = guarded(np.full(2 * most * most, np.nan, dtype))
        multiply_filled(rows, most, most, depth, guarded(X), rows + 1, guarded(dZ), most, zero, C)
        whole = C[: rows * most].reshape(rows, most).copy()
        X, exact = X[:, :rows], X[:, :rows].T.astype(np.float64) @ dZ
        assert_close(whole, exact, depth, abs(X).T.astype(np.float64) @ abs(dZ))
        for columns in range(1, most):
            wide = lanes if columns <= lanes else most
            some = np.full((depth, -(-columns // SHORT) * SHORT), np.nan, dtype)
            some[:, :columns] = dZ[:, :columns]
            C[:] = np.nan
            padded = np.pad(X, ((0, 0), (0, 1)), constant_values=np.nan)
            multiply_filled(
                rows, columns, wide, depth, guarded(padded), rows + 1, guarded(some), some.shape[1], zero, C
            )
            made = C[: rows * wide].reshape(rows, wide)
            assert made[:, :columns].tobytes() == whole[:, :columns].tobytes()
            assert not made[:, columns:].any()
