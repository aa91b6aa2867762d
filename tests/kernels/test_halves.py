"""Bytes as bfloat16 numbers: exact, and none is read but those that are asked for."""

import ctypes
import mmap
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn.kernels.compiling.compile import entry
from fastnn.kernels.matrix_unit import halves
from fastnn.kernels.matrix_unit.instructions import HAS_MATRIX_UNIT, SIDE

Array = NDArray[Any]
Guarded = Callable[[Any], Array]

pytestmark = [
    pytest.mark.skipif(not HAS_MATRIX_UNIT, reason="kernels are not compiled for a matrix unit"),
    pytest.mark.skipif(sys.platform == "win32", reason="there is no mprotect"),
]


@entry
def store_row(words: Array, index: int, address: int, count: int) -> None:
    halves.store_row(words, index, address, count)


@entry
def store_columns(
    words: Array, index: int, apart: int, numbers: Array, first: int, last: int, address: int, stride: int, count: int
) -> None:
    halves.store_columns(words, index, apart, numbers, first, last, address, stride, count)


def from_halves(words: Array) -> Array:
    """The bfloat16 numbers, two to a word, as float32."""
    return (np.ascontiguousarray(words).view(np.uint16).astype(np.uint32) << 16).view(np.float32)


@pytest.fixture
def fenced(rng: np.random.Generator) -> Iterator[Array]:
    """A page of random bytes between two pages that nobody may read."""
    page = mmap.PAGESIZE
    memory = np.frombuffer(mmap.mmap(-1, 3 * page), np.uint8)
    protect = ctypes.CDLL(None).mprotect
    protect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    memory[...] = rng.integers(1, 256, len(memory))
    for start in (0, 2 * page):
        assert protect(memory.ctypes.data + start, page, 0) == 0
    yield memory[page : 2 * page]
    for start in (0, 2 * page):
        assert protect(memory.ctypes.data + start, page, mmap.PROT_READ | mmap.PROT_WRITE) == 0


@pytest.fixture
def words(guarded: Guarded) -> Callable[[int], Array]:
    """words(count): room for so many, full of NaN, between guard zones."""
    return lambda count: guarded(np.full(count, np.nan, np.float32))


def test_every_byte_is_exact(words: Callable[[int], Array]) -> None:
    every = np.arange(256, dtype=np.uint8)
    for start in range(0, 256, 2 * SIDE):
        found = words(SIDE)
        store_row(found, 0, every[start:].ctypes.data, 2 * SIDE)
        np.testing.assert_array_equal(from_halves(found), every[start : start + 2 * SIDE])


def test_every_byte_is_exact_in_columns(words: Callable[[int], Array], guarded: Guarded) -> None:
    every, numbers = np.arange(512, dtype=np.uint8), guarded(np.arange(2 * SIDE))
    found = words(SIDE * SIDE)
    store_columns(found, 0, SIDE, numbers, 0, 2 * SIDE - 1, every.ctypes.data, SIDE, SIDE)
    expected = every.reshape(2 * SIDE, SIDE).T[:, halves.PAIRED]
    np.testing.assert_array_equal(from_halves(found).reshape(SIDE, 2 * SIDE), expected)


@pytest.mark.parametrize("count", range(2 * SIDE + 1))
def test_bytes_of_a_row_that_ends_where_memory_does(count: int, fenced: Array, words: Callable[[int], Array]) -> None:
    found, start = words(3 + SIDE), len(fenced) - count
    store_row(found, 3, fenced.ctypes.data + start, count)
    assert np.isnan(found[:3]).all()
    np.testing.assert_array_equal(from_halves(found[3:])[:count], fenced[start:])
    assert not from_halves(found[3:])[count:].any()


@pytest.mark.parametrize("stride", ["packed", 16, 17, 61, 0, -16, -61])
@pytest.mark.parametrize("rows", range(1, 2 * SIDE + 1))
def test_columns_of_rows_that_lie_where_memory_begins_or_ends(
    rows: int, stride: int | str, fenced: Array, words: Callable[[int], Array], guarded: Guarded, rng: Any
) -> None:
    first, apart = 3, SIDE + 5
    for count in range(1, SIDE + 1):
        step = count if stride == "packed" else int(stride)
        span = (rows - 1) * abs(step) + count
        found, numbers = words(apart * SIDE), guarded(np.append(rng.integers(9999, size=first), rng.permutation(rows)))
        top = rng.choice([0, len(fenced) - span]) + (span - count if step < 0 else 0)
        store_columns(found, 0, apart, numbers, first, first + rows - 1, fenced.ctypes.data + top, step, count)
        chosen = numbers[first + np.minimum(halves.PAIRED, rows - 1)]
        columns = found.reshape(SIDE, apart)
        expected = fenced[top + chosen * step + np.arange(count)[:, None]]
        np.testing.assert_array_equal(from_halves(columns[:count, :SIDE]), expected)
        assert not from_halves(columns[count:, :SIDE]).any()
        assert np.isnan(columns[:, SIDE:]).all()
