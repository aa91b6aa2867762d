"""Whole matrix products, of any size. Reference: `matmul_bias` and `matmul_bias_backward` in fastnn/reference.py."""

from __future__ import annotations

from .compiling.compile import Array, entry, kernel
from .panels import (
    DEPTH,
    PACKED,
    STRIP,
    TALLEST,
    Matrix,
    are_few,
    below,
    flipped,
    multiply,
    multiply_few,
    multiply_panel,
    pack,
    panel_width,
    rightwards,
    rows_of_tall,
    sum_columns,
    transpose,
)
from .simd.partial import load_first, store_first
from .simd.vectors import lanes, load, prefetch, prefetch_later
from .sync import begin_together, end_together, share
from .tiles import load_tile, outer_add, row_offsets, store_tile

# A product of so many columns and inputs is worth copying A, ROWS of its rows and DEEP of its columns at a time, which
# stay in L2; STRIDE apart, because rows that are a power of two apart throw each other out of L1.
COPY_COLUMNS, COPY_DEPTH, ROWS, DEEP = 512, 64, 96, 1024
STRIDE = DEEP + 16

# From so many rows for each column on, threads share rows and all of them pack W: 0.34 ms for X (1000, 784) @ W
# (784, 64), where each reads half of X, and 0.45 by columns, where each reads all of it.
ROWS_APART = 4

# Products without panels are made so many rows at a time: X (1000, 10) @ W (10, 784), which is mostly writing, in 0.22
# ms, where panels of all rows took 0.47.
NEAR_ROWS = 32


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
def _pack_panel(depth: int, columns: int, wide: int, B: Matrix, panel: Matrix) -> None:
    """The first of so many columns of B, [depth][wide]."""
    if B.column == 1:
        pack(depth, 0, 1, columns, wide, B, panel.data, panel.offset)
    else:
        transpose(min(wide, columns), depth, flipped(B), panel)


@kernel
def _multiply_tall(
    rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix, ahead: int
) -> int:
    """C = start + A @ B for a panel of two registers and whole tiles of TALLEST contiguous rows of A; returns the first
    row left over. Four inputs a turn: 87 instructions for 48 multiply-adds, where one takes 25 for 12.

    Meanwhile the next panel comes to L2, from `ahead` on in B.data: 1024 cubed on one thread, 140 to 148 GFLOP/s. If
    there is little to multiply, C itself is asked for: dZ (1000, 64) @ W.T (64, 784), 0.83 to 0.69 ms.
    """
    wide, i = 2 * lanes(B.data), 0
    step = -(-4 * TALLEST * wide // max(rows, 1))
    while i + TALLEST <= rows_of_tall(rows):
        for r in range(i, i + TALLEST if depth < DEPTH else i):
            for j in range(3):  # a row of C may begin anywhere in a line
                prefetch(C.data, C.offset + r * C.row + j * lanes(C.data))
        acc = load_tile(start.data, start.offset + i * start.row, start.row, columns, TALLEST, 2)
        a, b, starts = A.offset + i * A.row, B.offset, row_offsets(A.data, A.row, TALLEST)
        for _ in range(depth // 4):
            prefetch_later(B.data, ahead)
            acc = outer_add(A.data, a, starts, load(B.data, b, 2), acc)
            acc = outer_add(A.data, a + 1, starts, load(B.data, b + wide, 2), acc)
            acc = outer_add(A.data, a + 2, starts, load(B.data, b + 2 * wide, 2), acc)
            acc = outer_add(A.data, a + 3, starts, load(B.data, b + 3 * wide, 2), acc)
            a, b, ahead = a + 4, b + 4 * wide, ahead + step
        for _ in range(depth % 4):
            acc = outer_add(A.data, a, starts, load(B.data, b, 2), acc)
            a, b = a + 1, b + wide
        store_tile(C.data, C.offset + i * C.row, C.row, columns, acc)
        i += TALLEST
    return i


@kernel
def _multiply_blocks(
    rows: int,
    columns: int,
    depth: int,
    A: Matrix,
    B: Matrix,
    start: Matrix,
    C: Matrix,
    packed: Array,
    block: Array,
) -> None:
    """The same for any number of columns and rows. packed: scratch for B in panels; block: scratch of ROWS * STRIDE
    numbers for an A that is worth copying.

    A panel is packed where it is first used, and is still in L1 or L2 then: 64 rows, 784-128, 0.9 of the time. One that
    no other rows need gives its place to the next: 0.97. Where A is copied all are packed before, or 1024 cubed takes
    3% longer.
    """
    widest, copied = 2 * lanes(packed), A.column != 1 or (columns >= COPY_COLUMNS and depth >= COPY_DEPTH)
    kept = copied or rows > ROWS
    if copied:
        for n in range(0, columns, widest):
            wide = panel_width(packed, columns - n, widest)
            _pack_panel(depth, columns - n, wide, rightwards(B, n), Matrix(packed, n * depth, wide, 1))
    for i in range(0, rows, ROWS):
        high = min(ROWS, rows - i)
        for k in range(0, max(depth, 1), DEEP):
            deep, n = min(DEEP, depth - k), 0
            a = Matrix(A.data, A.offset + i * A.row + k * A.column, A.row, 1)
            if copied:
                _copy_block(high, deep, Matrix(A.data, a.offset, A.row, A.column), block)
                a = Matrix(block, 0, STRIDE, 1)
            while n < columns:
                wide, done = panel_width(packed, columns - n, widest), 0
                place = n * depth if kept else 0
                width, b = min(wide, columns - n), Matrix(packed, place + k * wide, wide, 1)
                if i == 0 and not copied:
                    _pack_panel(deep, columns - n, wide, rightwards(below(B, k), n), b)
                c = Matrix(C.data, C.offset + i * C.row + n, C.row, 1)
                s = c
                if k == 0:
                    s = Matrix(start.data, start.offset + i * start.row + n, start.row, 1)
                if wide == widest:
                    done = _multiply_tall(high, width, deep, a, b, s, c, b.offset + wide * depth)
                multiply_panel(high - done, width, deep, below(a, done), b, below(s, done), below(c, done))
                n += wide


@kernel
def _multiply_shallow(rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix) -> None:
    """The same for a packed B of one panel and an A whose columns are contiguous: a few of its columns at a time, all
    rows of them, which lie side by side in memory: X.T (784, 1000) @ dZ (1000, 10) in 0.25 ms, not 0.43."""
    wide, shallow, s = panel_width(B.data, columns, 2 * lanes(B.data)), 4 * lanes(B.data), start
    for k in range(0, max(depth, 1), shallow):
        a, b = Matrix(A.data, A.offset + k * A.column, A.row, A.column), Matrix(B.data, B.offset + k * wide, wide, 1)
        multiply_panel(rows, columns, min(shallow, depth - k), a, b, s, C)
        s = C


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
    widest = 2 * lanes(w)
    top, bottom, n, end = 0, m, 0, N
    if len(packed) > 0 and m < ROWS_APART * N and (threads - 1) * widest < N:
        n, end = share(N, widest, t, threads)
    else:
        top, bottom = share(m, STRIP, t, threads)
    rows, columns, W = bottom - top, end - n, Matrix(w, n, N, 1)
    A, bias, Z = Matrix(x, top * K, K, 1), Matrix(b, n, 0, 1), Matrix(z, top * N + n, N, 1)
    if are_few(N, w):
        multiply_few(rows, columns, K, A, W, bias, Z)
    elif len(packed) > 0:
        # No thread needs what another one has packed: 25 us to get half of W from another core's cache.
        _multiply_blocks(rows, columns, K, A, W, bias, Z, packed, block)
    else:
        for i in range(0, rows, NEAR_ROWS):
            multiply(min(NEAR_ROWS, rows - i), columns, K, below(A, i), W, bias, below(Z, i))
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
    WT, dX = Matrix(w, begin * N, 1, N), Matrix(dx, top * K + begin, K, 1)
    _multiply_blocks(bottom - top, end - begin, N, Matrix(dz, top * N, N, 1), WT, nothing, dX, packed, block)
    begin, end = share(K, STRIP, t, threads)
    if begin < end:
        XT, dZ, dW = Matrix(x, begin, 1, K), Matrix(dz, 0, N, 1), Matrix(dw, begin * N, N, 1)
        if widest >= N:  # every number of X is read but once
            pack(m, 0, N, N, widest, dZ, packed, 0)
            _multiply_shallow(end - begin, N, m, XT, Matrix(packed, 0, PACKED, 1), nothing, dW)
        else:
            _multiply_blocks(end - begin, N, m, XT, dZ, nothing, dW, packed, block)
    begin, end = share(N, widest, t, threads)
    if begin < end:
        sum_columns(m, end - begin, Matrix(dz, begin, N, 1), nothing, db, begin)
    end_together(control, t, threads)
