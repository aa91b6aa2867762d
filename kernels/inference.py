"""Rows forward through a network, without a step: predictions, and the loss over a data set."""

from __future__ import annotations

from .activations import SIGMOID, activate, softmax
from .compile import Array, entry
from .losses import BINARY, SOFTMAX
from .network import INPUT, N_, Network, forward
from .simd import lanes, load_first, store_first
from .steps import BLOCK, Batch, Data, input_layer, rows_loss, total
from .sync import share


@entry
def predict(t: int, threads: int, network: Network, data: Data, m: int, batch: Batch, out: Array) -> None:
    """Thread t's rows of out (m * N,): probabilities, or values where the loss is SQUARED. batch is its own; data holds
    features alone."""
    last = len(network.layers) - 1
    N, width = network.layers[last - 1, N_], lanes(out)
    begin, end = share(m, BLOCK, t, threads)
    for start in range(begin, end, BLOCK):
        B = min(BLOCK, end - start)
        for i in range(B):
            batch.numbers[i] = start + i
        input_layer(network, data, batch, batch.values, B, 0, B, 0, network.layers[0, N_])
        forward(network, batch.values, B, 0, B, 1)
        z = B * network.layers[last, INPUT]
        for i in range(0, B * N, width):
            n = min(width, B * N - i)
            store_first(out, start * N + i, n, load_first(batch.values, z + i, n, 0.0, 1))
        if data.loss == SOFTMAX:
            softmax(out, out, start * N, B, N)
        elif data.loss == BINARY:
            activate(SIGMOID, out, out, start * N, B * N)


@entry
def evaluate(
    t: int, threads: int, network: Network, data: Data, m: int, batch: Batch, losses: Array, right: Array
) -> None:
    """Thread t's rows: every block's summed loss to losses (blocks,) and its right rows to right (blocks,)."""
    begin, end = share(m, BLOCK, t, threads)
    for start in range(begin, end, BLOCK):
        B = min(BLOCK, end - start)
        for i in range(B):
            batch.numbers[i] = start + i
        input_layer(network, data, batch, batch.values, B, 0, B, 0, network.layers[0, N_])
        block = start // BLOCK
        right[block] = rows_loss(network, data, batch, B, 0, B, 1.0)
        losses[block] = total(batch.losses, 0, B)
