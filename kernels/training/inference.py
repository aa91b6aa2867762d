"""Rows forward through a network, without a step: predictions, and the loss over a data set."""

from __future__ import annotations

from ..activations import SIGMOID, activate
from ..compiling.compile import Array, entry, kernel
from ..losses import BINARY, SOFTMAX
from ..network import ACTIVATION, INPUT, K_, N_, Network, Rows, widen_row
from ..panels import Matrix, multiply
from ..simd.partial import load_first, store_first
from ..simd.vectors import lanes, numbers_at
from ..softmax import softmax
from ..sync import begin_together, end_together, next_part
from .passes import forward
from .rows import BLOCK, Batch, Data, consecutive_rows, logits_loss, seen_finite, total


@entry
def predict_or_evaluate(
    t: int,
    threads: int,
    control: Array,
    network: Network,
    data: Data,
    m: int,
    batch: Batch,
    out: Array,
    finite: Array,
    losses: Array,
    right: Array,
) -> None:
    """As many blocks of rows as thread t gets at; batch is its own. One function, as half of it is the same: two take
    4 seconds more to compile.

    Their rows of out (m * N,): probabilities, or values where the loss is SQUARED; data holds features alone. finite[t]
    becomes False if these were not seen to be finite in all its rows: before the threads part, as none but the first
    returns when the work is done. Or, if out is empty, each block's summed loss to losses (blocks,), and how many are
    right to right (blocks,).
    """
    begin_together(control, t)
    block = next_part(control, threads, -1)
    while block * BLOCK < m:
        start, B = block * BLOCK, min(BLOCK, m - block * BLOCK)
        if len(out) > 0:
            finite[t] &= seen_finite(network, data, start, B, batch.values)
        consecutive_rows(network, data, batch, start, B)
        forward(network, batch.values, B, 0, B, 1, 0)
        if len(out) > 0:
            _put_outputs(network, data.loss, batch, start, B, out)
        else:
            right[block] = logits_loss(network, data, batch, B, 0, B, 1.0)
            losses[block] = total(batch.losses, 0, B)
        block = next_part(control, threads, block)
    end_together(control, t, threads)


@kernel
def _put_outputs(network: Network, loss: int, batch: Batch, start: int, B: int, out: Array) -> None:
    """Outputs of a block of B rows to rows of out from `start` on."""
    last = len(network.layers) - 1
    N, width = network.layers[last - 1, N_], lanes(out)
    z = B * network.layers[last, INPUT]
    for i in range(0, B * N, width):
        n = min(width, B * N - i)
        store_first(out, start * N + i, n, load_first(batch.values, z + i, n, 0.0, 1))
    _finish(loss, out, start * N, B, N, batch.room)


@entry
def predict_few(
    layers: Array, addresses: Array, rows: Rows, m: int, loss: int, values: Array, room: Array, out: Array
) -> None:
    """Outputs of so few rows that packing the weights would take longer: they are where `addresses` says, W and b of
    every layer in turn. values (m * block,) and room, see softmax.py: scratch."""
    last = len(layers) - 1
    for i in range(m):
        widen_row(rows, i, values, i * layers[0, K_], layers[0, K_])
    for layer in range(last):
        K, N = layers[layer, K_], layers[layer, N_]
        W, b = numbers_at(addresses[2 * layer], K * N, values), numbers_at(addresses[2 * layer + 1], N, values)
        A = Matrix(values, m * layers[layer, INPUT], K, 1)
        Z = Matrix(values, m * layers[layer + 1, INPUT], N, 1)
        if layer == last - 1:
            Z = Matrix(out, 0, N, 1)
        multiply(m, N, K, A, Matrix(W, 0, N, 1), Matrix(b, 0, 0, 1), Z)
        if layer < last - 1:
            activate(layers[layer, ACTIVATION], values, values, Z.offset, m * N)
    _finish(loss, out, 0, m, layers[last - 1, N_], room)


@kernel
def _finish(loss: int, out: Array, at: int, rows: int, N: int, room: Array) -> None:
    """From logits to probabilities, if the loss has any."""
    if loss == SOFTMAX:
        softmax(out, out, at, rows, N, room)
    elif loss == BINARY:
        activate(SIGMOID, out, out, at, rows * N)
