"""Matrix products on register tiles, panel by panel of the right-hand matrix.

All three products of a dense layer run on one tile, and only the strides differ. M rows of data, K inputs, N outputs: X
is (M, K), W is (K, N), Z is (M, N).

    forward   Z[M, N]  = X[M, K]   @ W[K, N] + b
    input     dX[M, K] = dZ[M, N]  @ W.T[N, K]
    weights   dW[K, N] = X.T[K, M] @ dZ[M, N]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .compiling.compile import Array, kernel, noinline
from .simd.partial import load_first, load_strided, store_first, store_strided
from .simd.vectors import TILE_ROWS, full, item, lanes, load, prefetch, store
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

# Rows of A that are brought together where its columns are contiguous.
STRIP = 16

# Rows of the tallest tile of two registers, of the tallest of one, and of the shortest but a single row. SHORT rows of
# two registers still hide the latency of a multiply-add, and half of them do not: 784-128-10 spent a fifth of a step on
# 4 of every 64 rows.
TALLEST, TALLEST_NARROW, SHORT = TILE_ROWS * 3 // 2, min(16, TILE_ROWS * 3), 4

# Registers of a single row that do.
HIDING = 8

# Whether there are but 16 vector registers. Where LLVM does not know how far apart numbers lie, its unrolled loop then
# keeps addresses in memory: 3.3 instructions for a multiply-add of 12 rows and one register, and 2.7 with the strides
# of rows and strips as constants; 24-100-100-8 took 12% longer. Of 6 rows and two registers it unrolls two steps at
# most, which makes 2.0, and four written out 1.8. With 32 registers there are 1.8 either way.
FEW_REGISTERS = TILE_ROWS < 8

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


@kernel
def rightwards(A: Matrix, j: int) -> Matrix:
    """A from column j on."""
    return Matrix(A.data, A.offset + j * A.column, A.row, A.column)


@kernel
def flipped(A: Matrix) -> Matrix:
    """A.T, where A lies."""
    return Matrix(A.data, A.offset, A.column, A.row)


def _make_tiles(height: int, registers: int) -> Callable[[int, int, int, int, Matrix, Matrix, Matrix, Matrix], int]:
    @kernel
    def add_products(depth: int, A: Matrix, a: int, column: int, starts: Any, B: Matrix, row: int, acc: Any) -> Any:
        """acc + A @ B for `height` rows of A from a on, whose numbers are `column` apart, and rows of B `row` apart."""
        b = B.offset
        for _ in range(depth):
            acc = outer_add(A.data, a, starts, load(B.data, b, registers), acc)
            a, b = a + column, b + row
        return acc

    @kernel
    def add_by_fours(depth: int, A: Matrix, a: int, column: int, starts: Any, B: Matrix, row: int, acc: Any) -> Any:
        """The same, four numbers of each row a turn."""
        b = B.offset
        for _ in range(depth // 4):
            acc = outer_add(A.data, a, starts, load(B.data, b, registers), acc)
            acc = outer_add(A.data, a + column, starts, load(B.data, b + row, registers), acc)
            acc = outer_add(A.data, a + 2 * column, starts, load(B.data, b + 2 * row, registers), acc)
            acc = outer_add(A.data, a + 3 * column, starts, load(B.data, b + 3 * row, registers), acc)
            a, b = a + 4 * column, b + 4 * row
        return add_products(depth % 4, A, a, column, starts, Matrix(B.data, b, row, 1), row, acc)

    add_known = add_by_fours if registers == 2 else add_products

    @kernel
    def tiles(i: int, rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix) -> int:
        """C = start + A @ B for whole tiles of `height` rows from row i on; returns the first row left over."""
        wide = registers * lanes(C.data)
        while i + height <= rows:
            acc = load_tile(start.data, start.offset + i * start.row, start.row, columns, height, registers)
            a, b, starts = A.offset + i * A.row, B.offset, row_offsets(A.data, A.row, height)
            if FEW_REGISTERS and A.column == 1 and B.row == wide:
                acc = add_known(depth, A, a, 1, starts, B, wide, acc)
            elif FEW_REGISTERS and A.column == STRIP and A.row == 1 and B.row == wide:
                acc = add_known(depth, A, a, STRIP, row_offsets(A.data, 1, height), B, wide, acc)
            elif columns == wide or B.row == wide:  # or B is filled up
                acc = add_products(depth, A, a, A.column, starts, B, B.row, acc)
            else:
                for _ in range(depth):
                    acc = outer_add(A.data, a, starts, load_first(B.data, b, columns, 0.0, registers), acc)
                    a, b = a + A.column, b + B.row
            store_tile(C.data, C.offset + i * C.row, C.row, columns, acc)
            i += height
        return i

    return tiles


# 16 accumulators hide the latency of a multiply-add: 16 rows of one register. TALLEST rows of two read less of B for
# each: a step of 64-100-10 takes 2% less than with 8 rows.
_wide, _wide_short, _wide_row = _make_tiles(TALLEST, 2), _make_tiles(SHORT, 2), _make_tiles(1, 2)
_narrow, _narrow_short, _narrow_row = _make_tiles(TALLEST_NARROW, 1), _make_tiles(SHORT, 1), _make_tiles(1, 1)


@kernel
def rows_of_tall(rows: int) -> int:
    """How many of them are for the tallest tiles: where 6 and 2 would remain, two times 4 are better."""
    left = rows % TALLEST
    return rows - TALLEST if TALLEST % SHORT > 0 and 2 <= left < SHORT else rows


@noinline
def multiply_panel(rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix) -> None:
    """C = start + A @ B for one panel: up to two registers of columns, any number of rows.

    start may be C itself, to add to what is there, or a bias with row = 0. Rows of B are contiguous.
    """
    if columns > lanes(C.data):
        i = _wide(0, rows_of_tall(rows), columns, depth, A, B, start, C)
        i = _wide_short(i, rows, columns, depth, A, B, start, C)
        _wide_row(i, rows, columns, depth, A, B, start, C)
    else:
        i = _narrow(0, rows, columns, depth, A, B, start, C)
        i = _narrow_short(i, rows, columns, depth, A, B, start, C)
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
def copy_strip(rows: int, depth: int, A: Matrix, strip: Array, offset: int) -> None:
    """Up to STRIP rows of A, whose columns are contiguous, side by side, as [depth][STRIP]."""
    width, whole = lanes(strip), rows == STRIP
    for k in range(depth):
        a, to = A.offset + k * A.column, offset + k * STRIP
        prefetch(A.data, a + STRIP)  # the next strip's
        if whole:
            for i in range(0, STRIP, width):
                store(strip, to + i, load(A.data, a + i, 1))
        else:
            for i in range(0, rows, width):
                store_first(strip, to + i, rows - i, load_first(A.data, a + i, rows - i, 0.0, 1))


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
def multiply_filled(
    rows: int, columns: int, wide: int, depth: int, A: Matrix, B: Matrix, zero: Matrix, C: Array
) -> None:
    """C[:rows, :wide] = A @ B for a panel of so many columns and an A whose columns are contiguous, the rest zeros.

    Where it leaves fewer lanes empty C.T = B.T @ A.T is made, SHORT of its rows at a time, and brought back: 4 columns
    of float64, 64 rows, 3.3 to 1.7 us. Sums have the same order. Columns of B may be read up to a multiple of SHORT, if
    a register holds so many: values and panels have room for whole registers. C has it for C.T, too.
    """
    most, out = 2 * lanes(C), Matrix(C, 0, wide, 1)
    high, width, left, right, made = rows, columns, A, B, out
    some = min(SHORT, lanes(C))
    few = -(-columns // some) * some
    turned = lanes(C) < rows and rows <= most and few * most < rows * wide
    if turned:
        high, width, left, right, made = few, rows, flipped(B), flipped(A), Matrix(C, rows * wide, most, 1)
    for i in range(0, rows * wide if columns < wide else 0, lanes(C)):
        store(C, i, full(C, 0.0, 1))
    multiply_panel(high, width, depth, left, right, zero, made)
    if turned:
        transpose(columns, rows, made, out)


@kernel
def _multiply_rows(rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix) -> int:
    """C = start + A @ B row by row, so many registers of columns at a time as hide the latency of a multiply-add, which
    two do not: one row, 784-128, 20 to 10 us. Returns the first column left over."""
    wide, n = HIDING * lanes(C.data), 0
    while n + wide <= columns:
        for i in range(rows):
            acc = load_tile(start.data, start.offset + i * start.row + n, 0, wide, 1, HIDING)
            a, b, starts = A.offset + i * A.row, B.offset + n, row_offsets(A.data, 1, 1)
            for _ in range(depth):
                acc = outer_add(A.data, a, starts, load(B.data, b, HIDING), acc)
                a, b = a + A.column, b + B.row
            store_tile(C.data, C.offset + i * C.row + n, 0, wide, acc)
        n += wide
    return n


@noinline
def multiply(rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix) -> None:
    """C = start + A @ B for a B of `depth` rows, as it is or PACKED in panels of two registers."""
    n, widest = 0, 2 * lanes(B.data)
    if rows < SHORT and B.row != PACKED:
        n = _multiply_rows(rows, columns, depth, A, B, start, C)
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
def are_few(columns: int, like: Array) -> bool:
    """Whether a product with so many columns is one for `multiply_few`. A matter of the whole product, not of a part of
    it or a panel: the bits differ."""
    few: bool = columns * FEW <= lanes(like)
    return few


@kernel
def _load_column(A: Matrix, rows: int) -> Any:
    """Its first column, of up to as many rows as a register has lanes."""
    if A.row == 0:
        return full(A.data, item(A.data, A.offset), 1)
    if A.row == 1:
        return load_first(A.data, A.offset, rows, 0.0, 1)
    return load_strided(A.data, A.offset, A.row, rows, 1)


@noinline
def multiply_few(rows: int, columns: int, depth: int, A: Matrix, B: Matrix, start: Matrix, C: Matrix) -> None:
    """The same for few columns and an A with contiguous rows: column by column, as many rows at a time as a register
    has lanes. The sums have another order than those of tiles."""
    width, most = lanes(C.data), 4 * lanes(C.data)
    row = width if B.row == PACKED else B.row
    for j in range(columns):
        s, c = Matrix(start.data, start.offset + j, start.row, 1), Matrix(C.data, C.offset + j, C.row, 1)
        for k in range(0, max(depth, 1), most):
            deep = min(most, depth - k)
            column = load_strided(B.data, B.offset + k * row + j, row, deep, 4)
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
def sum_columns(rows: int, columns: int, A: Matrix, start: Matrix, out: Array, out0: int) -> None:
    """out = start + the sum of A's rows, column by column; start as for multiply_panel, with row = 0."""
    width = lanes(out)
    for n in range(0, columns, width):
        count = min(width, columns - n)
        total = load_first(start.data, start.offset + n, count, 0.0, 1)
        for i in range(rows):
            total = total + load_first(A.data, A.offset + i * A.row + n, count, 0.0, 1)
        store_first(out, out0 + n, count, total)
