"""Products on the matrix unit. See splitting.py for what the matrices are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .compile import Array, kernel, noinline
from .matrix_unit import SIDE, clear_sums, load_register, multiply_registers, store_register

# Words of a register.
SQUARE = SIDE * SIDE

# Rows of a left-hand matrix that are multiplied together: four registers of one column of them, or twice two of two.
TALL = 64

# Numbers of a row that a register takes, and columns of the widest panel.
DEEP = 2 * SIDE


class Split(NamedTuple):
    """A matrix, or some of its rows and pairs of columns, in words: where it begins, how far its terms are apart, and,
    of a left-hand one, how many pairs a row has."""

    words: Array
    at: int
    apart: int
    pairs: int


@kernel
def from_row(A: Split, i: int) -> Split:
    """A left-hand matrix from row i on, the first of a register."""
    return Split(A.words, A.at + i * A.pairs, A.apart, A.pairs)


@kernel
def from_pair(A: Split, pair: int) -> Split:
    """A left-hand matrix from this pair of columns on, the first of a register."""
    return Split(A.words, A.at + pair * SIDE, A.apart, A.pairs)


def make_multiply(meanwhile: Callable[[Any, int, int], None]) -> Callable[..., None]:
    """A product as `multiply_thirds`, and meanwhile some work on `count` registers, for instructions of the matrix unit
    leave the rest of a core idle: after every four of them meanwhile(work, done, each) does some more, of which `done`
    are done. The unit's next instructions are within the core's sight only if those are few."""

    @kernel
    def wide_part(
        terms: int,
        A: Split,
        B: Split,
        pairs: int,
        fresh: bool,
        out: Array,
        to: int,
        work: Any,
        count: int,
        done: int,
        each: int,
    ) -> int:
        """Half of TALL rows and a panel of two registers; returns how much of the work is done."""
        low = to + DEEP * SIDE
        if fresh:
            clear_sums(out)
        else:
            load_register(out, to, DEEP, 0)
            load_register(out, to + SIDE, DEEP, 1)
            load_register(out, low, DEEP, 2)
            load_register(out, low + SIDE, DEEP, 3)
        for pair in range(0, pairs, SIDE):
            for term in range(terms):
                left = A.at + term * A.apart + pair * SIDE
                load_register(A.words, left, SIDE, 4)
                load_register(A.words, left + A.pairs * SIDE, SIDE, 5)
                for third in range(3 - term):
                    right = B.at + third * B.apart + pair * DEEP
                    load_register(B.words, right, SIDE, 6)
                    load_register(B.words, right + SQUARE, SIDE, 7)
                    multiply_registers(out, 0, 4, 6)
                    multiply_registers(out, 1, 4, 7)
                    multiply_registers(out, 2, 5, 6)
                    multiply_registers(out, 3, 5, 7)
                    if done < count:
                        meanwhile(work, done, min(each, count - done))
                        done += each
        store_register(out, to, DEEP, 0)
        store_register(out, to + SIDE, DEEP, 1)
        store_register(out, low, DEEP, 2)
        store_register(out, low + SIDE, DEEP, 3)
        return done

    @kernel
    def narrow_part(
        terms: int,
        A: Split,
        B: Split,
        pairs: int,
        fresh: bool,
        out: Array,
        to: int,
        work: Any,
        count: int,
        done: int,
        each: int,
    ) -> int:
        """All TALL rows and a panel of one register."""
        if fresh:
            clear_sums(out)
        else:
            load_register(out, to, SIDE, 0)
            load_register(out, to + SQUARE, SIDE, 1)
            load_register(out, to + 2 * SQUARE, SIDE, 2)
            load_register(out, to + 3 * SQUARE, SIDE, 3)
        for pair in range(0, pairs, SIDE):
            for term in range(terms):
                left = A.at + term * A.apart + pair * SIDE
                for third in range(3 - term):
                    load_register(B.words, B.at + third * B.apart + pair * SIDE, SIDE, 6)
                    load_register(A.words, left, SIDE, 4)
                    multiply_registers(out, 0, 4, 6)
                    load_register(A.words, left + A.pairs * SIDE, SIDE, 5)
                    multiply_registers(out, 1, 5, 6)
                    load_register(A.words, left + 2 * A.pairs * SIDE, SIDE, 4)
                    multiply_registers(out, 2, 4, 6)
                    load_register(A.words, left + 3 * A.pairs * SIDE, SIDE, 5)
                    multiply_registers(out, 3, 5, 6)
                    if done < count:
                        meanwhile(work, done, min(each, count - done))
                        done += each
        store_register(out, to, SIDE, 0)
        store_register(out, to + SQUARE, SIDE, 1)
        store_register(out, to + 2 * SQUARE, SIDE, 2)
        store_register(out, to + 3 * SQUARE, SIDE, 3)
        return done

    @kernel
    def multiply(
        rows: int,
        wide: int,
        terms: int,
        A: Split,
        B: Split,
        pairs: int,
        fresh: bool,
        out: Array,
        to: int,
        work: Any,
        count: int,
    ) -> None:
        done, step = 0, TALL if wide == SIDE else DEEP
        fours = (rows + step - 1) // step * (pairs // SIDE) * (terms * (7 - terms) // 2)
        each = (count + fours - 1) // fours
        for i in range(0, rows, step):
            if wide == SIDE:
                done = narrow_part(terms, from_row(A, i), B, pairs, fresh, out, to + i * wide, work, count, done, each)
            else:
                done = wide_part(terms, from_row(A, i), B, pairs, fresh, out, to + i * wide, work, count, done, each)
        if done < count:
            meanwhile(work, done, count - done)

    return multiply


@kernel
def _nothing(work: Any, done: int, each: int) -> None:
    """Meanwhile."""


_multiply = make_multiply(_nothing)


@noinline
def multiply_thirds(
    rows: int, wide: int, terms: int, A: Split, B: Split, pairs: int, fresh: bool, out: Array, to: int
) -> None:
    """out + A @ B, or A @ B if `fresh`, as [row][wide], for an A of so many rows, the sum of so many terms, and a panel
    of B in thirds, so many pairs deep. More rows may be read and written, up to a multiple of TALL, which hold
    anything."""
    _multiply(rows, wide, terms, A, B, pairs, fresh, out, to, 0, 0)
