"""A whole network over a block of rows. Reference: `forward` and `backward` in fastnn/reference.py.

The parameters of all layers lie in one flat array: for each layer W, packed, then b. Packed, a matrix of K rows lies in
panels [panel][K][width] of PANEL columns; the last is as many registers wide as hold what is left, a power of two,
and filled up with zeros; the panel that begins with column n begins at n * K. Where PANEL is 0, W lies as it is.
`transposed` holds every W.T in panels of two registers.

A block has B rows. Every layer's input lies at B * INPUT in `values`, the gradient of it at B * GRADIENT; the last
row of `layers` is that of the logits, whose gradient takes their place. What the backward pass makes an activation's
derivative from lies at B * KEPT: mostly the value itself, but what went into it for FROM_INPUT, and the value before
dropout where there is some.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .activations import FROM_INPUT, activate, activate_backward
from .compile import Array, kernel
from .dropout import drop
from .panels import PACKED, Matrix, are_few, multiply, multiply_few, panel_width, transpose
from .simd import (
    full,
    lanes,
    numbers_at,
    prefetch_bytes_later,
    store,
    store_first,
    widen_first_float32,
    widen_first_float64,
    widen_first_uint8,
    widen_float32,
    widen_float64,
    widen_uint8,
)

# Columns of `layers`, one row a layer: its sizes K and N, the activation of its output, and where its arrays begin.
# The last row is the output's: only INPUT, GRADIENT and KEPT of it are used.
K_, N_, ACTIVATION, WEIGHTS, BIAS, TRANSPOSED, INPUT, GRADIENT, PANEL, KEPT, THIRDS = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
COLUMNS = 11

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

    rates: dropout's, one a hidden layer (float64), or empty; seed: of dropout. thirds: the first layer's W for the
    matrix unit, see thirds.py, or empty.
    """

    layers: Array
    params: Array
    transposed: Array
    zero: Array
    rates: Array
    seed: int
    thirds: Array


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


@kernel
def layer_forward(
    network: Network, layer: int, A: Matrix, values: Array, B: int, begin: int, end: int, n: int, columns: int
) -> None:
    """Z = A @ W + b for rows begin..end of a block of B and so many columns from n on, where a panel begins. A is these
    rows' input, Z lies in `values`."""
    layers, params = network.layers, network.params
    K, N = layers[layer, K_], layers[layer, N_]
    W = Matrix(params, layers[layer, WEIGHTS] + n, N, 1)
    if layers[layer, PANEL] > 0:
        W = Matrix(params, layers[layer, WEIGHTS] + n * K, PACKED, 1)
    Z = Matrix(values, B * layers[layer + 1, KEPT] + begin * N + n, N, 1)
    b = Matrix(params, layers[layer, BIAS] + n, 0, 1)
    if layer > 0 and are_few(N, values):  # not the first, whose sums have the same order where zeros are left out
        multiply_few(end - begin, columns, K, A, W, b, Z)
    else:
        multiply(end - begin, columns, K, A, W, b, Z)


@kernel
def activate_rows(network: Network, layer: int, values: Array, B: int, begin: int, end: int, step: int) -> None:
    """Rows begin..end of a block from what a layer's product has left at KEPT to the next layer's INPUT."""
    layers, activation = network.layers, network.layers[layer, ACTIVATION]
    N = layers[layer, N_]
    kept, a, count = (
        B * layers[layer + 1, KEPT] + begin * N,
        B * layers[layer + 1, INPUT] + begin * N,
        (end - begin) * N,
    )
    if activation >= FROM_INPUT:
        activate(activation, values[kept:], values[a:], 0, count)
        kept = a
    else:
        activate(activation, values, values, kept, count)
    if len(network.rates) > layer and network.rates[layer] > 0.0:
        drop(values, kept, values, a, count, network.rates[layer], network.seed, step, layer, begin * N)


@kernel
def forward(network: Network, values: Array, B: int, begin: int, end: int, first: int, step: int) -> None:
    """Rows begin..end of a block through all layers from the `first` on, to their logits. What goes into any layer but
    the very first is still without its activation, and its dropout, for which step is."""
    layers = network.layers
    for layer in range(first, len(layers) - 1):
        if layer > 0:
            activate_rows(network, layer - 1, values, B, begin, end, step)
        K, N = layers[layer, K_], layers[layer, N_]
        A = Matrix(values, B * layers[layer, INPUT] + begin * K, K, 1)
        layer_forward(network, layer, A, values, B, begin, end, 0, N)


@kernel
def layer_backward(
    network: Network, layer: int, values: Array, B: int, begin: int, end: int, k: int, columns: int, step: int
) -> None:
    """dA = dZ @ W.T, and from there dZ of the layer below, for rows begin..end of a block and so many of the layer's
    inputs from k on, where a panel of W.T begins."""
    layers, below = network.layers, layer - 1
    K, N = layers[layer, K_], layers[layer, N_]
    kept = B * layers[layer, KEPT] + begin * K + k
    da, lines, count = B * layers[layer, GRADIENT] + begin * K + k, end - begin, columns
    dZ = Matrix(values, B * layers[layer + 1, GRADIENT] + begin * N, N, 1)
    WT, dA = Matrix(network.transposed, layers[layer, TRANSPOSED] + k * N, PACKED, 1), Matrix(values, da, K, 1)
    multiply(lines, columns, N, dZ, WT, Matrix(network.zero, 0, 0, 1), dA)
    if columns == K:
        lines, count = 1, lines * K  # which lie side by side
    dropped = len(network.rates) > 0 and network.rates[below] > 0.0
    for i in range(0, lines * K, K):
        if dropped:
            rate, seed = network.rates[below], network.seed
            drop(values, da + i, values, da + i, count, rate, seed, step, below, begin * K + k + i)
        gradient = values[da + i :]
        activate_backward(layers[below, ACTIVATION], values[kept + i :], gradient, gradient, 0, count)


@kernel
def backward(network: Network, values: Array, B: int, begin: int, end: int, last: int, step: int) -> None:
    """Rows begin..end of a block back through all layers down to, and without, number `last`: from dZ of the logits to
    dZ of the hidden layers."""
    for layer in range(len(network.layers) - 2, last, -1):
        layer_backward(network, layer, values, B, begin, end, 0, network.layers[layer, K_], step)


@kernel
def transpose_rows(network: Network, layer: int, begin: int, end: int, n: int) -> None:
    """Bring rows begin..end of the panel of the layer's W that begins with column n into its W.T, as many at a time as
    lie in one of that one's panels."""
    layers, params, widest = network.layers, network.params, 2 * lanes(network.params)
    K, N = layers[layer, K_], layers[layer, N_]
    wide, k = panel_width(params, N - n, widest), begin
    while k < end:
        panel = k // widest * widest
        tall = panel_width(params, K - panel, widest)
        rows = min(end, panel + tall) - k
        source = Matrix(params, layers[layer, WEIGHTS] + n * K + k * wide, wide, 1)
        out = Matrix(network.transposed, layers[layer, TRANSPOSED] + panel * N + n * tall + k - panel, tall, 1)
        transpose(rows, min(wide, N - n), source, out)
        k += rows
