"""Products on the matrix unit. See splitting.py for what the matrices are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..compiling.compile import Array, kernel, noinline
from .instructions import SIDE, clear_sums, load_register, multiply_registers, store_register

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
        # Four sums at a time: of 64 rows and a panel of one register, or of half as many and of two.
        two, step = wide > SIDE, TALL * SIDE // wide
        fours = (rows + step - 1) // step * (pairs // SIDE) * (terms * (7 - terms) // 2)
        done, each = 0, (count + fours - 1) // fours
        second, third = (SIDE, DEEP * SIDE) if two else (SQUARE, 2 * SQUARE)
        for c in range(to, to + rows * wide, step * wide):
            if fresh:
                clear_sums(out)
            else:
                load_register(out, c, wide, 0)
                load_register(out, c + second, wide, 1)
                load_register(out, c + third, wide, 2)
                load_register(out, c + third + second, wide, 3)
            row = A.pairs * ((c - to) // wide)
            for pair in range(0, pairs, SIDE):
                for term in range(terms):
                    left = A.at + row + term * A.apart + pair * SIDE
                    load_register(A.words, left, SIDE, 4)
                    load_register(A.words, left + A.pairs * SIDE, SIDE, 5)
                    for part in range(3 - term):
                        right = B.at + part * B.apart + pair * wide
                        load_register(B.words, right, SIDE, 6)
                        if two:
                            load_register(B.words, right + SQUARE, SIDE, 7)
                            multiply_registers(out, 0, 4, 6)
                            multiply_registers(out, 1, 4, 7)
                            multiply_registers(out, 2, 5, 6)
                            multiply_registers(out, 3, 5, 7)
                        else:
                            multiply_registers(out, 0, 4, 6)
                            load_register(A.words, left + 2 * A.pairs * SIDE, SIDE, 7)
                            multiply_registers(out, 1, 5, 6)
                            multiply_registers(out, 2, 7, 6)
                            load_register(A.words, left + 3 * A.pairs * SIDE, SIDE, 7)
                            multiply_registers(out, 3, 7, 6)
                        if done < count:
                            meanwhile(work, done, min(each, count - done))
                            done += each
            store_register(out, c, wide, 0)
            store_register(out, c + second, wide, 1)
            store_register(out, c + third, wide, 2)
            store_register(out, c + third + second, wide, 3)
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
