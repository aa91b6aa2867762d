"""Matrices as the matrix unit multiplies them: every float32 is the sum of three bfloat16 numbers, its thirds.

A float32 has 24 binary digits, a bfloat16 the upper 8 of them: cut off, what is left has 16, and so on, so that
x = a + b + c exactly, down to 1e-31. Of the nine products of two such sums six are made. What the others would add is
2^-21 of the product at most, and on average below its last digit: gradients over 256 rows, 784-512-512-10, are off
by 3.5e-7, and by 4.6e-7 if made of multiply-adds. On the unit six products are still 2.7 times as fast as those.

A left-hand matrix lies as [third][row][pair of columns], a right-hand one as [third][panel][pair of rows][column],
both a register after the other, of 16 rows and columns of these. What comes 16 later in a row of 32 is a number's pair:
so registers are paired as they are loaded, and nothing is moved from lane to lane. Only in rows of bytes neighbours are
pairs. What fills them up along the depth is zero, for whatever was there may not be finite. The first words of where
they lie are scratch, of a square for each third.
"""

from __future__ import annotations

from typing import Any

from ..compiling.compile import Array, kernel, noinline
from ..panels import Matrix
from ..simd.partial import load_first
from ..simd.vectors import load, store
from ..tiles import load_square, store_square, transposed
from .halves import paired, rest
from .instructions import SIDE
from .products import DEEP, SQUARE, Split


@kernel
def pairs_of(count: int) -> int:
    """Pairs of so many, filled up to whole registers."""
    return (count + DEEP - 1) // DEEP * SIDE


@kernel
def left_place(row: int, pairs: int) -> int:
    """Where a row begins; the next 16 pairs of columns are a register away."""
    return row // SIDE * SIDE * pairs + row % SIDE * SIDE


@kernel
def right_place(pair: int, wide: int) -> int:
    """Where a pair of rows of a panel begins; the next 16 columns are a register away."""
    return pair // SIDE * SIDE * wide + pair % SIDE * SIDE


@kernel
def _store_pairs(words: Array, at: int, apart: int, low: Any, high: Any) -> None:
    """A register of pairs of each third, so far apart."""
    store(words, at, paired(low, high))
    low, high = rest(low), rest(high)
    store(words, at + apart, paired(low, high))
    store(words, at + 2 * apart, paired(rest(low), rest(high)))


@kernel
def _two_rows(A: Matrix, row: int, later: int, column: int, rows: int, columns: int) -> Any:
    """Of a matrix of so many rows and columns, whose rows are contiguous, a register of `row` and one of its pair, so
    much later, from `column` on, and zeros beyond."""
    at, left = A.offset + row * A.row + column, columns - column
    if row + later < rows and left >= SIDE:  # masks take as long as all the rest
        return load(A.data, at, 1), load(A.data, at + later * A.row, 1)
    low = load_first(A.data, at, left if row < rows else 0, 0.0, 1)
    return low, load_first(A.data, at + later * A.row, left if row + later < rows else 0, 0.0, 1)


@kernel
def _two_columns(A: Matrix, row: int, column: int, rows: int, columns: int) -> Any:
    """The same of one row, from `column` and from its pair on."""
    at, left = A.offset + row * A.row + column, columns - column if row < rows else 0
    if left >= DEEP:
        return load(A.data, at, 1), load(A.data, at + SIDE, 1)
    return load_first(A.data, at, left, 0.0, 1), load_first(A.data, at + SIDE, left - SIDE, 0.0, 1)


@kernel
def _store_transposed(out: Split, place: int) -> None:
    """The squares in scratch, transposed."""
    for third in range(3):
        square = load_square(out.words, third * SQUARE, SIDE, SIDE, SIDE)
        store_square(out.words, out.at + place + third * out.apart, SIDE, SIDE, SIDE, transposed(square))


@noinline
def left_from_rows(rows: int, depth: int, A: Matrix, out: Split) -> None:
    """A left-hand matrix whose rows are contiguous."""
    for i in range(rows):
        place = out.at + left_place(i, out.pairs)
        for k in range(0, depth, DEEP):
            low, high = _two_columns(A, i, k, rows, depth)
            _store_pairs(out.words, place + k // DEEP * SQUARE, out.apart, low, high)


@noinline
def left_from_columns(rows: int, depth: int, A: Matrix, out: Split) -> None:
    """A left-hand matrix whose columns are contiguous."""
    AT = Matrix(A.data, A.offset, A.column, 1)
    for k in range(0, depth, DEEP):
        for i in range(0, rows, SIDE):
            for pair in range(SIDE):
                low, high = _two_rows(AT, k + pair, SIDE, i, depth, rows)
                _store_pairs(out.words, pair * SIDE, SQUARE, low, high)
            _store_transposed(out, left_place(i, out.pairs) + k // DEEP * SQUARE)


@noinline
def right_from_rows(
    depth: int, columns: int, wide: int, B: Matrix, factor: float, neighbours: bool, out: Split
) -> None:
    """A panel of a right-hand matrix whose rows are contiguous, times the factor. neighbours: whether these are pairs,
    as in rows of bytes."""
    each, later = (2, 1) if neighbours else (1, SIDE)
    for k in range(0, depth, DEEP):
        for j in range(0, wide, SIDE):
            place = out.at + right_place(k // 2, wide) + j * SIDE
            for pair in range(SIDE):
                low, high = _two_rows(B, k + each * pair, later, j, depth, columns)
                _store_pairs(out.words, place + pair * SIDE, out.apart, low * factor, high * factor)


@noinline
def right_from_columns(depth: int, columns: int, wide: int, B: Matrix, out: Split) -> None:
    """The same where columns are contiguous."""
    BT = Matrix(B.data, B.offset, B.column, 1)
    for k in range(0, depth, DEEP):
        for j in range(0, wide, SIDE):
            for column in range(SIDE):
                low, high = _two_columns(BT, j + column, k, columns, depth)
                _store_pairs(out.words, column * SIDE, SQUARE, low, high)
            _store_transposed(out, right_place(k // 2, wide) + j * SIDE)
