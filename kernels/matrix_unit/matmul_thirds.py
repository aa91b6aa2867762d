"""Whole products of float32 matrices on the matrix unit: as matmul.py, by splitting.py and products.py.

Numbers too small for three bfloat16 terms, and those that are not finite, are looked for meanwhile. Where there is one
the product is not right, and whoever calls makes it once more without the unit.
"""

from __future__ import annotations

from ..compiling.compile import Array, entry, kernel, noinline
from ..panels import Matrix, below, panel_width, sum_columns
from ..simd.arithmetic import absolute, multiply_add, sum_lanes, where
from ..simd.partial import load_first, store_first
from ..simd.vectors import full, lanes, load
from ..sync import begin_together, end_together, share
from .instructions import claim_registers, release_registers
from .products import DEEP, SQUARE, TALL, Split, from_row, multiply_thirds
from .splitting import left_from_columns, left_from_rows, pairs_of, right_from_columns, right_from_rows

# Numbers of a left-hand matrix, and the most of its columns, that are split at a time: 0.8 MB of L2.
BLOCK, DEPTH = 1 << 17, 512

# Where in scratch, `words`, a product lies, then some rows of a panel of B, and of A; and how many words there are.
PRODUCT = 3 * SQUARE
RIGHT = PRODUCT + TALL * DEEP
LEFT = RIGHT + 3 * DEEP * DEPTH // 2
WORDS = LEFT + 3 * BLOCK // 2

# From this on all digits of a number are in its thirds: below, the last of them count as zero on the unit.
LEAST = 2.0**-102

# Numbers of a flat array that a thread looks at together.
GRAIN = 1024


@noinline
def _strange(values: Array, t: int, threads: int) -> bool:
    """Whether some of thread t's numbers are not finite, or have digits that the unit does not see."""
    begin, end = share(len(values), GRAIN, t, threads)
    least, lost = full(values, 1.0, 4), full(values, 0.0, 4)
    for i in range(begin, end, 4 * lanes(values)):
        x = absolute(load_first(values, i, end - i, 1.0, 4))
        least = where(x > 0.0, where(x < least, x, least), least)
        lost = multiply_add(0.0, x, lost)  # NaN if x is not finite
    strange: bool = sum_lanes(where(least < LEAST, 1.0, lost)) != 0.0
    return strange


@kernel
def _add_product(rows: int, columns: int, wide: int, words: Array, start: Matrix, C: Matrix) -> None:
    """C = start + the product in scratch."""
    for j in range(0, columns, lanes(words)):
        some = columns - j
        for i in range(rows):
            s = load_first(start.data, start.offset + i * start.row + j, some, 0.0, 1)
            store_first(C.data, C.offset + i * C.row + j, some, s + load(words, PRODUCT + i * wide + j, 1))


@kernel
def _from(A: Matrix, i: int, j: int) -> Matrix:
    """A from row i and column j on."""
    return Matrix(A.data, A.offset + i * A.row + j * A.column, A.row, A.column)


@noinline
def _multiply_block(
    rows: int, columns: int, depth: int, A: Split, B: Matrix, start: Matrix, C: Matrix, words: Array
) -> None:
    """C = start + A @ B for an A that is split; rows or columns of B are contiguous."""
    for n in range(0, columns, DEEP):
        width, wide = min(DEEP, columns - n), panel_width(words, columns - n, DEEP)
        right = Split(words, RIGHT, A.pairs * wide, 0)
        if B.column == 1:
            right_from_rows(depth, width, wide, _from(B, 0, n), 1.0, False, right)
        else:
            right_from_columns(depth, width, wide, _from(B, 0, n), right)
        for top in range(0, rows, TALL):
            tall = min(TALL, rows - top)
            multiply_thirds(tall, wide, 3, from_row(A, top), right, A.pairs, True, words, PRODUCT)
            _add_product(tall, width, wide, words, _from(start, top, n), _from(C, top, n))


@kernel
def _multiply(
    rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix, words: Array
) -> None:
    """C = start + A @ B, where rows or columns of A and B are contiguous, and rows of C."""
    high = BLOCK // (2 * pairs_of(min(depth, DEPTH))) // TALL * TALL
    for i in range(0, rows, high):
        some, s = min(high, rows - i), below(start, i)
        for k in range(0, depth, DEPTH):
            deep = min(DEPTH, depth - k)
            a, left = _from(A, i, k), Split(words, LEFT, high * pairs_of(deep), pairs_of(deep))
            if A.column == 1:
                left_from_rows(some, deep, a, left)
            else:
                left_from_columns(some, deep, a, left)
            _multiply_block(some, columns, deep, left, _from(B, k, 0), s, below(C, i), words)
            s = below(C, i)


@kernel
def _own_part(rows: int, columns: int, t: int, threads: int) -> tuple[int, int, int, int]:
    """Which of so many rows (begin, end) and columns (begin, end) are thread t's: some of what there are more of."""
    if rows > columns:
        top, bottom = share(rows, TALL, t, threads)
        return top, bottom, 0, columns
    n, end = share(columns, DEEP, t, threads)
    return 0, rows, n, end


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
    strange: Array,
    words: Array,
) -> None:
    """Thread t's rows or columns of z = x @ w + b. words (WORDS,): its scratch.
    strange[t]: whether it met numbers for which the product is not right."""
    begin_together(control, t)
    claim_registers(words)
    top, bottom, n, end = _own_part(m, N, t, threads)
    strange[t] = _strange(x, t, threads) or _strange(w, t, threads)
    A, Z = Matrix(x, top * K, K, 1), Matrix(z, top * N + n, N, 1)
    _multiply(bottom - top, end - n, K, A, Matrix(w, n, N, 1), Matrix(b, n, 0, 1), Z, words)
    release_registers(words)
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
    strange: Array,
    words: Array,
) -> None:
    """Thread t's rows or columns of dx = dz @ w.T, its columns of db, and its rows of dw = x.T @ dz.

    zero (max(K, N),) holds zeros; strange and words as for matmul_bias.
    """
    begin_together(control, t)
    claim_registers(words)
    nothing, (top, bottom, k, end) = Matrix(zero, 0, 0, 1), _own_part(m, K, t, threads)
    strange[t] = _strange(dz, t, threads) or _strange(x, t, threads) or _strange(w, t, threads)
    dZ, dX = Matrix(dz, top * N, N, 1), Matrix(dx, top * K + k, K, 1)
    _multiply(bottom - top, end - k, N, dZ, Matrix(w, k * N, 1, N), nothing, dX, words)
    k, end = share(K, TALL, t, threads)
    _multiply(end - k, N, m, Matrix(x, k, 1, K), Matrix(dz, 0, N, 1), nothing, Matrix(dw, k * N, N, 1), words)
    begin, end = share(N, DEEP, t, threads)
    if begin < end:
        sum_columns(m, end - begin, Matrix(dz, begin, N, 1), nothing, db, begin)
    release_registers(words)
    end_together(control, t, threads)
