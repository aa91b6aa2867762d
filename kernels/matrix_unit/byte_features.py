"""The first layer on the matrix unit, of features that are bytes: see thirds.py."""

from __future__ import annotations

from ..compiling.compile import Array, kernel, noinline
from ..network import K_, LINE, TERMS, Network, Rows
from ..simd.vectors import prefetch_bytes_later
from .halves import store_columns, store_row
from .instructions import SIDE
from .products import Split
from .splitting import left_place
from .thirds import INPUTS, ROWS, brought_inputs, brought_rows, in_thirds, multiply_rows


@kernel
def as_bytes(network: Network) -> bool:
    """Whether features go through the matrix unit as bytes."""
    made: bool = in_thirds(network, 0) and network.layers[0, TERMS] == 1
    return made


@noinline
def _bring_rows(rows: Rows, numbers: Array, begin: int, end: int, K: int, out: Split) -> None:
    """Rows numbers[begin:end] of X."""
    for i in range(begin, end):
        address, to = rows.address + numbers[i] * rows.stride, out.at + left_place(i - begin, out.pairs)
        for pair in range(0, out.pairs, SIDE):
            store_row(out.words, to + pair * SIDE, address + 2 * pair, K - 2 * pair)


@kernel
def bytes_forward(
    network: Network, rows: Rows, numbers: Array, values: Array, B: int, begin: int, end: int, n: int, columns: int
) -> None:
    """Z = X @ W + b for places begin..end of a block of B, which hold rows numbers[begin:end], and so many columns from
    n on, where a panel begins."""
    K = network.layers[0, K_]
    for first in range(begin, end, ROWS):
        last = min(first + ROWS, end)
        _bring_rows(rows, numbers, first, last, K, brought_rows(network, 0, B, K))
        multiply_rows(network, 0, rows.factor, values, B, first, last - first, n, n + columns)


@noinline
def bring_bytes(network: Network, rows: Rows, numbers: Array, ahead: Array, count: int, begin: int, end: int) -> int:
    """What the gradients of up to INPUTS inputs begin..end need of X, over numbers[:count], filled up with the last
    one; returns the first input that was not brought.

    Meanwhile as much of the rows `ahead` comes from memory: all at once they would be waited for, 6 us of 62 for 64
    rows of 784.
    """
    K, last, out = network.layers[0, K_], min(end, begin + INPUTS), brought_inputs(network, 0, count)
    for pair in range(0, out.pairs, SIDE):
        for k in range(begin, last, SIDE):
            if (k - begin) % LINE == 0:
                for i in range(2 * pair, min(2 * (pair + SIDE), len(ahead))):
                    prefetch_bytes_later(rows.address + ahead[i] * rows.stride + k)
            to, address = out.at + left_place(k - begin, out.pairs) + pair * SIDE, rows.address + k
            store_columns(out.words, to, SIDE, numbers, 2 * pair, count - 1, address, rows.stride, K - k)
    return last
