"""The parts of one step over a block of rows: forward and loss, gradients, and the optimizer's step on every weight.

Reference: `train_step` in fastnn/reference.py. training.py makes whole epochs of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .compile import Array, kernel
from .losses import loss_backward
from .matmul import Matrix, multiply_panel, sum_columns
from .network import (
    BIAS,
    INPUT,
    K_,
    N_,
    WEIGHTS,
    Network,
    Rows,
    forward,
    gradient_of,
    panel_width,
    transpose_rows,
    widen_row,
)
from .optimizers import Rule, update
from .simd import TILE_ROWS, lanes, load_first, store_first
from .sparse import Compressed, add_block_gradient, first_layer
from .sync import share

# Rows that pass through a network together in full-batch training and prediction: 128 x 784 float32 are 400 KB of L2.
BLOCK = 128

# Rows of W whose gradient is made at a time: one narrow tile, or two wide ones.
STRIP = 2 * TILE_ROWS


class Data(NamedTuple):
    """Features, and what the outputs should be: labels (m,) int64 for softmax, targets (m * N,) for other losses.

    compressed: the features once more, without their zeros; used instead of rows unless it is empty.
    """

    rows: Rows
    compressed: Compressed
    labels: Array
    targets: Array
    loss: int


class Buffers(NamedTuple):
    """What a block of rows needs: the layers' values and gradients, and for each row its place in the data,
    its label, targets and loss (float64)."""

    values: Array
    gradients: Array
    numbers: Array
    labels: Array
    targets: Array
    losses: Array


class Shards(NamedTuple):
    """Full-batch gradients of each fixed share of the rows (parts * size,), their losses (float64) and right rows."""

    gradients: Array
    losses: Array
    right: Array
    parts: int
    size: int


class Memory(NamedTuple):
    """What the optimizer remembers, laid out as the parameters, and the number of steps taken before."""

    first: Array
    second: Array
    steps: int


# --- rows: forward and backward


@kernel
def number(numbers: Array, begin: int, end: int, first: int) -> None:
    """numbers[begin:end] = first, first + 1, ..."""
    for i in range(begin, end):
        numbers[i] = first + i - begin


@kernel
def fetch(network: Network, data: Data, buffers: Buffers, begin: int, end: int) -> None:
    """Bring rows numbers[begin:end] of the data to their places in the block: features, unless they are compressed, and
    labels or targets. No tuple is opened in a loop: numba counts references to what is in it, 100 ns a row."""
    K, N = network.layers[0, K_], network.layers[len(network.layers) - 2, N_]
    numbers, values, rows = buffers.numbers, buffers.values, data.rows
    if len(data.compressed.starts) == 0:
        for i in range(begin, end):
            widen_row(rows, numbers[i], values, i * K, K)
    labels, all_labels, targets, all_targets = buffers.labels, data.labels, buffers.targets, data.targets
    if len(all_labels) > 0:
        for i in range(begin, end):
            labels[i] = all_labels[numbers[i]]
    else:
        for i in range(begin, end):
            for j in range(N):
                targets[i * N + j] = all_targets[numbers[i] * N + j]


@kernel
def rows_loss(network: Network, data: Data, buffers: Buffers, B: int, begin: int, end: int, scale: float) -> int:
    """Rows begin..end of a block of B forward to their losses, and dZ of their logits; returns how many were right."""
    first = 0
    if len(data.compressed.starts) > 0:
        first_layer(network, data.compressed, buffers.numbers, buffers.values, B, begin, end)
        first = 1
    forward(network, buffers.values, B, begin, end, first)
    last = len(network.layers) - 1
    N = network.layers[last - 1, N_]
    z = B * network.layers[last, INPUT] + begin * N
    labels, targets = buffers.labels[begin:], buffers.targets[begin * N :]
    return loss_backward(data.loss, buffers.values, z, end - begin, N, labels, targets, scale, buffers.losses, begin)


@kernel
def total(numbers: Array, begin: int, end: int) -> float:
    """Their sum, in their order."""
    result = 0.0
    for i in range(begin, end):
        result += numbers[i]
    return result


# --- weights: gradient and step


@kernel
def batch_weights(
    network: Network, source: tuple[Buffers, int], layer: int, k: int, rows: int, n: int, columns: int, scratch: Array
) -> None:
    """Rows k.. and columns n.. of dW = A.T @ dZ over a batch."""
    buffers, B = source
    K, N = network.layers[layer, K_], network.layers[layer, N_]
    A = Matrix(buffers.values, B * network.layers[layer, INPUT] + k, 1, K)
    dz = Matrix(
        gradient_of(network, layer, buffers.values, buffers.gradients), B * network.layers[layer + 1, INPUT] + n, N, 1
    )
    C = Matrix(scratch, 0, panel_width(scratch, N - n), 1)
    multiply_panel(rows, columns, B, A, dz, Matrix(network.zero, 0, 0, 1), C)


@kernel
def batch_bias(network: Network, source: tuple[Buffers, int], layer: int, n: int, columns: int, scratch: Array) -> None:
    """Columns n.. of db, the sum of dZ over a batch."""
    buffers, B = source
    dz = gradient_of(network, layer, buffers.values, buffers.gradients)
    A = Matrix(dz, B * network.layers[layer + 1, INPUT] + n, network.layers[layer, N_], 1)
    sum_columns(B, columns, A, Matrix(network.zero, 0, 0, 1), scratch, 0)


@kernel
def sum_shards(shards: Shards, offset: int, count: int, scratch: Array) -> None:
    """Numbers offset.. of all shards' gradients, added in the shards' order."""
    width = lanes(scratch)
    for i in range(0, count, width):
        n = min(width, count - i)
        x = load_first(shards.gradients, offset + i, n, 0.0, 1)
        for s in range(1, shards.parts):
            x = x + load_first(shards.gradients, s * shards.size + offset + i, n, 0.0, 1)
        store_first(scratch, i, n, x)


@kernel
def shards_weights(
    network: Network, source: Shards, layer: int, k: int, rows: int, n: int, columns: int, scratch: Array
) -> None:
    """Rows k.. and columns n.. of dW, summed over the shards."""
    K, wide = network.layers[layer, K_], panel_width(scratch, network.layers[layer, N_] - n)
    sum_shards(source, network.layers[layer, WEIGHTS] + n * K + k * wide, rows * wide, scratch)


@kernel
def shards_bias(network: Network, source: Shards, layer: int, n: int, columns: int, scratch: Array) -> None:
    """Columns n.. of db, summed over the shards."""
    sum_shards(source, network.layers[layer, BIAS] + n, columns, scratch)


def _make_weights_step(
    weights_gradient: Callable[..., None], bias_gradient: Callable[..., None]
) -> Callable[..., None]:
    @kernel
    def weights_step(
        network: Network,
        source: Any,
        rule: Rule,
        decay: float,
        memory: Memory,
        step: int,
        t: int,
        threads: int,
        scratch: Array,
    ) -> None:
        """Thread t's rows of every W and columns of every b: a tile's gradient, which stays in L1, then its step."""
        params, first, second = network.params, memory.first, memory.second
        for layer in range(len(network.layers) - 1):
            K, N = network.layers[layer, K_], network.layers[layer, N_]
            begin, end = share(K, STRIP, t, threads)
            for k in range(begin, end, STRIP):
                rows, n = min(STRIP, end - k), 0
                while n < N:
                    wide = panel_width(scratch, N - n)
                    weights_gradient(network, source, layer, k, rows, n, min(wide, N - n), scratch)
                    p = network.layers[layer, WEIGHTS] + n * K + k * wide
                    update(rule, step, decay, params, p, scratch, 0, first, second, p, rows * wide)
                    n += wide
                if layer > 0:
                    transpose_rows(network, layer, k, k + rows)
            wide = STRIP * lanes(scratch)
            begin, end = share(N, wide, t, threads)
            for n in range(begin, end, wide):
                count, p = min(wide, end - n), network.layers[layer, BIAS] + n
                bias_gradient(network, source, layer, n, count, scratch)
                update(rule, step, 0.0, params, p, scratch, 0, first, second, p, count)

    return weights_step


batch_step = _make_weights_step(batch_weights, batch_bias)
shards_step = _make_weights_step(shards_weights, shards_bias)


@kernel
def add_gradients(
    network: Network, compressed: Compressed, block: int, buffers: Buffers, B: int, out: Array, out0: int, fresh: bool
) -> None:
    """The gradient of a block of rows, laid out as the parameters; added to what is there unless `fresh`."""
    for layer in range(len(network.layers) - 1):
        K, N = network.layers[layer, K_], network.layers[layer, N_]
        dz = gradient_of(network, layer, buffers.values, buffers.gradients)
        dz0 = B * network.layers[layer + 1, INPUT]
        A = Matrix(buffers.values, B * network.layers[layer, INPUT], 1, K)
        zero, n = Matrix(network.zero, 0, 0, 1), 0
        if layer == 0 and len(compressed.starts) > 0:
            add_block_gradient(network, compressed, block, dz, dz0, out, out0, fresh)
            n = N
        while n < N:
            wide = panel_width(out, N - n)
            C = Matrix(out, out0 + network.layers[layer, WEIGHTS] + n * K, wide, 1)
            multiply_panel(K, min(wide, N - n), B, A, Matrix(dz, dz0 + n, N, 1), zero if fresh else C, C)
            n += wide
        db = out0 + network.layers[layer, BIAS]
        sum_columns(B, N, Matrix(dz, dz0, N, 1), zero if fresh else Matrix(out, db, 0, 1), out, db)
