"""Layers on the matrix unit: see splitting.py for what it multiplies.

Whole numbers up to 255, which are bfloat16 numbers as they are, need three products, not six: see byte_features.py.
Reference: `matmul_bias` and `matmul_bias_backward` in fastnn/reference.py.

All matrices lie in Network.words, a thread's scratch: what W is split into does not fit in L2 beside W if that is
large, and is half as much again to read; so a panel of W is split where it is used, for all rows of a batch:
784-512-512-10 took 1105 us a step so, and 1255 where thirds of W and W.T were kept.

In `words` lie, one after the other, a square for each third; a product of FEW_ROWS rows, or two of TALL; a panel of W
or W.T, or all of W; rows of A, or of dZ; rows of A.T; and dZ, to the right of that.
"""

from __future__ import annotations

from ..compiling.compile import Array, kernel, noinline
from ..network import (
    BIAS,
    GRADIENT,
    K_,
    KEPT,
    N_,
    NOT,
    PANEL,
    TERMS,
    THIRDS,
    WEIGHTS,
    WHOLE,
    Network,
)
from ..panels import Matrix, below, panel_width
from ..simd.arithmetic import multiply_add
from ..simd.partial import load_first, store_first
from ..simd.vectors import lanes, load
from .instructions import SIDE, claim_registers, release_registers
from .products import DEEP, SQUARE, TALL, Split, from_pair, from_row
from .splitting import left_from_columns, left_from_rows, pairs_of, right_from_columns, right_from_rows, right_place
from .waiting import multiply_meanwhile, none_waits

# Rows of A, and of A.T, that are brought at a time: the fewer they are, the more often panels are split.
ROWS, INPUTS = 512, 1024

# Pairs of rows of a panel of W, split, that so few rows of bytes are multiplied by before the next: they stay in L1. 64
# rows, 784-128: 98 to 86 us a step, but 512 rows 3% slower.
NEAR, FEW_ROWS = 4 * SIDE, 128

# Where in `words` a product lies, and where W does.
PRODUCT = 3 * SQUARE
WEIGHTS_PLACE = PRODUCT + FEW_ROWS * DEEP


@kernel
def in_thirds(network: Network, layer: int) -> bool:
    """Whether this layer is made on the matrix unit."""
    made: bool = network.layers[layer, THIRDS] != NOT
    return made


@kernel
def with_words(network: Network, words: Array) -> Network:
    """The same with a thread's scratch."""
    layers, params, transposed = network.layers, network.params, network.transposed
    return Network(layers, params, transposed, network.zero, network.rates, network.seed, words)


@kernel
def claim_unit(network: Network) -> None:
    """Before a thread uses the matrix unit."""
    if len(network.words) > 0:
        claim_registers(network.words)


@kernel
def release_unit(network: Network) -> None:
    """When it will not any more."""
    if len(network.words) > 0:
        release_registers(network.words)


@kernel
def padded_columns(network: Network, layer: int) -> int:
    """Of a layer's W in its panels."""
    columns: int = (network.layers[layer, BIAS] - network.layers[layer, WEIGHTS]) // network.layers[layer, K_]
    return columns


@kernel
def rows_of(B: int) -> int:
    """How many of so many rows are brought at a time, filled up."""
    return min((B + TALL - 1) // TALL * TALL, ROWS)


@kernel
def places(network: Network, layer: int, B: int) -> tuple[int, int, int]:
    """Where in `words` rows of A, A.T and dZ lie for B rows."""
    terms, pairs = network.layers[layer, TERMS], pairs_of(network.layers[layer, K_])
    deepest = pairs if layer == 0 else max(pairs, pairs_of(network.layers[layer, N_]))
    rows = WEIGHTS_PLACE + 3 * DEEP * deepest
    if network.layers[layer, THIRDS] == WHOLE:
        rows = WEIGHTS_PLACE + 3 * padded_columns(network, layer) * pairs
    inputs = rows + terms * rows_of(B) * deepest
    return rows, inputs, inputs + terms * INPUTS * pairs_of(B)


@kernel
def brought_rows(network: Network, layer: int, B: int, depth: int) -> Split:
    """Rows of A, or of dZ, of so many numbers."""
    at, _, _ = places(network, layer, B)
    return Split(network.words, at, rows_of(B) * pairs_of(depth), pairs_of(depth))


@kernel
def brought_inputs(network: Network, layer: int, B: int) -> Split:
    """Rows of A.T for B rows of A."""
    _, at, _ = places(network, layer, B)
    return Split(network.words, at, INPUTS * pairs_of(B), pairs_of(B))


@kernel
def brought_gradients(network: Network, layer: int, B: int, n: int) -> Split:
    """The panel of dZ that begins with column n, of B rows."""
    _, _, at = places(network, layer, B)
    return Split(network.words, at + n * pairs_of(B), pairs_of(B) * padded_columns(network, layer), 0)


@kernel
def _split_rows(network: Network, layer: int, n: int, k: int, depth: int, out: Split) -> None:
    """So many rows from row k on of the panel of W that begins with column n."""
    params, K = network.params, network.layers[layer, K_]
    wide = panel_width(params, network.layers[layer, N_] - n, network.layers[layer, PANEL])
    W = Matrix(params, network.layers[layer, WEIGHTS] + n * K + k * wide, wide, 1)
    right_from_rows(min(depth, K - k), wide, wide, W, 1.0, network.layers[layer, TERMS] == 1, out)


@kernel
def _whole_panel(network: Network, layer: int, n: int) -> Split:
    """The panel of W that begins with column n, where all of W is split before a step."""
    pairs = pairs_of(network.layers[layer, K_])
    return Split(network.words, WEIGHTS_PLACE + n * pairs, pairs * padded_columns(network, layer), 0)


@kernel
def split_weights(network: Network, factor: float) -> None:
    """All of W, of the layers of which all is split before a step."""
    for layer in range(len(network.layers) - 1):
        K, N, n = network.layers[layer, K_], network.layers[layer, N_], 0
        while n < N and network.layers[layer, THIRDS] == WHOLE:
            _split_rows(network, layer, n, 0, K, _whole_panel(network, layer, n))
            n += panel_width(network.params, N - n, network.layers[layer, PANEL])


# --- the layer


@kernel
def _part_of_panel(network: Network, layer: int, n: int, wide: int, pair: int, pairs: int) -> Split:
    """So many pairs of rows of the panel of W that begins with column n, split now if it was not before the step."""
    if network.layers[layer, THIRDS] == WHOLE:
        panel = _whole_panel(network, layer, n)
        return Split(panel.words, panel.at + pair * wide, panel.apart, 0)
    part = Split(network.words, WEIGHTS_PLACE, pairs * wide, 0)
    _split_rows(network, layer, n, 2 * pair, 2 * pairs, part)
    return part


@kernel
def _split_transposed(network: Network, layer: int, dZ: Split, k: int, tall: int) -> Split:
    """The panel of W.T that begins with column k, and is so wide, from one panel of W after the other."""
    K, N, params, n = network.layers[layer, K_], network.layers[layer, N_], network.params, 0
    apart = dZ.pairs * tall
    while n < N:
        wide = panel_width(params, N - n, network.layers[layer, PANEL])
        W = Matrix(params, network.layers[layer, WEIGHTS] + n * K + k * wide, 1, wide)
        part = Split(network.words, WEIGHTS_PLACE + right_place(n // 2, tall), apart, 0)
        right_from_columns(min(wide, N - n), min(tall, K - k), tall, W, part)
        n += wide
    return Split(network.words, WEIGHTS_PLACE, apart, 0)


@noinline
def _finish(
    network: Network, layer: int, factor: float, values: Array, z: int, rows: int, n: int, columns: int, wide: int
) -> None:
    """Z = the product * factor + b, so many rows, from z on, and columns from n on."""
    params, words, width = network.params, network.words, lanes(values)
    N, bias = network.layers[layer, N_], network.layers[layer, BIAS]
    for j in range(0, columns, width):
        b = load_first(params, bias + n + j, columns - j, 0.0, 1)
        for i in range(rows):
            x = load(words, PRODUCT + i * wide + j, 1)
            store_first(values, z + i * N + n + j, columns - j, multiply_add(factor, x, b))


@noinline
def multiply_rows(
    network: Network, layer: int, factor: float, values: Array, B: int, first: int, rows: int, n: int, last: int
) -> None:
    """Z = A @ W * factor + b for `rows` places of a block of B from `first` on, whose A was brought, and columns
    n..last, where panels begin."""
    layers, words, terms = network.layers, network.words, network.layers[layer, TERMS]
    N, A = layers[layer, N_], brought_rows(network, layer, B, layers[layer, K_])
    z, near = B * layers[layer + 1, KEPT] + first * N, terms == 1 and rows <= FEW_ROWS
    tall, deep = (rows, NEAR) if near else (TALL, A.pairs)
    none = none_waits(words)
    while n < last:
        wide = panel_width(network.params, N - n, layers[layer, PANEL])
        W = _part_of_panel(network, layer, n, wide, 0, min(deep, A.pairs))
        for top in range(0, rows, tall):
            some, left = min(tall, rows - top), from_row(A, top)
            multiply_meanwhile(some, wide, terms, left, W, min(deep, A.pairs), True, words, PRODUCT, none)
            for pair in range(deep, A.pairs, deep):
                pairs = min(deep, A.pairs - pair)
                W = _part_of_panel(network, layer, n, wide, pair, pairs)
                multiply_meanwhile(some, wide, terms, from_pair(left, pair), W, pairs, False, words, PRODUCT, none)
            _finish(network, layer, factor, values, z + top * N, some, n, min(wide, N - n), wide)
        n += wide


@kernel
def thirds_forward(
    network: Network, layer: int, A: Matrix, values: Array, B: int, begin: int, end: int, n: int, columns: int
) -> None:
    """Z = A @ W + b for rows begin..end of a block of B and so many columns from n on, where a panel begins. A is these
    rows' input, Z lies in `values`."""
    K = network.layers[layer, K_]
    for first in range(begin, end, ROWS):
        rows = min(ROWS, end - first)
        left_from_rows(rows, K, below(A, first - begin), brought_rows(network, layer, B, K))
        multiply_rows(network, layer, 1.0, values, B, first, rows, n, n + columns)


@kernel
def thirds_backward(
    network: Network, layer: int, values: Array, B: int, begin: int, end: int, k: int, columns: int
) -> None:
    """dA = dZ @ W.T for rows begin..end of a block of B and so many columns from k on, where a panel of W.T begins."""
    layers, last, width = network.layers, k + columns, lanes(values)
    K, N = layers[layer, K_], layers[layer, N_]
    left, none = brought_rows(network, layer, B, N), none_waits(network.words)
    for first in range(begin, end, ROWS):
        rows, panel = min(ROWS, end - first), k
        left_from_rows(rows, N, Matrix(values, B * layers[layer + 1, GRADIENT] + first * N, N, 1), left)
        while panel < last:
            wide = panel_width(values, K - panel, DEEP)
            WT = _split_transposed(network, layer, left, panel, wide)
            for top in range(0, rows, TALL):
                tall = min(TALL, rows - top)
                multiply_meanwhile(
                    tall, wide, 3, from_row(left, top), WT, left.pairs, True, network.words, PRODUCT, none
                )
                for i in range(tall):
                    to = B * layers[layer, GRADIENT] + (first + top + i) * K
                    for j in range(panel, min(panel + wide, last), width):
                        x = load(network.words, PRODUCT + i * wide + j - panel, 1)
                        store_first(values, to + j, min(width, last - j), x)
            panel += wide


@kernel
def begin_gradients(
    network: Network, layer: int, values: Array, B: int, first: int, rows: int, n: int, last: int, factor: float
) -> None:
    """What the gradients of columns n..last need of dZ, over `rows` places of a block of B from `first` on. factor: by
    which the first layer's features are multiplied."""
    N, z = network.layers[layer, N_], B * network.layers[layer + 1, GRADIENT]
    factor = factor if network.layers[layer, TERMS] == 1 else 1.0
    while n < last:
        wide, dZ = panel_width(values, N - n, network.layers[layer, PANEL]), Matrix(values, z + first * N + n, N, 1)
        right_from_rows(rows, N - n, wide, dZ, factor, False, brought_gradients(network, layer, rows, n))
        n += wide


@kernel
def bring_inputs(network: Network, layer: int, A: Matrix, rows: int, begin: int, end: int) -> int:
    """What the gradients of up to INPUTS inputs begin..end need of so many rows of A, whose transpose is given; returns
    the first that was not brought."""
    last = min(end, begin + INPUTS)
    left_from_columns(last - begin, rows, below(A, begin), brought_inputs(network, layer, rows))
    return last


@kernel
def thirds_gradient(
    network: Network, layer: int, rows: int, k: int, count: int, n: int, wide: int, out: Array, to: int
) -> None:
    """Up to TALL rows of dW over so many rows of a batch, from the k-th input that was brought on, and the panel of
    columns n.., as [input][wide]; as many more may be written as make up TALL."""
    inputs, dZ = brought_inputs(network, layer, rows), brought_gradients(network, layer, rows, n)
    terms = network.layers[layer, TERMS]
    multiply_meanwhile(
        count, wide, terms, from_row(inputs, k), dZ, inputs.pairs, True, out, to, none_waits(network.words)
    )
