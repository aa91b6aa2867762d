"""Layers on the matrix unit: every float32 is the sum of three bfloat16 numbers, its thirds.

A float32 has 24 binary digits, a bfloat16 the upper 8 of them: cut off, what is left has 16, and so on, so that
x = a + b + c exactly, down to 1e-31. Of the nine products of two such sums six are made. What the others would add is
a 2^21st of the product at most, and on average below its last digit: gradients over 256 rows, 784-512-512-10, are off
by 3.5e-7, and by 4.6e-7 if made of multiply-adds. On the unit six products are still 2.7 times as fast as those, and
whole numbers up to 255, which are bfloat16 numbers as they are, need but three: see bytes.py. Reference: `matmul_bias`
and `matmul_bias_backward` in fastnn/reference.py.

A left-hand matrix lies as [third][row][pair of columns], a right-hand one as [third][panel][pair of rows][column],
both a register after the other, of 16 rows and columns of these. All of them lie in Network.words, a thread's scratch:
what W is split into does not fit in L2 beside W if that is large, and is half as much again to read; so a panel of W
is split where it is used, for all rows of a batch: 784-512-512-10 took 1105 us a step so, and 1255 where thirds of W
and W.T were kept.

In `words` lie, one after the other, a square for each third; a product of TALL rows; a panel of W or W.T, or all of W;
rows of A, or of dZ; rows of A.T; and dZ, to the right of that.
"""

from __future__ import annotations

from typing import Any

from .arithmetic import multiply_add
from .compile import Array, kernel, noinline
from .halves import paired, rest, store_halves
from .matrix_unit import SIDE, claim_registers, release_registers
from .network import (
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
from .panels import Matrix, panel_width
from .products import DEEP, SQUARE, TALL, multiply_thirds
from .simd import lanes, load, load_first, store, store_first
from .tiles import load_square, store_square, transposed

# Rows of A, and of A.T, that are brought at a time: the fewer they are, the more often panels are split.
ROWS, INPUTS = 512, 1024

# Where in `words` a product lies, and where W does.
PRODUCT = 3 * SQUARE
WEIGHTS_PLACE = PRODUCT + TALL * DEEP


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
def pairs_of(count: int) -> int:
    """Pairs of so many, filled up to whole registers."""
    return (count + DEEP - 1) // DEEP * SIDE


@kernel
def padded_columns(network: Network, layer: int) -> int:
    """Of a layer's W in its panels."""
    columns: int = (network.layers[layer, BIAS] - network.layers[layer, WEIGHTS]) // network.layers[layer, K_]
    return columns


@kernel
def left_place(row: int, pairs: int) -> int:
    """Where a row begins; the next 16 pairs of columns are a register away."""
    return row // SIDE * SIDE * pairs + row % SIDE * SIDE


@kernel
def right_place(pair: int, wide: int) -> int:
    """Where a pair of rows of a panel begins; the next 16 columns are a register away."""
    return pair // SIDE * SIDE * wide + pair % SIDE * SIDE


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


# --- bringing numbers into their form


@kernel
def _store_thirds(words: Array, at: int, apart: int, low: Any, high: Any) -> None:
    """A register of pairs of each third, so many words apart."""
    store(words, at, paired(low, high))
    low, high = rest(low), rest(high)
    store(words, at + apart, paired(low, high))
    store(words, at + 2 * apart, paired(rest(low), rest(high)))


@kernel
def _store_halves(words: Array, at: int, apart: int, x: Any) -> None:
    """The same for neighbours in one register."""
    store_halves(words, at, x)
    x = rest(x)
    store_halves(words, at + apart, x)
    store_halves(words, at + 2 * apart, rest(x))


@kernel
def _two_rows(values: Array, at: int, N: int, row: int, rows: int, columns: int) -> Any:
    """The first `columns` of rows `row` and the next of a matrix of so many rows, N apart, and zeros."""
    low = load_first(values, at + row * N, columns if row < rows else 0, 0.0, 1)
    high = load_first(values, at + (row + 1) * N, columns if row + 1 < rows else 0, 0.0, 1)
    return low, high


@noinline
def _split_panel(network: Network, layer: int, n: int, to: int, apart: int) -> None:
    """The panel of W that begins with column n."""
    layers, params, words = network.layers, network.params, network.words
    K, width = layers[layer, K_], lanes(params)
    wide = panel_width(params, layers[layer, N_] - n, layers[layer, PANEL])
    for k in range(0, 2 * pairs_of(K), 2):  # beyond K zeros, for whatever was there may not be finite
        w, place = layers[layer, WEIGHTS] + n * K, to + right_place(k // 2, wide)
        for j in range(0, wide, width):
            low, high = _two_rows(params, w + j, wide, k, K, width)
            _store_thirds(words, place + j * SIDE, apart, low, high)


@kernel
def split_weights(network: Network) -> None:
    """All of W, of the layers of which all is split before a step."""
    for layer in range(len(network.layers) - 1):
        if network.layers[layer, THIRDS] == WHOLE:
            pairs, n = pairs_of(network.layers[layer, K_]), 0
            while n < network.layers[layer, N_]:
                _split_panel(network, layer, n, WEIGHTS_PLACE + n * pairs, pairs * padded_columns(network, layer))
                n += panel_width(network.params, network.layers[layer, N_] - n, network.layers[layer, PANEL])


@noinline
def _split_transposed(network: Network, layer: int, k: int, tall: int) -> None:
    """The panel of W.T that begins with column k, and is so wide: pairs of columns of W become pairs of its rows."""
    layers, params, words, n = network.layers, network.params, network.words, 0
    K, N, width = layers[layer, K_], layers[layer, N_], lanes(params)
    apart = pairs_of(N) * tall
    while n < N:
        wide = panel_width(params, N - n, layers[layer, PANEL])
        for top in range(k, min(k + tall, K), width):
            some, w = min(width, K - top), layers[layer, WEIGHTS] + n * K + top * wide
            for i in range(some):
                for j in range(0, wide, width):
                    _store_halves(words, i * width + j // 2, SQUARE, load(params, w + i * wide + j, 1))
            to = WEIGHTS_PLACE + right_place(n // 2, tall) + (top - k) * SIDE
            for third in range(3):
                tile = transposed(load_square(words, third * SQUARE, width, some, wide // 2))
                store_square(words, to + third * apart, width, width, width, tile)
        n += wide


@noinline
def _bring_rows(values: Array, at: int, rows: int, K: int, words: Array, to: int, apart: int) -> None:
    """So many rows of K numbers from `at` on."""
    pairs, width = pairs_of(K), lanes(values)
    for i in range(rows):
        place = to + left_place(i, pairs)
        for k in range(0, 2 * pairs, width):
            x = load_first(values, at + i * K + k, K - k, 0.0, 1)
            _store_halves(words, place + k // DEEP * SQUARE + k % DEEP // 2, apart, x)


@noinline
def _bring_columns(values: Array, at: int, rows: int, begin: int, end: int, K: int, words: Array, to: int) -> None:
    """Columns begin..end of so many rows of K numbers from `at` on."""
    pairs, width = pairs_of(rows), lanes(values)
    for pair in range(0, pairs, width):
        for k in range(begin, end, width):
            for i in range(width):
                low, high = _two_rows(values, at + k, K, 2 * (pair + i), rows, K - k)
                _store_thirds(words, i * width, SQUARE, low, high)
            for third in range(3):
                tile = transposed(load_square(words, third * SQUARE, width, width, width))
                out = to + third * INPUTS * pairs + (k - begin) * pairs + pair * SIDE
                store_square(words, out, width, width, width, tile)


# --- the layer


@noinline
def multiply_rows(
    network: Network, layer: int, factor: float, values: Array, B: int, first: int, rows: int, n: int, last: int
) -> None:
    """Z = A @ W * factor + b for `rows` places of a block of B from `first` on, whose A was brought, and columns
    n..last, where panels begin."""
    layers, params, words, terms = network.layers, network.params, network.words, network.layers[layer, TERMS]
    N, pairs, width = layers[layer, N_], pairs_of(layers[layer, K_]), lanes(params)
    left, _, _ = places(network, layer, B)
    while n < last:
        wide = panel_width(params, N - n, layers[layer, PANEL])
        w, apart = WEIGHTS_PLACE, pairs * wide
        if layers[layer, THIRDS] == WHOLE:
            w, apart = WEIGHTS_PLACE + n * pairs, pairs * padded_columns(network, layer)
        else:
            _split_panel(network, layer, n, w, apart)
        for top in range(0, rows, TALL):
            tall, a = min(TALL, rows - top), left + top * pairs
            multiply_thirds(tall, wide, terms, words, a, rows_of(B) * pairs, words, w, apart, pairs, words, PRODUCT)
            for j in range(n, min(n + wide, N), width):
                b, some = load_first(params, layers[layer, BIAS] + j, N - j, 0.0, 1), min(width, N - j)
                for i in range(tall):
                    z = load(words, PRODUCT + i * wide + j - n, 1)
                    to = B * layers[layer + 1, KEPT] + (first + top + i) * N + j
                    store_first(values, to, some, multiply_add(factor, z, b))
        n += wide


@kernel
def thirds_forward(
    network: Network, layer: int, A: Matrix, values: Array, B: int, begin: int, end: int, n: int, columns: int
) -> None:
    """Z = A @ W + b for rows begin..end of a block of B and so many columns from n on, where a panel begins. A is these
    rows' input, Z lies in `values`."""
    K = network.layers[layer, K_]
    left, _, _ = places(network, layer, B)
    for first in range(begin, end, ROWS):
        rows, at = min(ROWS, end - first), A.offset + (first - begin) * A.row
        _bring_rows(A.data, at, rows, K, network.words, left, rows_of(B) * pairs_of(K))
        multiply_rows(network, layer, 1.0, values, B, first, rows, n, n + columns)


@kernel
def thirds_backward(
    network: Network, layer: int, values: Array, B: int, begin: int, end: int, k: int, columns: int
) -> None:
    """dA = dZ @ W.T for rows begin..end of a block of B and so many columns from k on, where a panel of W.T begins."""
    layers, words, last, width = network.layers, network.words, k + columns, lanes(values)
    K, N, pairs = layers[layer, K_], layers[layer, N_], pairs_of(layers[layer, N_])
    left, _, _ = places(network, layer, B)
    for first in range(begin, end, ROWS):
        rows, at, panel = min(ROWS, end - first), B * layers[layer + 1, GRADIENT] + first * N, k
        _bring_rows(values, at, rows, N, words, left, rows_of(B) * pairs)
        while panel < last:
            wide = panel_width(values, K - panel, DEEP)
            _split_transposed(network, layer, panel, wide)
            for top in range(0, rows, TALL):
                tall, w, a = min(TALL, rows - top), WEIGHTS_PLACE, left + top * pairs
                multiply_thirds(
                    tall, wide, 3, words, a, rows_of(B) * pairs, words, w, pairs * wide, pairs, words, PRODUCT
                )
                for i in range(tall):
                    to = B * layers[layer, GRADIENT] + (first + top + i) * K
                    for j in range(panel, min(panel + wide, last), width):
                        x = load(words, PRODUCT + i * wide + j - panel, 1)
                        store_first(values, to + j, min(width, last - j), x)
            panel += wide


@noinline
def begin_gradients(
    network: Network, layer: int, values: Array, B: int, first: int, rows: int, n: int, last: int, factor: float
) -> None:
    """What the gradients of columns n..last need of dZ, over `rows` places of a block of B from `first` on. factor: by
    which the first layer's features are multiplied."""
    words, N, width = network.words, network.layers[layer, N_], lanes(values)
    _, _, gradients = places(network, layer, rows)
    z, pairs = B * network.layers[layer + 1, GRADIENT] + first * N, pairs_of(rows)
    apart, factor = pairs * padded_columns(network, layer), factor if network.layers[layer, TERMS] == 1 else 1.0
    while n < last:
        wide = panel_width(values, N - n, network.layers[layer, PANEL])
        for pair in range(pairs):
            for j in range(0, wide, width):
                low, high = _two_rows(values, z + n + j, N, 2 * pair, rows, N - n - j)
                to = gradients + n * pairs + right_place(pair, wide) + j * SIDE
                _store_thirds(words, to, apart, low * factor, high * factor)
        n += wide


@kernel
def bring_inputs(network: Network, layer: int, A: Matrix, rows: int, begin: int, end: int) -> int:
    """What the gradients of up to INPUTS inputs begin..end need of so many rows of A, whose transpose is
    given; returns the first that was not brought."""
    _, inputs, _ = places(network, layer, rows)
    last, K = min(end, begin + INPUTS), network.layers[layer, K_]
    _bring_columns(A.data, A.offset, rows, begin, last, K, network.words, inputs)
    return last


@noinline
def thirds_gradient(
    network: Network, layer: int, rows: int, k: int, count: int, n: int, wide: int, out: Array, to: int
) -> None:
    """Up to TALL rows of dW over so many rows of a batch, from the k-th input that was brought on, and the panel of
    columns n.., as [input][wide]; as many more may be written as make up TALL."""
    _, inputs, gradients = places(network, layer, rows)
    words, pairs = network.words, pairs_of(rows)
    a, b, apart = inputs + k * pairs, gradients + n * pairs, pairs * padded_columns(network, layer)
    multiply_thirds(
        count, wide, network.layers[layer, TERMS], words, a, INPUTS * pairs, words, b, apart, pairs, out, to
    )
