"""Rows of a batch forward to their losses, and where they come from. Reference: `forward` in fastnn/reference.py."""

from __future__ import annotations

from typing import NamedTuple

from ..compiling.compile import Array, kernel
from ..finite import finite_numbers
from ..lists import Lists, prefetch_list
from ..losses import loss_backward
from ..matrix_unit.byte_features import as_bytes
from ..matrix_unit.instructions import HAS_MATRIX_UNIT
from ..matrix_unit.layers import bytes_forward
from ..network import (
    INPUT,
    K_,
    N_,
    Network,
    Rows,
    numbers_of,
    prefetch_row,
    widen_row,
)
from ..panels import Matrix
from ..sparse import first_layer
from .passes import forward, layer_forward

# Rows that pass through a network together in full-batch training and prediction: 128 x 784 float32 are 400 KB of L2.
BLOCK = 128


class Data(NamedTuple):
    """Features, and what the outputs should be: labels (m,) int64 for softmax, targets (m * N,) for other losses.

    lists: the features' rows without their zeros, used instead of `rows` unless they are empty. blocks: for the full
    batch also their columns, some rows at a time: list b * (K + 1) + k is column k of block b. loss and parameter: see
    `loss_backward`. weights: what each row counts (m,) float64, or empty.
    """

    rows: Rows
    lists: Lists
    blocks: Lists
    labels: Array
    targets: Array
    loss: int
    parameter: float
    weights: Array


class Batch(NamedTuple):
    """Rows that pass through a network together: their places in the data, the layers' values and gradients, and each
    row's label, targets and loss (float64). Scratch: room for the outputs, see softmax.py; cuts (2 * B,) int64. ahead:
    places of the next rows, or empty."""

    values: Array
    numbers: Array
    labels: Array
    targets: Array
    losses: Array
    room: Array
    cuts: Array
    ahead: Array


@kernel
def with_ahead(batch: Batch, ahead: Array) -> Batch:
    """The same with places of the next rows."""
    values, numbers, labels, targets, losses = batch.values, batch.numbers, batch.labels, batch.targets, batch.losses
    return Batch(values, numbers, labels, targets, losses, batch.room, batch.cuts, ahead)


@kernel
def listed(data: Data) -> bool:
    """Whether the features are lists."""
    return len(data.lists.starts) > 0


@kernel
def prefetch_rows(network: Network, data: Data, order: Array, begin: int, end: int) -> None:
    """Ask for the features of rows order[begin:end], which come from memory while something else is computed."""
    K = network.layers[0, K_]
    for i in range(begin, end):
        if listed(data):
            prefetch_list(data.lists, order[i])
        else:
            prefetch_row(data.rows, order[i], K)


@kernel
def fetch_features(network: Network, data: Data, numbers: Array, inputs: Array, begin: int, end: int) -> None:
    """Bring rows numbers[begin:end] of the features to their places in a block of inputs."""
    K = network.layers[0, K_]
    for i in range(begin, end):
        widen_row(data.rows, numbers[i], inputs, i * K, K)


@kernel
def fetch_outputs(network: Network, data: Data, batch: Batch, begin: int, end: int) -> None:
    """The same for the labels or targets of these rows."""
    N = network.layers[len(network.layers) - 2, N_]
    if len(data.labels) > 0:
        for i in range(begin, end):
            batch.labels[i] = data.labels[batch.numbers[i]]
    else:
        for i in range(begin, end):
            for j in range(N):
                batch.targets[i * N + j] = data.targets[batch.numbers[i] * N + j]


@kernel
def input_layer(
    network: Network,
    data: Data,
    batch: Batch,
    inputs: Array,
    B: int,
    begin: int,
    end: int,
    n: int,
    columns: int,
) -> None:
    """Rows begin..end of a batch of B through the first layer, and so many of its columns from n on."""
    if listed(data):
        first_layer(network, data.lists, batch.numbers, batch.cuts, batch.values, B, begin, end, n, columns)
    elif HAS_MATRIX_UNIT and as_bytes(network):
        bytes_forward(network, data.rows, batch.numbers, batch.values, B, begin, end, n, columns)
    else:
        K = network.layers[0, K_]
        fetch_features(network, data, batch.numbers, inputs, begin, end)
        layer_forward(network, 0, Matrix(inputs, begin * K, K, 1), batch.values, B, begin, end, n, columns)


@kernel
def seen_finite(network: Network, data: Data, start: int, B: int, like: Array) -> bool:
    """Whether so many rows from `start` on are seen to be finite; those that are not read where they are never are."""
    K = network.layers[0, K_]
    A = numbers_of(data.rows, start, K, like)
    if A.row == 0 or listed(data):
        return False
    if A.row == K:
        return finite_numbers(A.data, 0, B * K)
    finite = True
    for i in range(B):
        finite &= finite_numbers(A.data, i * A.row, K)
    return finite


@kernel
def consecutive_rows(network: Network, data: Data, batch: Batch, start: int, B: int) -> None:
    """Rows of the data from `start` on, a block of B, through the first layer; read where they are if they can be."""
    K, N = network.layers[0, K_], network.layers[0, N_]
    for i in range(B):
        batch.numbers[i] = start + i
    A = numbers_of(data.rows, start, K, batch.values)
    if A.row != 0 and not listed(data):
        layer_forward(network, 0, A, batch.values, B, 0, B, 0, N)
    else:
        input_layer(network, data, batch, batch.values, B, 0, B, 0, N)


@kernel
def weigh(data: Data, batch: Batch, z: int, N: int, begin: int, end: int) -> None:
    """Losses of rows begin..end, and their dZ from z on, times the rows' weights."""
    for i in range(begin, end):
        weight = data.weights[batch.numbers[i]]
        batch.losses[i] *= weight
        for j in range(z + (i - begin) * N, z + (i - begin + 1) * N):
            batch.values[j] *= weight


@kernel
def step_scale(data: Data, order: Array, begin: int, end: int) -> float:
    """One divided by what the rows order[begin:end] count; zero if that is nothing."""
    if len(data.weights) == 0:
        return 1.0 / (end - begin)
    counted = 0.0
    for i in range(begin, end):
        counted += data.weights[order[i]]
    return 1.0 / counted if counted > 0.0 else 0.0


@kernel
def rows_loss(
    network: Network, data: Data, batch: Batch, B: int, begin: int, end: int, first: int, scale: float, step: int
) -> int:
    """Rows begin..end of a batch of B from layer `first` on to their losses, and dZ of their logits; returns how many
    were right."""
    forward(network, batch.values, B, begin, end, first, step)
    return logits_loss(network, data, batch, B, begin, end, scale)


@kernel
def logits_loss(network: Network, data: Data, batch: Batch, B: int, begin: int, end: int, scale: float) -> int:
    """Rows begin..end of a batch of B from their logits to their losses, as rows_loss."""
    fetch_outputs(network, data, batch, begin, end)
    last = len(network.layers) - 1
    N = network.layers[last - 1, N_]
    z = B * network.layers[last, INPUT] + begin * N
    labels, targets = batch.labels[begin:], batch.targets[begin * N :]
    right: int = loss_backward(
        data.loss,
        batch.values,
        z,
        end - begin,
        N,
        labels,
        targets,
        scale,
        data.parameter,
        batch.losses,
        begin,
        batch.room,
    )
    if len(data.weights) > 0:
        weigh(data, batch, z, N, begin, end)
    return right


@kernel
def total(numbers: Array, begin: int, end: int) -> float:
    """Their sum, in their order."""
    result = 0.0
    for i in range(begin, end):
        result += numbers[i]
    return result
