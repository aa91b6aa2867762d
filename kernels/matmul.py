"""Matrix products on register tiles. Reference: `matmul_bias` and `matmul_bias_backward` in fastnn/reference.py.

M rows of data, K inputs, N outputs: X is (M, K), W is (K, N), Z is (M, N). All three products of a dense layer run on
one tile, and only the strides differ:

    forward   Z[M, N]  = X[M, K]   @ W[K, N] + b
    input     dX[M, K] = dZ[M, N]  @ W.T[N, K]
    weights   dW[K, N] = X.T[K, M] @ dZ[M, N]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .compile import Array, entry, kernel
from .simd import (
    REGISTER_BYTES,
    TILE_ROWS,
    lanes,
    load,
    load_first,
    load_square,
    load_tile,
    outer_add,
    prefetch_tile,
    store,
    store_first,
    store_square,
    store_tile,
    transposed,
)

# Rows of B multiplied at a time: 256 x 32 float32 are 32 KB, which stay in L1 while all rows of A pass by.
DEPTH = 256

# From this many rows of A on, a block of B is copied together before its use: for 32 rows the copy costs 12%.
COPY_ROWS = 64

# From this many columns on A is copied together, too, ROWS of its rows at a time: rows that are a power of two apart
# throw each other out of the cache. 1024 cubed on one thread: 114 GFLOP/s without, 140 with.
COPY_COLUMNS, ROWS = 512, 512

# The column stride of a matrix that lies in strips, [strip][depth][height]: a tile's rows are next to each other.
STRIPS = 0
STRIP_REGISTERS = -(-TILE_ROWS * 8 // REGISTER_BYTES)  # that hold a strip's rows, of float64 too


class Matrix(NamedTuple):
    """Where a matrix lies in memory: element (i, j) is data.flat[offset + i * row + j * column]."""

    data: Array
    offset: int
    row: int
    column: int


def _make_tiles(height: int, registers: int) -> Callable[[int, int, int, int, Matrix, Matrix, Matrix, Matrix], int]:
    @kernel
    def tiles(i: int, rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix) -> int:
        """C = start + A @ B for whole tiles of `height` rows from row i on; returns the first row left over."""
        near, step = (1, height) if A.column == STRIPS else (A.row, A.column)
        while i + height <= rows:
            # Where C is large, its next tile comes from L3 meanwhile: 144 to 148 GFLOP/s for 1024 cubed.
            prefetch_tile(C.data, C.offset + (i + height) * C.row, C.row, height, registers)
            acc = load_tile(start.data, start.offset + i * start.row, start.row, columns, height, registers)
            a, b = A.offset + i * A.row, B.offset
            if columns == registers * lanes(C.data):
                for _ in range(depth):
                    acc = outer_add(A.data, a, near, load(B.data, b, registers), acc)
                    a, b = a + step, b + B.row
            else:
                for _ in range(depth):
                    acc = outer_add(A.data, a, near, load_first(B.data, b, columns, 0.0, registers), acc)
                    a, b = a + step, b + B.row
            store_tile(C.data, C.offset + i * C.row, C.row, columns, acc)
            i += height
        return i

    return tiles


# 16 accumulators hide the latency of a multiply-add: 8 rows of two registers, 16 rows of one.
_wide, _wide_half, _wide_row = _make_tiles(TILE_ROWS, 2), _make_tiles(TILE_ROWS // 2, 2), _make_tiles(1, 2)
_narrow, _narrow_quarter, _narrow_row = _make_tiles(2 * TILE_ROWS, 1), _make_tiles(TILE_ROWS // 2, 1), _make_tiles(1, 1)


def block_size(itemsize: int) -> int:
    """How many numbers of scratch `multiply` needs: a block of B, and one of A."""
    return DEPTH * (2 * REGISTER_BYTES // itemsize + ROWS)


@kernel
def multiply_panel(rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix) -> None:
    """C = start + A @ B for one panel: up to two registers of columns, any number of rows.

    start may be C itself, to add to what is there, or a bias with row = 0. Rows of B are contiguous.
    """
    if columns > lanes(C.data):
        i = _wide(0, rows, columns, depth, A, B, start, C)
        i = _wide_half(i, rows, columns, depth, A, B, start, C)
        _wide_row(i, rows, columns, depth, A, B, start, C)
    else:
        i = _narrow(0, rows, columns, depth, A, B, start, C)
        i = _narrow_quarter(i, rows, columns, depth, A, B, start, C)
        _narrow_row(i, rows, columns, depth, A, B, start, C)


@kernel
def _copy_block(B: Matrix, rows: int, columns: int, block: Array) -> Matrix:
    """The block of B, row after row, two registers apart."""
    width = 2 * lanes(block)
    for k in range(rows):
        store(block, k * width, load_first(B.data, B.offset + k * B.row, columns, 0.0, 2))
    return Matrix(block, 0, width, 1)


@kernel
def transpose(rows: int, columns: int, A: Matrix, C: Matrix) -> None:
    """C = A.T, a square of registers after the other. A and C have contiguous rows."""
    width = lanes(C.data)
    for i in range(0, rows, width):
        for j in range(0, columns, width):
            high, wide = min(width, rows - i), min(width, columns - j)
            square = load_square(A.data, A.offset + i * A.row + j, A.row, high, wide)
            store_square(C.data, C.offset + j * C.row + i, C.row, wide, high, transposed(square))


@kernel
def _copy_strips(rows: int, depth: int, A: Matrix, block: Array, offset: int) -> Matrix:
    """A block of A in strips of as many rows as the wide tiles take, the largest first."""
    i = 0
    while i < rows:
        left = rows - i
        height = TILE_ROWS if left >= TILE_ROWS else TILE_ROWS // 2 if left >= TILE_ROWS // 2 else 1
        at, source = offset + i * depth, A.offset + i * A.row
        if A.column == 1:
            transpose(height, depth, Matrix(A.data, source, A.row, 1), Matrix(block, at, height, 1))
        else:
            for k in range(depth):
                row = load_first(A.data, source + k * A.column, height, 0.0, STRIP_REGISTERS)
                store_first(block, at + k * height, height, row)
        i += height
    return Matrix(block, offset, depth, STRIPS)


@kernel
def _multiply_strips(
    rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix, block: Array
) -> None:
    """C = start + A @ B for a block of up to ROWS rows of A and DEPTH rows of B. block: scratch."""
    width = 2 * lanes(C.data)
    strips = _copy_strips(rows, depth, A, block, DEPTH * width)
    for n in range(0, columns, width):
        taken = min(width, columns - n)
        b = _copy_block(Matrix(B.data, B.offset + n, B.row, 1), depth, taken, block)
        s = Matrix(start.data, start.offset + n, start.row, 1)
        c = Matrix(C.data, C.offset + n, C.row, 1)
        i = _wide(0, rows, taken, depth, strips, b, s, c)
        i = _wide_half(i, rows, taken, depth, strips, b, s, c)
        _wide_row(i, rows, taken, depth, strips, b, s, c)


@kernel
def multiply(rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix, block: Array) -> None:
    """C = start + A @ B for matrices of any size. block: scratch of `block_size` numbers."""
    width = 2 * lanes(C.data)
    copied = rows >= COPY_ROWS and (columns >= COPY_COLUMNS or A.column != 1)
    high, wide = (ROWS, columns) if copied else (rows, width)
    for i in range(0, rows, max(high, 1)):
        for n in range(0, columns, wide):
            s = Matrix(start.data, start.offset + i * start.row + n, start.row, 1)
            c = Matrix(C.data, C.offset + i * C.row + n, C.row, 1)
            taken, count = min(wide, columns - n), min(high, rows - i)
            for k in range(0, max(depth, 1), DEPTH):
                deep = min(DEPTH, depth - k)
                a = Matrix(A.data, A.offset + i * A.row + k * A.column, A.row, A.column)
                b = Matrix(B.data, B.offset + k * B.row + n, B.row, 1)
                if copied:
                    _multiply_strips(count, taken, deep, a, b, s, c, block)
                elif rows >= COPY_ROWS:
                    multiply_panel(count, taken, deep, a, _copy_block(b, deep, taken, block), s, c)
                else:
                    multiply_panel(count, taken, deep, a, b, s, c)
                s = c


@kernel
def sum_columns(rows: int, columns: int, A: Matrix, start: Matrix, out: Array, out0: int) -> None:
    """out = start + the sum of A's rows, column by column; start as for multiply_panel, with row = 0."""
    width = lanes(out)
    for n in range(0, columns, width):
        count = min(width, columns - n)
        total = load_first(start.data, start.offset + n, count, 0.0, 1)
        for i in range(rows):
            total = total + load_first(A.data, A.offset + i * A.row + n, count, 0.0, 1)
        store_first(out, out0 + n, count, total)


@entry
def matmul_bias(x: Array, w: Array, b: Array, z: Array, K: int, N: int, begin: int, end: int, block: Array) -> None:
    """z[begin:end] = x[begin:end] @ w + b. block: scratch, for each thread its own."""
    A, C = Matrix(x, begin * K, K, 1), Matrix(z, begin * N, N, 1)
    multiply(end - begin, N, K, A, Matrix(w, 0, N, 1), Matrix(b, 0, 0, 1), C, block)


@entry
def matmul_bias_backward_input(
    dz: Array, wt: Array, zero: Array, dx: Array, K: int, N: int, begin: int, end: int, block: Array
) -> None:
    """dx[begin:end] = dz[begin:end] @ w.T. wt (N, K) is W transposed, zero (K,) holds zeros."""
    A, C = Matrix(dz, begin * N, N, 1), Matrix(dx, begin * K, K, 1)
    multiply(end - begin, K, N, A, Matrix(wt, 0, K, 1), Matrix(zero, 0, 0, 1), C, block)


@entry
def transpose_matrix(w: Array, wt: Array, K: int, N: int) -> None:
    """wt (N, K) = w.T."""
    transpose(K, N, Matrix(w, 0, N, 1), Matrix(wt, 0, K, 1))


@entry
def matmul_bias_backward_weights(
    dz: Array, x: Array, zero: Array, dw: Array, M: int, K: int, N: int, begin: int, end: int, block: Array
) -> None:
    """dw[begin:end] = (x.T @ dz)[begin:end], rows of W. zero (N,) holds zeros."""
    A, C = Matrix(x, begin, 1, K), Matrix(dw, begin * N, N, 1)
    multiply(end - begin, N, M, A, Matrix(dz, 0, N, 1), Matrix(zero, 0, 0, 1), C, block)


@entry
def matmul_bias_backward_bias(dz: Array, zero: Array, db: Array, M: int, N: int) -> None:
    """db = sum of dz over its rows. zero (N,) holds zeros."""
    sum_columns(M, N, Matrix(dz, 0, N, 1), Matrix(zero, 0, 0, 1), db, 0)
