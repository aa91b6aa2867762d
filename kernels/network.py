"""A whole network over a block of rows. Reference: `forward` and `backward` in fastnn/reference.py.

The parameters of all layers lie in one flat array: for each layer W, packed, then b. Packed, a matrix of K rows lies in
panels [panel][K][width]: as many as fit of two registers' width, then one or two of one register, the last filled up
with zeros; the panel that begins with column n begins at n * K. `transposed` holds every W.T the same way.

A block has B rows. Every layer's input lies at B * INPUT in `values`, and its gradient there in `gradients`; the
logits, and then their gradient, follow the last layer's input in `values`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .activations import activate, activate_backward
from .compile import Array, kernel
from .matmul import DEPTH, Matrix, multiply_panel
from .simd import (
    full,
    lanes,
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
# The last row is the output's: only INPUT of it is used.
K_, N_, ACTIVATION, WEIGHTS, BIAS, TRANSPOSED, INPUT, COLUMNS = 0, 1, 2, 3, 4, 5, 6, 7

UINT8, FLOAT32, FLOAT64 = 0, 1, 2


class Rows(NamedTuple):
    """Rows of features in somebody else's memory, of any of three kinds; kernels read them by address.

    address of the first number, bytes from row to row, kind of number, and the factor that turns it into a feature.
    """

    address: int
    stride: int
    kind: int
    factor: float


class Network(NamedTuple):
    """layers (L + 1, COLUMNS) int64; params, transposed: flat; zero: as many zeros as the widest layer has inputs."""

    layers: Array
    params: Array
    transposed: Array
    zero: Array


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
def panel_width(packed: Array, left: int) -> int:
    """The width of the panel that begins where `left` columns are left."""
    width: int = lanes(packed)
    return 2 * width if left >= 2 * width else width


@kernel
def multiply_packed(
    rows: int, columns: int, depth: int, A: Matrix, packed: Array, offset: int, start: Matrix, C: Matrix
) -> None:
    """C = start + A @ B for a packed B of `depth` rows, a block of DEPTH rows at a time."""
    n = 0
    while n < columns:
        wide = panel_width(packed, columns - n)
        c = Matrix(C.data, C.offset + n, C.row, 1)
        s = Matrix(start.data, start.offset + n, start.row, 1)
        for k in range(0, depth, DEPTH):
            a = Matrix(A.data, A.offset + k * A.column, A.row, A.column)
            b = Matrix(packed, offset + n * depth + k * wide, wide, 1)
            multiply_panel(rows, min(wide, columns - n), min(DEPTH, depth - k), a, b, s, c)
            s = c
        n += wide


@kernel
def forward(network: Network, values: Array, B: int, begin: int, end: int, first: int) -> None:
    """Rows begin..end of a block through all layers from the `first` on, to their logits."""
    for layer in range(first, len(network.layers) - 1):
        row = network.layers[layer]
        K, N = row[K_], row[N_]
        z = B * network.layers[layer + 1][INPUT] + begin * N
        A = Matrix(values, B * row[INPUT] + begin * K, K, 1)
        bias = Matrix(network.params, row[BIAS], 0, 1)
        multiply_packed(end - begin, N, K, A, network.params, row[WEIGHTS], bias, Matrix(values, z, N, 1))
        activate(row[ACTIVATION], values, values, z, (end - begin) * N)


@kernel
def gradient_of(network: Network, layer: int, values: Array, gradients: Array) -> Array:
    """Where the gradient of the layer's output lies: the logits' in their own place."""
    return values if layer == len(network.layers) - 2 else gradients


@kernel
def backward(network: Network, values: Array, gradients: Array, B: int, begin: int, end: int) -> None:
    """Rows begin..end of a block back through all layers: from dZ of the logits to dZ of every hidden layer."""
    for layer in range(len(network.layers) - 2, 0, -1):
        row = network.layers[layer]
        K, N = row[K_], row[N_]
        dz = Matrix(
            gradient_of(network, layer, values, gradients), B * network.layers[layer + 1][INPUT] + begin * N, N, 1
        )
        a = B * row[INPUT] + begin * K
        zero = Matrix(network.zero, 0, 0, 1)
        multiply_packed(end - begin, K, N, dz, network.transposed, row[TRANSPOSED], zero, Matrix(gradients, a, K, 1))
        activate_backward(network.layers[layer - 1][ACTIVATION], values, gradients, gradients, a, (end - begin) * K)


@kernel
def transpose_rows(network: Network, layer: int, begin: int, end: int) -> None:
    """Bring rows begin..end of the layer's W into its W.T."""
    row = network.layers[layer]
    K, N = row[K_], row[N_]
    width = lanes(network.params)
    n = 0
    while n < N:
        wide = panel_width(network.params, N - n)
        for k in range(begin, end):
            panel = k // (2 * width) * (2 * width)
            tall = 2 * width
            if K - panel < tall:
                panel, tall = k // width * width, width
            out = row[TRANSPOSED] + panel * N + n * tall + k - panel
            source = row[WEIGHTS] + n * K + k * wide
            for j in range(min(wide, N - n)):
                network.transposed[out + j * tall] = network.params[source + j]
        n += wide
