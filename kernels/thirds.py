"""The first layer on the matrix unit: whole features, 0 to 255, times weights that are sums of three bfloat16 numbers.

A float32 has 24 binary digits, a bfloat16 the upper 8 of them: cut off, what is left has 16, and so on, so that
x = a + b + c exactly. Features of uint8 are bfloat16 numbers as they are. So three products of the matrix unit make
X @ W, and X.T @ dZ, with all digits, and are still five times as fast as multiply-adds. Reference: `matmul_bias` and
`matmul_bias_backward` in fastnn/reference.py.

W's thirds are made where W is stepped, and lie in Network.thirds as [third][panel][pair of inputs][column]. In a
batch's `words` lie, one after the other: up to ROWS rows of X, [row][pair of inputs]; up to INPUTS of X.T, [input][pair
of rows]; dZ's thirds, [third][panel][pair of rows][column]; and a product of TALL rows.
"""

from __future__ import annotations

from typing import Any

from .arithmetic import multiply_add
from .compile import Array, kernel
from .halves import paired, rest, store_columns, store_row
from .matrix_unit import (
    SIDE,
    claim_registers,
    clear_register,
    load_register,
    multiply_registers,
    release_registers,
    store_register,
)
from .network import BIAS, GRADIENT, K_, KEPT, LINE, N_, PANEL, THIRDS, WEIGHTS, Network, Rows
from .panels import panel_width
from .simd import full, lanes, load, load_first, prefetch_bytes_later, store, store_first

# Rows of a left-hand matrix that are multiplied together: four registers of one column of them, or twice two of two.
TALL = 64

# Rows of X that are brought at a time, 400 KB of L2 for 784 inputs, so that W's thirds, which may be in L3, are read
# but once for them; and inputs of X.T.
ROWS, INPUTS = 256, 1024

# Inputs that a register takes at once.
DEEP = 2 * SIDE


@kernel
def in_thirds(network: Network) -> bool:
    """Whether the first layer is made on the matrix unit."""
    return len(network.thirds) > 0


@kernel
def claim_unit(network: Network) -> None:
    """Before a thread uses the matrix unit."""
    if in_thirds(network):
        claim_registers(network.thirds)


@kernel
def release_unit(network: Network) -> None:
    """When it will not any more."""
    if in_thirds(network):
        release_registers(network.thirds)


@kernel
def pairs_of(count: int) -> int:
    """Pairs of so many inputs or rows, filled up to whole registers."""
    return (count + DEEP - 1) // DEEP * SIDE


@kernel
def padded_columns(network: Network) -> int:
    """Of the first layer's W in its panels."""
    columns: int = (network.layers[0, BIAS] - network.layers[0, WEIGHTS]) // network.layers[0, K_]
    return columns


# --- bringing numbers into their form


@kernel
def _store_thirds(words: Array, at: int, apart: int, low: Any, high: Any) -> None:
    """A register of pairs of each third, so many words apart."""
    store(words, at, paired(low, high))
    low, high = rest(low), rest(high)
    store(words, at + apart, paired(low, high))
    store(words, at + 2 * apart, paired(rest(low), rest(high)))


@kernel
def split_weights(network: Network, begin: int, rows: int, n: int, W: Array, w: int) -> None:
    """Rows from `begin` on, which is even, of the panel of the first layer's W that begins with column n: they lie in W
    from w on, [row][column]."""
    layers, thirds = network.layers, network.thirds
    pairs, width, zero = pairs_of(layers[0, K_]), lanes(W), full(W, 0.0, 1)
    wide, apart = panel_width(W, layers[0, N_] - n, layers[0, PANEL]), pairs * padded_columns(network)
    to = layers[0, THIRDS] + n * pairs + begin // 2 * wide
    whole = rows // 2 * wide
    for j in range(0, whole, wide):
        for i in range(j, j + wide, width):
            _store_thirds(thirds, to + i, apart, load(W, w + i + j, 1), load(W, w + i + j + wide, 1))
    if rows % 2 == 1:
        for i in range(whole, whole + wide, width):
            _store_thirds(thirds, to + i, apart, load(W, w + i + whole, 1), zero)


@kernel
def _split_gradients(
    network: Network, values: Array, z: int, rows: int, n: int, last: int, factor: float, words: Array, to: int
) -> None:
    """Columns n..last of so many rows of dZ, which begin at z, times the factor."""
    N, pairs, width, zero = network.layers[0, N_], pairs_of(rows), lanes(values), full(values, 0.0, 1)
    apart = pairs * padded_columns(network)
    while n < last:
        wide = panel_width(values, N - n, network.layers[0, PANEL])
        for pair in range(pairs):
            for j in range(0, wide, width):
                low, high, at = zero, zero, z + 2 * pair * N + n + j
                if 2 * pair < rows:
                    low = load_first(values, at, N - n - j, 0.0, 1) * factor
                if 2 * pair + 1 < rows:
                    high = load_first(values, at + N, N - n - j, 0.0, 1) * factor
                _store_thirds(words, to + n * pairs + pair * wide + j, apart, low, high)
        n += wide


@kernel
def _bring_rows(rows: Rows, numbers: Array, begin: int, end: int, K: int, words: Array) -> None:
    """Rows numbers[begin:end] of X, as [row][pair of inputs]."""
    pairs = pairs_of(K)
    for i in range(begin, end):
        address, to = rows.address + numbers[i] * rows.stride, (i - begin) * pairs
        for pair in range(0, pairs, SIDE):
            store_row(words, to + pair, address + 2 * pair, K - 2 * pair)


@kernel
def _bring_columns(
    rows: Rows, numbers: Array, count: int, ahead: Array, begin: int, end: int, K: int, words: Array, to: int
) -> None:
    """Inputs begin..end of rows numbers[:count] of X, as [input][pair of rows], filled up with the last one. Meanwhile
    as much of the rows `ahead` comes from memory: all at once they would be waited for, 6 us of 62 for 64 rows."""
    pairs = pairs_of(count)
    for pair in range(0, pairs, SIDE):
        for k in range(begin, end, SIDE):
            if (k - begin) % LINE == 0:
                for i in range(2 * pair, min(2 * (pair + SIDE), len(ahead))):
                    prefetch_bytes_later(rows.address + ahead[i] * rows.stride + k)
            out, address = to + (k - begin) * pairs + pair, rows.address + k
            store_columns(words, out, pairs, numbers, 2 * pair, count - 1, address, rows.stride, K - k)


# --- products of TALL rows and a panel


@kernel
def _multiply_wide(A: Array, a: int, row: int, B: Array, b: int, apart: int, pairs: int, out: Array, to: int) -> None:
    """So many pairs deep, half of TALL rows of A and a panel of two registers of B's thirds; out as [row][column]."""
    clear_register(out, 0)
    clear_register(out, 1)
    clear_register(out, 2)
    clear_register(out, 3)
    for pair in range(0, pairs, SIDE):
        load_register(A, a + pair, row, 4)
        load_register(A, a + SIDE * row + pair, row, 5)
        for third in range(3):
            at = b + third * apart + pair * 2 * SIDE
            load_register(B, at, 2 * SIDE, 6)
            load_register(B, at + SIDE, 2 * SIDE, 7)
            multiply_registers(out, 0, 4, 6)
            multiply_registers(out, 1, 4, 7)
            multiply_registers(out, 2, 5, 6)
            multiply_registers(out, 3, 5, 7)
    store_register(out, to, 2 * SIDE, 0)
    store_register(out, to + SIDE, 2 * SIDE, 1)
    store_register(out, to + 2 * SIDE * SIDE, 2 * SIDE, 2)
    store_register(out, to + 2 * SIDE * SIDE + SIDE, 2 * SIDE, 3)


@kernel
def _multiply_narrow(A: Array, a: int, row: int, B: Array, b: int, apart: int, pairs: int, out: Array, to: int) -> None:
    """The same for all TALL rows and a panel of one register."""
    clear_register(out, 0)
    clear_register(out, 1)
    clear_register(out, 2)
    clear_register(out, 3)
    for pair in range(0, pairs, SIDE):
        at = b + pair * SIDE
        load_register(B, at, SIDE, 5)
        load_register(B, at + apart, SIDE, 6)
        load_register(B, at + 2 * apart, SIDE, 7)
        load_register(A, a + pair, row, 4)
        multiply_registers(out, 0, 4, 5)
        multiply_registers(out, 0, 4, 6)
        multiply_registers(out, 0, 4, 7)
        load_register(A, a + SIDE * row + pair, row, 4)
        multiply_registers(out, 1, 4, 5)
        multiply_registers(out, 1, 4, 6)
        multiply_registers(out, 1, 4, 7)
        load_register(A, a + 2 * SIDE * row + pair, row, 4)
        multiply_registers(out, 2, 4, 5)
        multiply_registers(out, 2, 4, 6)
        multiply_registers(out, 2, 4, 7)
        load_register(A, a + 3 * SIDE * row + pair, row, 4)
        multiply_registers(out, 3, 4, 5)
        multiply_registers(out, 3, 4, 6)
        multiply_registers(out, 3, 4, 7)
    store_register(out, to, SIDE, 0)
    store_register(out, to + SIDE * SIDE, SIDE, 1)
    store_register(out, to + 2 * SIDE * SIDE, SIDE, 2)
    store_register(out, to + 3 * SIDE * SIDE, SIDE, 3)


@kernel
def _multiply(
    rows: int, wide: int, A: Array, a: int, row: int, B: Array, b: int, apart: int, pairs: int, out: Array, to: int
) -> None:
    """Up to TALL rows, as [row][wide]; more of them may be written, which hold anything."""
    if wide == SIDE:
        _multiply_narrow(A, a, row, B, b, apart, pairs, out, to)
        return
    for i in range(0, rows, 2 * SIDE):
        _multiply_wide(A, a + i * row, row, B, b, apart, pairs, out, to + i * wide)


# --- the layer


@kernel
def _places(network: Network, B: int) -> tuple[int, int, int]:
    """Where in `words` X.T, dZ's thirds and a product lie for a batch of up to B rows."""
    columns = ROWS * pairs_of(network.layers[0, K_])
    gradients = columns + INPUTS * pairs_of(B)
    product = gradients + 3 * padded_columns(network) * pairs_of(B)
    return columns, gradients, product


@kernel
def thirds_forward(
    network: Network,
    rows: Rows,
    numbers: Array,
    words: Array,
    values: Array,
    B: int,
    begin: int,
    end: int,
    n: int,
    columns: int,
) -> None:
    """Z = X @ W + b for places begin..end of a block of B, which hold rows numbers[begin:end], and so many columns from
    n on, where a panel begins."""
    layers, params, last = network.layers, network.params, n + columns
    K, N, pairs, width = layers[0, K_], layers[0, N_], pairs_of(layers[0, K_]), lanes(params)
    _, _, product = _places(network, B)
    for first in range(begin, end, ROWS):
        after, column = min(first + ROWS, end), n
        _bring_rows(rows, numbers, first, after, K, words)
        while column < last:
            wide = panel_width(params, N - column, layers[0, PANEL])
            weights, apart = layers[0, THIRDS] + column * pairs, pairs * padded_columns(network)
            for top in range(first, after, TALL):
                tall, x = min(TALL, after - top), (top - first) * pairs
                _multiply(tall, wide, words, x, pairs, network.thirds, weights, apart, pairs, words, product)
                for j in range(column, min(column + wide, N), width):
                    b, some = load_first(params, layers[0, BIAS] + j, N - j, 0.0, 1), min(width, N - j)
                    for i in range(tall):
                        z = load(words, product + i * wide + j - column, 1)
                        to = B * layers[1, KEPT] + (top + i) * N + j
                        store_first(values, to, some, multiply_add(rows.factor, z, b))
            column += wide


@kernel
def begin_gradients(
    network: Network, rows: Rows, words: Array, values: Array, B: int, first: int, count: int, n: int, last: int
) -> None:
    """What the gradients of columns n..last need of dZ, over `count` rows of a block of B from place `first` on."""
    _, gradients, _ = _places(network, count)
    z = B * network.layers[1, GRADIENT] + first * network.layers[0, N_]
    _split_gradients(network, values, z, count, n, last, rows.factor, words, gradients)


@kernel
def bring_inputs(
    network: Network, rows: Rows, numbers: Array, ahead: Array, words: Array, count: int, begin: int, end: int
) -> int:
    """What the gradients of up to INPUTS inputs begin..end need of X, over numbers[:count]; returns the first input
    that was not brought. ahead: the next rows, which come from memory meanwhile."""
    columns, _, _ = _places(network, count)
    last = min(end, begin + INPUTS)
    _bring_columns(rows, numbers, count, ahead, begin, last, network.layers[0, K_], words, columns)
    return last


@kernel
def thirds_gradient(
    network: Network, words: Array, count: int, k: int, inputs: int, n: int, wide: int, out: Array, to: int
) -> None:
    """Up to TALL `inputs` of dW, from the k-th that was brought on, and the panel of columns n.., as [input][wide]; as
    many more may be written as make up TALL."""
    columns, gradients, _ = _places(network, count)
    pairs, apart = pairs_of(count), pairs_of(count) * padded_columns(network)
    _multiply(inputs, wide, words, columns + k * pairs, pairs, words, gradients + n * pairs, apart, pairs, out, to)


@kernel
def add_thirds(
    network: Network,
    rows: Rows,
    numbers: Array,
    ahead: Array,
    words: Array,
    values: Array,
    B: int,
    first: int,
    count: int,
    out: Array,
    dw: int,
    fresh: bool,
) -> None:
    """dW of `count` rows of a block of B from place `first` on, which are these numbers, from dw on; added to what is
    there unless `fresh`."""
    K, N = network.layers[0, K_], network.layers[0, N_]
    _, _, product = _places(network, count)
    begin_gradients(network, rows, words, values, B, first, count, 0, N)
    top = 0
    while top < K:
        bottom, n = bring_inputs(network, rows, numbers, ahead, words, count, top, K), 0
        while n < N:
            wide = panel_width(out, N - n, network.layers[0, PANEL])
            for k in range(top, bottom, TALL):
                some, to = min(TALL, bottom - k), dw + n * K + k * wide
                thirds_gradient(network, words, count, k - top, some, n, wide, words, product)
                for i in range(0, some * wide, lanes(out)):
                    x = load(words, product + i, 1)
                    store(out, to + i, x if fresh else load(out, to + i, 1) + x)
            n += wide
        top = bottom
