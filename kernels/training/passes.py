"""A block of rows through a whole network, forward and backward. Reference: `forward` and `backward` in
fastnn/reference.py."""

from __future__ import annotations

from ..activations import FROM_INPUT, activate, activate_backward
from ..compiling.compile import Array, kernel
from ..dropout import drop
from ..matrix_unit.instructions import HAS_MATRIX_UNIT
from ..matrix_unit.thirds import in_thirds, thirds_backward, thirds_forward
from ..network import (
    ACTIVATION,
    BIAS,
    GRADIENT,
    INPUT,
    K_,
    KEPT,
    N_,
    TRANSPOSED,
    WEIGHTS,
    Network,
)
from ..panels import PACKED, Matrix, are_few, multiply, multiply_few, panel_width, transpose
from ..simd.vectors import lanes


@kernel
def layer_forward(
    network: Network, layer: int, A: Matrix, values: Array, B: int, begin: int, end: int, n: int, columns: int
) -> None:
    """Z = A @ W + b for rows begin..end of a block of B and so many columns from n on, where a panel begins. A is these
    rows' input, Z lies in `values`."""
    if HAS_MATRIX_UNIT and in_thirds(network, layer):
        thirds_forward(network, layer, A, values, B, begin, end, n, columns)
        return
    layers, params = network.layers, network.params
    K, N = layers[layer, K_], layers[layer, N_]
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
    if HAS_MATRIX_UNIT and in_thirds(network, layer):
        thirds_backward(network, layer, values, B, begin, end, k, columns)
    else:
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
