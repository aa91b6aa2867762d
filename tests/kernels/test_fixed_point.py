"""Numbers of float64 in digits, and their products with bytes: see kernels/matrix_unit/digits.py. What trainers make of
them is in test_byte_features.py."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import matrix_unit
from fastnn.architecture import Architecture
from fastnn.compiled.memory import data_of
from fastnn.compiled.sharing import on_matrix_unit
from fastnn.kernels.compiling.compile import entry
from fastnn.kernels.matrix_unit.byte_rows import ROW_BYTES
from fastnn.kernels.matrix_unit.digits import DEEPEST, DIGITS
from fastnn.kernels.matrix_unit.fixed_point import SQUARE, Squares, multiply_apart, take_apart
from fastnn.kernels.matrix_unit.instructions import SIDE, claim_registers, release_registers
from fastnn.kernels.panels import Matrix
from fastnn.optimizers import Optimizer
from fastnn.trainer import Plan

Array = NDArray[Any]
Guarded = Callable[[Any], Array]

DEPTHS = (1, 2, 3, 4, 5, 63, 64, 65, 130)
STEPS, PLACE = DIGITS * SQUARE, DIGITS * SQUARE + SIDE

pytestmark = pytest.mark.skipif(not matrix_unit.available(), reason="there is no matrix unit, or it may not be used")


@entry
def apart(B: Array, depth: int, columns: int, row: int, words: Array) -> None:
    take_apart(depth, columns, Matrix(B, 0, row, 1), 1.0, words, STEPS, PLACE)


@entry
def multiply(rows: int, B: Array, depth: int, columns: int, words: Array, b: Array, out: Array) -> None:
    """A lies in `words` behind the digits."""
    claim_registers(words)
    deep = (depth + ROW_BYTES - 1) // ROW_BYTES
    take_apart(depth, columns, Matrix(B, 0, columns, 1), 1.0, words, STEPS, PLACE)
    A = Squares(words, PLACE + DIGITS * deep * SQUARE, deep)
    multiply_apart(rows, columns, A, 0, PLACE, STEPS, Matrix(b, 0, 0, 1), Matrix(out, 0, columns, 1))
    release_registers(words)


def squares_of(depth: int) -> int:
    return -(-depth // ROW_BYTES)


def in_digits(B: Array, guarded: Guarded) -> tuple[Array, Array]:
    """The whole numbers that B's columns are made of, with their steps."""
    depth, columns = B.shape
    wide = np.full((depth, columns + 3), np.nan)
    wide[:, :columns] = B
    words = guarded(np.full(PLACE + DIGITS * squares_of(depth) * SQUARE, np.nan))
    apart(guarded(wide.ravel()[: wide.size - 3]), depth, columns, columns + 3, words)
    bytes_ = words[PLACE:].view(np.int8).reshape(DIGITS, squares_of(depth) * SIDE, SIDE, 4)
    digits = bytes_.transpose(0, 1, 3, 2).reshape(DIGITS, -1, SIDE)
    assert not digits[:, depth:].any()
    assert not digits[:, :, columns:].any()
    whole = sum(digits[digit, :depth, :columns].astype(object) * 256**digit for digit in range(DIGITS))
    return whole, words[STEPS : STEPS + columns] / 256.0 ** (DIGITS - 1)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("columns", [1, 7, 8, 9, 16])
def test_numbers_are_the_digits_times_the_step(
    depth: int, columns: int, guarded: Guarded, rng: np.random.Generator
) -> None:
    B = rng.normal(size=(depth, columns)) * 10.0 ** rng.integers(-9, 9, columns)
    whole, steps = in_digits(B, guarded)
    np.testing.assert_array_equal(whole, np.rint(B / steps).astype(np.int64))
    largest = abs(B).max(axis=0)
    assert (np.frexp(steps)[0] == 0.5).all()
    assert (largest / steps < 2.0**55).all()
    assert (steps / 2 <= 1.01 * largest * 2.0**-55).all()


@pytest.mark.parametrize("scale", [2.0**-1000, 1e-300, 1.0, 1.984374, 1.984376, 2 - 2.0**-52, 1e300, 1.7e308])
@pytest.mark.parametrize("sign", [-1, 1])
def test_numbers_of_any_size(scale: float, sign: int, guarded: Guarded, rng: np.random.Generator) -> None:
    """What is so small that a step has no inverse counts as zero."""
    B = rng.uniform(-1, 1, (70, 16)) * scale
    B[3] = sign * scale
    whole, steps = in_digits(B, guarded)
    assert np.isfinite(steps).all()
    limit = np.maximum(1.01 * scale * 2.0**-55, 2.0**-560)
    assert (abs(B - whole.astype(np.longdouble) * steps) <= limit).all()


def test_zeros(guarded: Guarded) -> None:
    whole, steps = in_digits(np.zeros((5, 16)), guarded)
    assert not whole.any()
    assert np.isfinite(steps).all()


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 4, 69])
def test_a_column_that_is_not_finite(value: float, place: int, guarded: Guarded, rng: np.random.Generator) -> None:
    B = rng.normal(size=(70, 16))
    B[place, 9] = value
    _, steps = in_digits(B, guarded)
    np.testing.assert_array_equal(np.isnan(steps), np.arange(16) == 9)


@pytest.mark.parametrize("number", [1.98, -1.98, 255.0, -1e-5])
def test_the_deepest_product(number: float, guarded: Guarded) -> None:
    """Bytes and digits as large as they can be do not leave 31 bits."""
    rows, columns, squares = 16, 16, squares_of(DEEPEST)
    words, out = np.full(PLACE + (DIGITS + 1) * squares * SQUARE, np.nan), guarded(np.full(rows * columns, np.nan))
    words[-squares * SQUARE :].view(np.uint8)[:] = 255
    multiply(rows, np.full(DEEPEST * columns, number), DEEPEST, columns, words, np.ones(columns), out)
    np.testing.assert_allclose(out, 255 * DEEPEST * number + 1, rtol=4e-16)


@pytest.mark.parametrize(("inputs", "batch_size"), [(64, DEEPEST), (DEEPEST, 64), (64, None)])
def test_deeper_ones_are_not_made(inputs: int, batch_size: int | None) -> None:
    for more in (0, 1):
        sizes = inputs + more * (inputs == DEEPEST), 64, 4
        rows = batch_size and batch_size + more * (batch_size == DEEPEST)
        architecture, dtype = Architecture.of(sizes, "relu", None), np.dtype(np.float64)
        data = data_of(np.zeros((2, sizes[0]), np.uint8), np.zeros(2, np.int64), architecture, dtype)
        plan = Plan(1, rows, Optimizer("sgd"), 0, 2)
        assert on_matrix_unit(data, architecture, plan, 2 * DEEPEST, dtype)[0] == (more == 0 or batch_size is None)
