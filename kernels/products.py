"""Products of a few rows and a panel on the matrix unit. See thirds.py for what the matrices are."""

from __future__ import annotations

from .compile import Array, kernel, noinline
from .matrix_unit import SIDE, clear_sums, load_register, multiply_registers, store_register

# Words of a register.
SQUARE = SIDE * SIDE

# Rows of a left-hand matrix that are multiplied together: four registers of one column of them, or twice two of two.
TALL = 64

# Numbers of a row that a register takes, and columns of the widest panel.
DEEP = 2 * SIDE


@kernel
def _multiply_wide(
    terms: int, A: Array, a: int, A_apart: int, B: Array, b: int, apart: int, pairs: int, out: Array, to: int
) -> None:
    """Half of TALL rows and a panel of two registers."""
    clear_sums(out)
    for pair in range(0, pairs, SIDE):
        for term in range(terms):
            left = a + term * A_apart + pair * SIDE
            load_register(A, left, SIDE, 4)
            load_register(A, left + pairs * SIDE, SIDE, 5)
            for third in range(3 - term):
                right = b + third * apart + pair * DEEP
                load_register(B, right, SIDE, 6)
                load_register(B, right + SQUARE, SIDE, 7)
                multiply_registers(out, 0, 4, 6)
                multiply_registers(out, 1, 4, 7)
                multiply_registers(out, 2, 5, 6)
                multiply_registers(out, 3, 5, 7)
    store_register(out, to, DEEP, 0)
    store_register(out, to + SIDE, DEEP, 1)
    store_register(out, to + DEEP * SIDE, DEEP, 2)
    store_register(out, to + DEEP * SIDE + SIDE, DEEP, 3)


@kernel
def _multiply_narrow(
    terms: int, A: Array, a: int, A_apart: int, B: Array, b: int, apart: int, pairs: int, out: Array, to: int
) -> None:
    """All TALL rows and a panel of one register."""
    clear_sums(out)
    for pair in range(0, pairs, SIDE):
        for term in range(terms):
            left = a + term * A_apart + pair * SIDE
            for third in range(3 - term):
                load_register(B, b + third * apart + pair * SIDE, SIDE, 6)
                load_register(A, left, SIDE, 4)
                multiply_registers(out, 0, 4, 6)
                load_register(A, left + pairs * SIDE, SIDE, 5)
                multiply_registers(out, 1, 5, 6)
                load_register(A, left + 2 * pairs * SIDE, SIDE, 4)
                multiply_registers(out, 2, 4, 6)
                load_register(A, left + 3 * pairs * SIDE, SIDE, 5)
                multiply_registers(out, 3, 5, 6)
    store_register(out, to, SIDE, 0)
    store_register(out, to + SQUARE, SIDE, 1)
    store_register(out, to + 2 * SQUARE, SIDE, 2)
    store_register(out, to + 3 * SQUARE, SIDE, 3)


@noinline
def multiply_thirds(
    rows: int,
    wide: int,
    terms: int,
    A: Array,
    a: int,
    A_apart: int,
    B: Array,
    b: int,
    apart: int,
    pairs: int,
    out: Array,
    to: int,
) -> None:
    """Up to TALL rows, as [row][wide], of A from `a` on, the sum of so many terms, A_apart apart, times a panel of B's
    thirds from b on, `apart` apart, so many pairs deep. More rows may be read and written, up to TALL, which hold
    anything."""
    if wide == SIDE:
        _multiply_narrow(terms, A, a, A_apart, B, b, apart, pairs, out, to)
        return
    for i in range(0, rows, DEEP):
        _multiply_wide(terms, A, a + i * pairs, A_apart, B, b, apart, pairs, out, to + i * wide)
