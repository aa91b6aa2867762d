"""How a network and rows of features lie in memory; passes.py takes the rows through the network.

The parameters of all layers lie in one flat array: for each layer W, packed, then b. Packed, a matrix of K rows lies in
panels [panel][K][width] of PANEL columns; the last is as many registers wide as hold what is left, a power of two,
and filled up with zeros; the panel that begins with column n begins at n * K.
`transposed` holds every W.T in panels of two registers.

A block has B rows. Every layer's input lies at B * INPUT in `values`, the gradient of it at B * GRADIENT; the last
row of `layers` is that of the logits, whose gradient takes their place. What the backward pass makes an activation's
derivative from lies at B * KEPT: mostly the value itself, but what went into it for FROM_INPUT, and the value before
dropout where there is some.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .compiling.compile import Array, kernel
from .panels import Matrix
from .simd.partial import store_first
from .simd.vectors import (
    full,
    lanes,
    numbers_at,
    prefetch_bytes_later,
    store,
    widen_first_float32,
    widen_first_float64,
    widen_first_uint8,
    widen_float32,
    widen_float64,
    widen_uint8,
)

# Columns of `layers`, one row a layer: its sizes K and N, the activation of its output, and where its arrays begin.
# The last row is the output's: only INPUT, GRADIENT and KEPT of it are used.
K_, N_, ACTIVATION, WEIGHTS, BIAS, TRANSPOSED, INPUT, GRADIENT, PANEL, KEPT = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
THIRDS, TERMS, COLUMNS = 10, 11, 12

# TERMS: how many bfloat16 numbers one of a layer's inputs is the sum of. THIRDS: whether it is made on the matrix unit;
# a panel of W is split where it is used, or the whole before.
NOT, BY_PANEL, WHOLE = 0, 1, 2

UINT8, FLOAT32, FLOAT64 = 0, 1, 2
LINE = 64  # bytes of a cache line


class Rows(NamedTuple):
    """Rows of features in somebody else's memory, of any of three kinds; kernels read them by address.

    address of the first number, bytes from row to row, kind of number, and the factor that turns it into a feature.
    """

    address: int
    stride: int
    kind: int
    factor: float


class Network(NamedTuple):
    """layers (L + 1, COLUMNS) int64; params, transposed: flat; zero: as many zeros as the widest layer has inputs.

    rates: dropout's, one a hidden layer (float64), or empty; seed: of dropout. words: a thread's scratch for the
    matrix unit, see thirds.py, or empty.
    """

    layers: Array
    params: Array
    transposed: Array
    zero: Array
    rates: Array
    seed: int
    words: Array


def _make_widen(size: int, whole_vector: Any, first_numbers: Any) -> Callable[[Rows, int, Array, int, int], None]:
    @kernel
    def widen(rows: Rows, row: int, out: Array, offset: int, K: int) -> None:
        """One row of numbers of `size` bytes."""
        width = lanes(out)
        start = rows.address + row * rows.stride
        like = full(out, 0.0, 1)
        whole = K // width * width
        for k in range(0, whole, width):
            store(out, offset + k, whole_vector(start + size * k, width, like) * rows.factor)
        if whole < K:
            x = first_numbers(start + size * whole, K - whole, like)
            store_first(out, offset + whole, K - whole, x * rows.factor)

    return widen


_widen_uint8 = _make_widen(1, widen_uint8, widen_first_uint8)
_widen_float32 = _make_widen(4, widen_float32, widen_first_float32)
_widen_float64 = _make_widen(8, widen_float64, widen_first_float64)


@kernel
def widen_row(rows: Rows, row: int, out: Array, offset: int, K: int) -> None:
    """out[offset : offset + K] = one row of features, as floating point."""
    if rows.kind == UINT8:
        _widen_uint8(rows, row, out, offset, K)
    elif rows.kind == FLOAT32:
        _widen_float32(rows, row, out, offset, K)
    else:
        _widen_float64(rows, row, out, offset, K)


@kernel
def numbers_of(rows: Rows, start: int, K: int, like: Array) -> Matrix:
    """Rows of K features from row `start` on where they are, as a matrix of the type of `like`; its row is 0 if they
    are numbers of another kind, or lie askew."""
    size, kind = like.itemsize, FLOAT32 if like.itemsize == 4 else FLOAT64
    if rows.kind != kind or rows.factor != 1.0 or rows.stride <= 0 or rows.stride % size or rows.address % size:
        return Matrix(like, 0, 0, 1)
    return Matrix(numbers_at(rows.address + start * rows.stride, K, like), 0, rows.stride // size, 1)


@kernel
def prefetch_row(rows: Rows, row: int, K: int) -> None:
    """Ask for a row of features."""
    size = 1 if rows.kind == UINT8 else 4 if rows.kind == FLOAT32 else 8
    for byte in range(0, K * size, LINE):
        prefetch_bytes_later(rows.address + row * rows.stride + byte)
