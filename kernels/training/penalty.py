"""The penalty on large weights, as scikit-learn's estimators count it. Reference: `loss_and_gradient` in
fastnn/reference.py."""

from __future__ import annotations

from typing import NamedTuple

from ..compiling.compile import Array, kernel
from ..network import K_, N_, PANEL, WEIGHTS, Network
from ..panels import panel_width
from ..simd.arithmetic import multiply_add, sum_lanes
from ..simd.partial import load_first
from ..simd.vectors import full, lanes
from ..sync import share
from .rows import total

# Rows of a W whose squares a thread adds up at a time; the sums are then added in the rows' order.
ROWS_SQUARED = 32


class Terms(NamedTuple):
    """What is added to the mean loss: half of `penalty` times the sum of all squared weights, by what the batch's rows
    count. divisor: of the reported loss. squares (float64): room for that sum, one for ROWS_SQUARED rows of a W."""

    penalty: float
    divisor: float
    squares: Array


@kernel
def _sum_squares(network: Network, layer: int, begin: int, end: int, first: int, last: int) -> float:
    """Of rows begin..end and columns first..last of a layer's W, a register of columns after the other, however wide
    its panels are."""
    params, K, N = network.params, network.layers[layer, K_], network.layers[layer, N_]
    sums, n = full(params, 0.0, 1), 0
    while n < last:
        wide = panel_width(params, N - n, network.layers[layer, PANEL])
        for j in range(max(n, first), min(n + wide, last), lanes(params)):
            at = network.layers[layer, WEIGHTS] + n * K + j - n
            for k in range(begin, end):
                some = load_first(params, at + k * wide, min(lanes(params), last - j), 0.0, 1)
                sums = multiply_add(some, some, sums)
        n += wide
    result: float = sum_lanes(sums)
    return result


@kernel
def square_slice(network: Network, squares: Array, at: int, first: int, last: int) -> None:
    """To squares[at] and on: those of hidden units first..last of a network with one hidden layer, their columns of the
    first W and their rows of the second."""
    for k in range(0, network.layers[0, K_], ROWS_SQUARED):
        squares[at] = _sum_squares(network, 0, k, min(network.layers[0, K_], k + ROWS_SQUARED), first, last)
        at += 1
    for k in range(first, last, ROWS_SQUARED):
        squares[at] = _sum_squares(network, 1, k, min(last, k + ROWS_SQUARED), 0, network.layers[1, N_])
        at += 1


@kernel
def square_weights(network: Network, squares: Array, t: int, threads: int) -> None:
    """Thread t's rows of every W, ROWS_SQUARED at a time."""
    first = 0
    for layer in range(len(network.layers) - 1):
        K = network.layers[layer, K_]
        begin, end = share(K, ROWS_SQUARED, t, threads)
        for k in range(begin, end, ROWS_SQUARED):
            part = _sum_squares(network, layer, k, min(end, k + ROWS_SQUARED), 0, network.layers[layer, N_])
            squares[first + k // ROWS_SQUARED] = part
        first += (K + ROWS_SQUARED - 1) // ROWS_SQUARED


@kernel
def objective(terms: Terms, weighted: bool, loss: float, B: int, scale: float) -> float:
    """A batch's loss and penalty times its rows; `loss` is the sum of theirs, `scale` is one by what they count."""
    value = loss
    if weighted:
        value *= B * scale
    value /= terms.divisor
    if terms.penalty > 0.0:
        value += 0.5 * terms.penalty * B * scale * total(terms.squares, 0, len(terms.squares))
    return value
