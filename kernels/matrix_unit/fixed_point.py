"""The first layer in float64 on the matrix unit, of features that are bytes: W and dZ are taken apart into digits.

See digits.py for what is lost. Reference: `matmul_bias` and `matmul_bias_backward` in fastnn/reference.py.

All matrices lie in Network.words, a thread's scratch, in squares: registers of the unit, of 16 rows of 64 bytes. Those
of a left-hand matrix have 16 of its rows; those of a right-hand one 16 of its columns, one digit of each, with 64 rows,
four to a word. In `words` lie, one after the other, the sums of a product; the steps of a panel of dZ, and of W's
columns; W, or a panel of it; rows of A; rows of A.T; and a panel of dZ.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..compiling.compile import Array, kernel, noinline
from ..network import BIAS, GRADIENT, K_, KEPT, LINE, N_, PANEL, THIRDS, WEIGHTS, WHOLE, Network, Rows
from ..panels import Matrix, below, panel_width
from ..simd.arithmetic import multiply_add
from ..simd.partial import load_first, store_first
from ..simd.vectors import full, lanes, load, prefetch_bytes_later, store
from .byte_rows import ROW_BYTES, store_columns, store_row
from .digits import (
    DIGITS,
    in_digits,
    inverse_step,
    larger,
    load_side,
    step_of_sums,
    store_digits,
    sum_digits,
)
from .instructions import SIDE, clear_sums, load_register, multiply_bytes, store_register
from .thirds import INPUTS, ROWS, padded_columns

# Numbers that a row of a square takes, and all of it.
ROW = ROW_BYTES // 8
SQUARE = SIDE * ROW

# Where in `words` the steps of dZ's columns lie, behind the sums of a product, and those of W's.
GRADIENT_STEPS = DIGITS * SQUARE
WEIGHT_STEPS = GRADIENT_STEPS + SIDE


class Squares(NamedTuple):
    """A matrix in squares: where it begins, and how many lie side by side along the depth of a product."""

    words: Array
    at: int
    deep: int


@kernel
def _deep(count: int) -> int:
    """Squares of so many bytes."""
    return (count + ROW_BYTES - 1) // ROW_BYTES


@kernel
def _side(count: int) -> int:
    """Numbers that SIDE columns of so many rows take, all digits."""
    return DIGITS * _deep(count) * SQUARE


@kernel
def _places(network: Network, B: int) -> tuple[int, int, int, int]:
    """Where in `words` W, rows of A and of A.T, and dZ lie for B rows."""
    K, tiles = network.layers[0, K_], 1
    if network.layers[0, THIRDS] == WHOLE:
        tiles = (padded_columns(network, 0) + SIDE - 1) // SIDE
    weights = WEIGHT_STEPS + tiles * SIDE
    rows = weights + tiles * _side(K)
    inputs = rows + min((B + SIDE - 1) // SIDE, ROWS // SIDE) * _deep(K) * SQUARE
    return weights, rows, inputs, inputs + INPUTS // SIDE * _deep(B) * SQUARE


# --- taken apart


@kernel
def _four_rows(
    B: Matrix, k: int, inverse: Any, words: Array, at: int, apart: int, a: int, b: int, c: int, d: int
) -> None:
    """Rows k to k + 3, so many columns of each, as digits, which are so far apart."""
    start = B.offset + k * B.row
    store_digits(
        words,
        at,
        apart,
        in_digits(load_side(B.data, start, a), inverse),
        in_digits(load_side(B.data, start + B.row, b), inverse),
        in_digits(load_side(B.data, start + 2 * B.row, c), inverse),
        in_digits(load_side(B.data, start + 3 * B.row, d), inverse),
    )


@noinline
def take_apart(depth: int, columns: int, B: Matrix, factor: float, words: Array, steps: int, at: int) -> None:
    """Up to SIDE columns of B, whose rows are contiguous, as digits, and their steps times the factor."""
    largest = load_side(B.data, B.offset, 0)
    for k in range(depth):
        largest = larger(largest, load_side(B.data, B.offset + k * B.row, columns))
    store(words, steps, step_of_sums(largest) * factor)
    inverse, apart, whole = inverse_step(largest), _deep(depth) * SQUARE, depth // 4 * 4
    for k in range(0, whole, 4):
        _four_rows(B, k, inverse, words, at + k // 4 * ROW, apart, columns, columns, columns, columns)
    if whole < depth:
        b, c = columns * (whole + 1 < depth), columns * (whole + 2 < depth)
        _four_rows(B, whole, inverse, words, at + whole // 4 * ROW, apart, columns, b, c, 0)
    zeros, filled = full(words, 0.0, 1), (depth + 3) // 4 * ROW
    for to in range(at, at + DIGITS * apart, apart):
        for k in range(filled, apart, ROW):
            store(words, to + k, zeros)


@kernel
def _take_weights_apart(network: Network, factor: float, n: int, steps: int, at: int) -> None:
    """The panel of W that begins with column n."""
    params, K = network.params, network.layers[0, K_]
    wide = panel_width(params, network.layers[0, N_] - n, network.layers[0, PANEL])
    W = Matrix(params, network.layers[0, WEIGHTS] + n * K, wide, 1)
    take_apart(K, wide, W, factor, network.words, steps, at)


@kernel
def split_weights(network: Network, factor: float) -> None:
    """All of W, where that is done before a step. factor: by which features are multiplied."""
    weights, _, _, _ = _places(network, 0)
    if network.layers[0, THIRDS] == WHOLE:
        for n in range(0, network.layers[0, N_], SIDE):
            to = weights + n // SIDE * _side(network.layers[0, K_])
            _take_weights_apart(network, factor, n, WEIGHT_STEPS + n, to)


# --- the product


@kernel
def _multiply(A: Squares, i: int, right: int, digit: int) -> None:
    """SIDE rows of A from the i-th on, times SIDE columns whose digits begin at `right`: what is summed for this digit
    and the next three, as far as there are any."""
    words, deep = A.words, A.deep * SQUARE
    left, right = A.at + i // SIDE * deep, right + digit * deep
    clear_sums(words)
    for k in range(0, deep, SQUARE):
        load_register(words, left + k, ROW, 4)
        load_register(words, right + k, ROW, 5)
        multiply_bytes(words, 0, 4, 5)
        load_register(words, right + deep + k, ROW, 6)
        multiply_bytes(words, 1, 4, 6)
        load_register(words, right + 2 * deep + k, ROW, 7)
        multiply_bytes(words, 2, 4, 7)
        if digit + 3 < DIGITS:
            load_register(words, right + 3 * deep + k, ROW, 5)
            multiply_bytes(words, 3, 4, 5)
    to = digit * SQUARE
    store_register(words, to, ROW, 0)
    store_register(words, to + SQUARE, ROW, 1)
    store_register(words, to + 2 * SQUARE, ROW, 2)
    if digit + 3 < DIGITS:
        store_register(words, to + 3 * SQUARE, ROW, 3)


@kernel
def _finish(words: Array, rows: int, columns: int, steps: int, b: Matrix, C: Matrix) -> None:
    """So many rows of C = the sums * their steps + b."""
    for j in range(0, columns, lanes(words)):
        start, step = load_first(b.data, b.offset + j, columns - j, 0.0, 1), load(words, steps + j, 1)
        for i in range(rows):
            x = multiply_add(sum_digits(words, i * ROW, j), step, start)
            store_first(C.data, C.offset + i * C.row + j, columns - j, x)


@noinline
def multiply_apart(
    rows: int, columns: int, A: Squares, first: int, right: int, steps: int, b: Matrix, C: Matrix
) -> None:
    """C = A @ B + b for so many rows of A from `first` on and up to SIDE columns of B, whose digits begin at `right`.

    Putting the sums of some rows together while the unit multiplies the next ones is slower: 64-100, 200 rows, 20 to 23
    us forward.
    """
    for i in range(0, rows, SIDE):
        for digit in range(0, DIGITS, 4):
            _multiply(A, first + i, right, digit)
        _finish(A.words, min(SIDE, rows - i), columns, steps, b, below(C, i))


# --- the layer


@noinline
def _bring_rows(rows: Rows, numbers: Array, begin: int, end: int, K: int, out: Squares) -> None:
    """Rows numbers[begin:end] of X."""
    for i in range(end - begin):
        to = out.at + i // SIDE * out.deep * SQUARE + i % SIDE * ROW
        address = rows.address + numbers[begin + i] * rows.stride
        for k in range(out.deep):
            store_row(out.words, to + k * SQUARE, address + k * ROW_BYTES, K - k * ROW_BYTES)


@kernel
def bytes_forward(
    network: Network, rows: Rows, numbers: Array, values: Array, B: int, begin: int, end: int, n: int, columns: int
) -> None:
    """Z = X @ W + b for places begin..end of a block of B, which hold rows numbers[begin:end], and so many columns from
    n on, where a panel begins."""
    K, N, words = network.layers[0, K_], network.layers[0, N_], network.words
    weights, at, _, _ = _places(network, B)
    A = Squares(words, at, _deep(K))
    for first in range(begin, end, ROWS):
        last, z = min(first + ROWS, end), B * network.layers[1, KEPT] + first * N
        _bring_rows(rows, numbers, first, last, K, A)
        for panel in range(n, n + columns, SIDE):
            right, steps = weights, WEIGHT_STEPS
            if network.layers[0, THIRDS] == WHOLE:
                right, steps = weights + panel // SIDE * _side(K), WEIGHT_STEPS + panel
            else:
                _take_weights_apart(network, rows.factor, panel, steps, right)
            b, Z = Matrix(network.params, network.layers[0, BIAS] + panel, 0, 1), Matrix(values, z + panel, N, 1)
            wide = min(SIDE, n + columns - panel)
            multiply_apart(last - first, wide, A, 0, right, steps, b, Z)


@kernel
def begin_gradients(
    network: Network, layer: int, values: Array, B: int, first: int, rows: int, n: int, last: int, factor: float
) -> None:
    """What the gradients of the panel of columns n..last need of dZ, over `rows` places of a block of B from `first`.
    factor: by which features are multiplied."""
    N, z = network.layers[0, N_], B * network.layers[1, GRADIENT]
    _, _, _, at = _places(network, rows)
    take_apart(rows, last - n, Matrix(values, z + first * N + n, N, 1), factor, network.words, GRADIENT_STEPS, at)


@noinline
def bring_bytes(network: Network, rows: Rows, numbers: Array, ahead: Array, count: int, begin: int, end: int) -> int:
    """What the gradients of up to INPUTS inputs begin..end need of X, over numbers[:count], filled up with the last
    one; returns the first input that was not brought. Meanwhile rows `ahead` come from memory."""
    K, last, deep, words = network.layers[0, K_], min(end, begin + INPUTS), _deep(count), network.words
    _, _, at, _ = _places(network, count)
    for part in range(deep):
        for k in range(begin, last, SIDE):
            if (k - begin) % LINE == 0:
                for i in range(ROW_BYTES * part, min(ROW_BYTES * (part + 1), len(ahead))):
                    prefetch_bytes_later(rows.address + ahead[i] * rows.stride + k)
            to, address = at + ((k - begin) // SIDE * deep + part) * SQUARE, rows.address + k
            store_columns(words, to, ROW, numbers, ROW_BYTES * part, count - 1, address, rows.stride, K - k)
    return last


@kernel
def bytes_gradient(
    network: Network, layer: int, rows: int, k: int, count: int, n: int, wide: int, out: Array, to: int
) -> None:
    """So many rows of dW over so many rows of a batch, from the k-th input that was brought on, and the panel of
    columns n.., as [input][wide]."""
    _, _, inputs, at = _places(network, rows)
    A, zero = Squares(network.words, inputs, _deep(rows)), Matrix(network.zero, 0, 0, 1)
    multiply_apart(count, wide, A, k, at, GRADIENT_STEPS, zero, Matrix(out, to, wide, 1))
