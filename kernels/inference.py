"""Rows forward through a network, without a step: predictions, and the loss over a data set."""

from __future__ import annotations

from .activations import SIGMOID, activate, softmax
from .compile import Array, entry
from .losses import BINARY, SOFTMAX
from .network import INPUT, K_, N_, Network, Rows, forward, widen_row
from .simd import lanes, load_first, store_first
from .steps import BLOCK, Buffers, Data, fetch, number, rows_loss, total
from .sync import share


@entry
def predict(
    t: int, threads: int, network: Network, rows: Rows, m: int, loss: int, buffers: Buffers, out: Array
) -> None:
    """Thread t's rows of out (m * N,): probabilities, or values where the loss is SQUARED. buffers are its own."""
    last = len(network.layers) - 1
    K, N = network.layers[0, K_], network.layers[last - 1, N_]
    begin, end = share(m, BLOCK, t, threads)
    for start in range(begin, end, BLOCK):
        B = min(BLOCK, end - start)
        for i in range(B):
            widen_row(rows, start + i, buffers.values, i * K, K)
        forward(network, buffers.values, B, 0, B, 0)
        z = B * network.layers[last, INPUT]
        width = lanes(out)
        for i in range(0, B * N, width):
            n = min(width, B * N - i)
            store_first(out, start * N + i, n, load_first(buffers.values, z + i, n, 0.0, 1))
        if loss == SOFTMAX:
            softmax(out, out, start * N, B, N)
        elif loss == BINARY:
            activate(SIGMOID, out, out, start * N, B * N)


@entry
def evaluate(
    t: int, threads: int, network: Network, data: Data, m: int, buffers: Buffers, losses: Array, right: Array
) -> None:
    """Thread t's rows: every block's summed loss to losses (blocks,) and its right rows to right (blocks,)."""
    begin, end = share(m, BLOCK, t, threads)
    for start in range(begin, end, BLOCK):
        B = min(BLOCK, end - start)
        number(buffers.numbers, 0, B, start)
        fetch(network, data, buffers, 0, B)
        block = start // BLOCK
        right[block] = rows_loss(network, data, buffers, B, 0, B, 1.0)
        losses[block] = total(buffers.losses, 0, B)
