"""Matrix products on register tiles. Reference: `matmul_bias` and `matmul_bias_backward` in fastnn/reference.py.

M rows of data, K inputs, N outputs: X is (M, K), W is (K, N), Z is (M, N). All three products of a dense layer run on
one tile, and only the strides differ:

    forward   Z[M, N]  = X[M, K]   @ W[K, N] + b
    input     dX[M, K] = dZ[M, N]  @ W.T[N, K]
    weights   dW[K, N] = X.T[K, M] @ dZ[M, N]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .compile import Array, entry, kernel
from .simd import (
    TILE_ROWS,
    full,
    item,
    lanes,
    load,
    load_first,
    load_strided,
    prefetch,
    prefetch_later,
    store,
    store_first,
    store_strided,
)
from .sync import begin_together, end_together, share
from .tiles import (
    inner_products,
    load_square,
    load_tile,
    outer_add,
    row_offsets,
    store_square,
    store_tile,
    transposed,
)

# Rows of B multiplied at a time: 256 x 32 float32 are 32 KB, which stay in L1 while all rows of A pass by.
DEPTH = 256

# So few columns that FEW times as many fit in a register leave most lanes of a tile empty: inner products instead,
# 10,000 rows of 64 float32 in 30 us rather than 170.
FEW = 8

# Rows of A that are brought together where its columns are contiguous, as one narrow tile or two wide ones take them.
STRIP = 2 * TILE_ROWS

# A product of so many columns and inputs is worth copying A, ROWS of its rows and DEEP of its columns at a time, which
# stay in L2; STRIDE apart, because rows that are a power of two apart throw each other out of L1. Then tiles of TALL
# rows, which read less of B for each multiply-add than those of TILE_ROWS, are faster, too.
COPY_COLUMNS, COPY_DEPTH, ROWS, DEEP = 512, 64, 96, 1024
STRIDE = DEEP + 16
TALL = TILE_ROWS * 3 // 2

# From so many rows for each column on, threads share rows and all of them pack W: 0.34 ms for X (1000, 784) @ W
# (784, 64), where each reads half of X, and 0.45 by columns, where each reads all of it.
ROWS_APART = 4

# Other products are made so many rows at a time: X (1000, 10) @ W (10, 784), which is mostly writing, in 0.22 ms, where
# panels of all rows took 0.47.
NEAR_ROWS = 32

# The row stride of a right-hand matrix that lies in panels, see `pack`.
PACKED = 0


class Matrix(NamedTuple):
    """Where a matrix lies in memory: element (i, j) is data.flat[offset + i * row + j * column]."""

    data: Array
    offset: int
    row: int
    column: int


@kernel
def below(A: Matrix, i: int) -> Matrix:
    """A from row i on."""
    return Matrix(A.data, A.offset + i * A.row, A.row, A.column)


def _make_tiles(height: int, registers: int) -> Callable[[int, int, int, int, Matrix, Matrix, Matrix, Matrix], int]:
    @kernel
    def tiles(i: int, rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix) -> int:
        """C = start + A @ B for whole tiles of `height` rows from row i on; returns the first row left over."""
        while i + height <= rows:
            for r in range(i + height, i + 2 * height):  # the next tile of C: 3% of a full batch, 784-64-10
                for j in range(registers):
                    prefetch(C.data, C.offset + r * C.row + j * lanes(C.data))
            acc = load_tile(start.data, start.offset + i * start.row, start.row, columns, height, registers)
            a, b, starts = A.offset + i * A.row, B.offset, row_offsets(A.data, A.row, height)
            if columns == registers * lanes(C.data) or B.row == registers * lanes(C.data):  # or B is filled up
                for _ in range(depth):
                    acc = outer_add(A.data, a, starts, load(B.data, b, registers), acc)
                    a, b = a + A.column, b + B.row
            else:
                for _ in range(depth):
                    acc = outer_add(A.data, a, starts, load_first(B.data, b, columns, 0.0, registers), acc)
                    a, b = a + A.column, b + B.row
            store_tile(C.data, C.offset + i * C.row, C.row, columns, acc)
            i += height
        return i

    return tiles


# 16 accumulators hide the latency of a multiply-add: 8 rows of two registers, 16 rows of one.
_wide, _wide_half, _wide_row = _make_tiles(TILE_ROWS, 2), _make_tiles(TILE_ROWS // 2, 2), _make_tiles(1, 2)
_narrow, _narrow_quarter, _narrow_row = _make_tiles(2 * TILE_ROWS, 1), _make_tiles(TILE_ROWS // 2, 1), _make_tiles(1, 1)


@kernel
def _load_column(A: Matrix, rows: int) -> Any:
    """Its first column, of up to as many rows as a register has lanes."""
    if A.row == 0:
        return full(A.data, item(A.data, A.offset), 1)
    if A.row == 1:
        return load_first(A.data, A.offset, rows, 0.0, 1)
    return load_strided(A.data, A.offset, A.row, rows, 1)


@kernel
def _multiply_few(rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix) -> None:
    """The same for an A with contiguous rows: column by column, as many rows at a time as a register has lanes."""
    width, most = lanes(C.data), 4 * lanes(C.data)
    for j in range(columns):
        s, c = Matrix(start.data, start.offset + j, start.row, 1), Matrix(C.data, C.offset + j, C.row, 1)
        for k in range(0, max(depth, 1), most):
            deep = min(most, depth - k)
            column = load_strided(B.data, B.offset + k * B.row + j, B.row, deep, 4)
            for i in range(0, rows, width):
                high = min(width, rows - i)
                z = _load_column(below(s, i), high)
                z = z + inner_products(A.data, A.offset + i * A.row + k, A.row, high, deep, column)
                if C.row == 1:
                    store_first(C.data, c.offset + i, high, z)
                else:
                    store_strided(C.data, c.offset + i * C.row, C.row, high, z)
            s = c


@kernel
def multiply_panel(rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix) -> None:
    """C = start + A @ B for one panel: up to two registers of columns, any number of rows.

    start may be C itself, to add to what is there, or a bias with row = 0. Rows of B are contiguous.
    """
    if A.column == 1 and columns * FEW <= lanes(C.data):
        _multiply_few(rows, columns, depth, A, B, start, C)
    elif columns > lanes(C.data):
        i = _wide(0, rows, columns, depth, A, B, start, C)
        i = _wide_half(i, rows, columns, depth, A, B, start, C)
        _wide_row(i, rows, columns, depth, A, B, start, C)
    else:
        i = _narrow(0, rows, columns, depth, A, B, start, C)
        i = _narrow_quarter(i, rows, columns, depth, A, B, start, C)
        _narrow_row(i, rows, columns, depth, A, B, start, C)


@kernel
def panel_width(packed: Array, left: int, widest: int) -> int:
    """The width of the panel that begins where `left` columns are left: the fewest registers that hold them."""
    width: int = lanes(packed)
    while width < widest and width < left:
        width *= 2
    return width


@kernel
def pack(depth: int, begin: int, end: int, columns: int, widest: int, B: Matrix, packed: Array, offset: int) -> None:
    """Columns begin..end of B, which has `depth` rows and so many columns, into panels [panel][depth][width], the last
    one filled up with zeros; the panel that begins with column n begins at n * depth."""
    n, width = begin, lanes(packed)
    while n < end:
        wide = panel_width(packed, columns - n, widest)
        for k in range(depth):
            to, source = offset + n * depth + k * wide, B.offset + k * B.row + n
            for j in range(0, wide, width):
                store(packed, to + j, load_first(B.data, source + j, columns - n - j, 0.0, 1))
        n += wide


@kernel
def transpose(rows: int, columns: int, A: Matrix, C: Matrix) -> None:
    """C = A.T, a square of registers after the other. A and C have contiguous rows."""
    width = lanes(C.data)
    for i in range(0, rows, width):
        for j in range(0, columns, width):
            high, wide = min(width, rows - i), min(width, columns - j)
            a, c = A.offset + i * A.row + j, C.offset + j * C.row + i
            if high == width and wide == width:  # without masks 21 ns, with them 29
                square = load_square(A.data, a, A.row, width, width)
                store_square(C.data, c, C.row, width, width, transposed(square))
            else:
                square = load_square(A.data, a, A.row, high, wide)
                store_square(C.data, c, C.row, wide, high, transposed(square))


@kernel
def copy_strip(rows: int, depth: int, A: Matrix, strip: Array, offset: int) -> None:
    """Up to STRIP rows of A, whose columns are contiguous, side by side, as [depth][STRIP]."""
    for k in range(depth):
        prefetch(A.data, A.offset + k * A.column + STRIP)  # the next strip's
        for i in range(0, rows, lanes(strip)):
            x = load_first(A.data, A.offset + k * A.column + i, rows - i, 0.0, 1)
            store_first(strip, offset + k * STRIP + i, rows - i, x)


@kernel
def multiply(rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix) -> None:
    """C = start + A @ B for a B of `depth` rows, as it is or PACKED in panels of two registers."""
    n, widest = 0, 2 * lanes(B.data)
    while n < columns:
        wide = panel_width(B.data, columns - n, widest)
        c = Matrix(C.data, C.offset + n, C.row, 1)
        s = Matrix(start.data, start.offset + n, start.row, 1)
        for k in range(0, max(depth, 1), DEPTH):
            a = Matrix(A.data, A.offset + k * A.column, A.row, A.column)
            b = Matrix(B.data, B.offset + k * B.row + n, B.row, 1)
            if B.row == PACKED:
                b = Matrix(B.data, B.offset + n * depth + k * wide, wide, 1)
            multiply_panel(rows, min(wide, columns - n), min(DEPTH, depth - k), a, b, s, c)
            s = c
        n += wide


@kernel
def _copy_block(rows: int, depth: int, A: Matrix, block: Array) -> None:
    """Up to ROWS rows and DEEP columns of A, rows STRIDE apart."""
    if A.row == 1:
        transpose(depth, rows, Matrix(A.data, A.offset, A.column, 1), Matrix(block, 0, STRIDE, 1))
        return
    for i in range(rows):
        for k in range(0, depth, lanes(block)):
            x = load_first(A.data, A.offset + i * A.row + k, depth - k, 0.0, 1)
            store_first(block, i * STRIDE + k, depth - k, x)


@kernel
def _multiply_tall(
    rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix, ahead: int
) -> int:
    """C = start + A @ B for a panel of two registers and whole tiles of TALL rows; returns the first row left over.

    Meanwhile the next panel comes to L2, from `ahead` on in B.data: 1024 cubed on one thread, 140 to 148 GFLOP/s. If
    there is little to multiply, C itself is asked for: dZ (1000, 64) @ W.T (64, 784), 0.83 to 0.69 ms.
    """
    i, step = 0, TALL * B.row // max(rows, 1)
    while i + TALL <= rows:
        for r in range(i, i + TALL if depth < DEPTH else i):
            for j in range(3):  # a row of C may begin anywhere in a line
                prefetch(C.data, C.offset + r * C.row + j * lanes(C.data))
        acc = load_tile(start.data, start.offset + i * start.row, start.row, columns, TALL, 2)
        a, b, starts = A.offset + i * A.row, B.offset, row_offsets(A.data, A.row, TALL)
        for _ in range(depth):
            prefetch_later(B.data, ahead)
            acc = outer_add(A.data, a, starts, load(B.data, b, 2), acc)
            a, b, ahead = a + A.column, b + B.row, ahead + step
        store_tile(C.data, C.offset + i * C.row, C.row, columns, acc)
        i += TALL
    return i


@kernel
def _multiply_blocks(
    rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix, block: Array
) -> None:
    """The same for a large PACKED B. block: scratch of ROWS * STRIDE numbers."""
    widest, a = 2 * lanes(B.data), Matrix(block, 0, STRIDE, 1)
    for i in range(0, rows, ROWS):
        high = min(ROWS, rows - i)
        for k in range(0, max(depth, 1), DEEP):
            deep, n = min(DEEP, depth - k), 0
            _copy_block(high, deep, Matrix(A.data, A.offset + i * A.row + k * A.column, A.row, A.column), block)
            while n < columns:
                wide = panel_width(B.data, columns - n, widest)
                width, done = min(wide, columns - n), 0
                b = Matrix(B.data, B.offset + n * depth + k * wide, wide, 1)
                c = Matrix(C.data, C.offset + i * C.row + n, C.row, 1)
                s = c
                if k == 0:
                    s = Matrix(start.data, start.offset + i * start.row + n, start.row, 1)
                if wide == widest:
                    done = _multiply_tall(high, width, deep, a, b, s, c, b.offset + wide * depth)
                multiply_panel(high - done, width, deep, below(a, done), b, below(s, done), below(c, done))
                n += wide


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


@kernel
def _multiply_any(
    rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix, block: Array
) -> None:
    copied = columns >= COPY_COLUMNS and depth >= COPY_DEPTH
    if A.column != 1:
        copied = columns > 2 * lanes(B.data)  # or every number of A is read but once
    if copied and B.row == PACKED:
        _multiply_blocks(rows, columns, depth, A, B, start, C, block)
        return
    for i in range(0, rows, NEAR_ROWS):
        multiply(min(NEAR_ROWS, rows - i), columns, depth, below(A, i), B, below(start, i), below(C, i))


@entry
def matmul_bias(
    t: int,
    threads: int,
    control: Array,
    x: Array,
    w: Array,
    b: Array,
    z: Array,
    m: int,
    K: int,
    N: int,
    packed: Array,
    block: Array,
) -> None:
    """Thread t's part of z = x @ w + b: some of its columns, or of its rows where columns are few. packed and block are
    scratch of its own, packed for w, or empty if that is not worth it."""
    begin_together(control, t)
    W, widest = Matrix(w, 0, N, 1), 2 * lanes(w)
    top, bottom, n, end = 0, m, 0, N
    if len(packed) > 0 and m < ROWS_APART * N and (threads - 1) * widest < N:
        n, end = share(N, widest, t, threads)
    else:
        top, bottom = share(m, STRIP, t, threads)
    if len(packed) > 0:
        # No thread needs what another one has packed: 25 us to get half of W from another core's cache.
        pack(K, n, end, N, widest, W, packed, 0)
        W = Matrix(packed, n * K, PACKED, 1)
    A, Z = Matrix(x, top * K, K, 1), Matrix(z, top * N + n, N, 1)
    _multiply_any(bottom - top, end - n, K, A, W, Matrix(b, n, 0, 1), Z, block)
    end_together(control, t, threads)


@entry
def matmul_bias_backward(
    t: int,
    threads: int,
    control: Array,
    dz: Array,
    x: Array,
    w: Array,
    zero: Array,
    dx: Array,
    dw: Array,
    db: Array,
    m: int,
    K: int,
    N: int,
    packed: Array,
    block: Array,
) -> None:
    """Thread t's columns or rows of dx = dz @ w.T, its columns of db, and its rows of dw = x.T @ dz.

    zero (max(K, N),) holds zeros; packed and block are scratch of its own, packed for its part of w.T, then for dz.
    """
    begin_together(control, t)
    nothing, widest = Matrix(zero, 0, 0, 1), 2 * lanes(w)
    top, bottom, begin, end = 0, m, 0, K
    if m < K:
        begin, end = share(K, widest, t, threads)
    else:
        top, bottom = share(m, STRIP, t, threads)
    for k in range(begin, end, widest):
        wide = panel_width(w, K - k, widest)
        panel = Matrix(packed, (k - begin) * N, wide, 1)
        transpose(min(wide, K - k), N, Matrix(w, k * N, N, 1), panel)
    WT, dX = Matrix(packed, 0, PACKED, 1), Matrix(dx, top * K + begin, K, 1)
    _multiply_any(bottom - top, end - begin, N, Matrix(dz, top * N, N, 1), WT, nothing, dX, block)
    begin, end = share(K, STRIP, t, threads)
    if begin < end:
        pack(m, 0, N, N, widest, Matrix(dz, 0, N, 1), packed, 0)
        dW = Matrix(dw, begin * N, N, 1)
        _multiply_any(end - begin, N, m, Matrix(x, begin, 1, K), Matrix(packed, 0, PACKED, 1), nothing, dW, block)
    begin, end = share(N, widest, t, threads)
    if begin < end:
        sum_columns(m, end - begin, Matrix(dz, begin, N, 1), nothing, db, begin)
    end_together(control, t, threads)
