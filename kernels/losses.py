"""Losses from logits, forward and backward in one pass. Reference: `losses`, `correct` and `logits_backward`.

Each turns `rows` rows of N logits into dZ in place, the gradient of the loss summed over rows times `scale` (1 / B for
the batch's mean), writes every row's loss, and returns how many rows are predicted right.
"""

from __future__ import annotations

import math

import numpy as np

from .activations import exp, log_1_plus, softmax_row
from .compile import Array, entry, kernel
from .simd import absolute, first, full, lanes, load_first, multiply_add, store_first, sum_lanes, where

SOFTMAX, BINARY, SQUARED = 0, 1, 2


@kernel
def _argmax(z: Array, offset: int, N: int) -> int:
    best = 0
    for j in range(1, N):
        if z[offset + j] > z[offset + best]:
            best = j
    return best


@kernel
def _scale(dz: Array, offset: int, count: int, scale: float) -> None:
    width = lanes(dz)
    for i in range(offset, offset + count, width):
        n = min(width, offset + count - i)
        store_first(dz, i, n, load_first(dz, i, n, 0.0, 1) * scale)


@entry
def softmax_cross_entropy(
    z: Array, offset: int, rows: int, N: int, labels: Array, label0: int, scale: float, losses: Array, loss0: int
) -> int:
    """loss = log(sum(exp(z))) - z[label]; dz = (softmax(z) - onehot(label)) * scale."""
    right = 0
    for i in range(rows):
        at, label = offset + i * N, labels[label0 + i]
        chosen = z[at + label]
        right += _argmax(z, at, N) == label
        largest, whole = softmax_row(z, z, at, N)
        losses[loss0 + i] = math.log(np.float64(whole)) + (np.float64(largest) - chosen)
        z[at + label] -= 1
    _scale(z, offset, rows * N, scale)
    return right


@entry
def binary_cross_entropy(
    z: Array, offset: int, rows: int, N: int, targets: Array, target0: int, scale: float, losses: Array, loss0: int
) -> int:
    """loss = sum(max(z, 0) - z * y + log(1 + exp(-|z|))); dz = (sigmoid(z) - y) * scale."""
    width, right = lanes(z), 0
    for i in range(rows):
        at, wanted = offset + i * N, target0 + i * N
        total, wrong = full(z, 0.0, 1), full(z, 0.0, 1)
        for j in range(0, N, width):
            n = min(width, N - j)
            x, y = load_first(z, at + j, n, 0.0, 1), load_first(targets, wanted + j, n, 0.0, 1)
            e = exp(0.0 - absolute(x))
            loss = where(x < 0.0, 0.0, x) - x * y + log_1_plus(e)
            total = total + where(first(n, loss), loss, 0.0)
            wrong = wrong + where(x > 0.0, 1.0 - y, y)
            store_first(z, at + j, n, (where(x < 0.0, e, 1.0) / (1.0 + e) - y) * scale)
        losses[loss0 + i] = sum_lanes(total)
        right += sum_lanes(wrong) < 0.5
    return right


@entry
def squared_error(
    z: Array, offset: int, rows: int, N: int, targets: Array, target0: int, scale: float, losses: Array, loss0: int
) -> int:
    """loss = sum((z - y)**2) / 2; dz = (z - y) * scale. Nothing is right or wrong: returns 0."""
    width = lanes(z)
    for i in range(rows):
        at, wanted = offset + i * N, target0 + i * N
        total = full(z, 0.0, 1)
        for j in range(0, N, width):
            n = min(width, N - j)
            error = load_first(z, at + j, n, 0.0, 1) - load_first(targets, wanted + j, n, 0.0, 1)
            total = multiply_add(error, error, total)
            store_first(z, at + j, n, error * scale)
        losses[loss0 + i] = 0.5 * sum_lanes(total)
    return 0


@kernel
def loss_backward(
    loss: int,
    z: Array,
    offset: int,
    rows: int,
    N: int,
    labels: Array,
    targets: Array,
    scale: float,
    losses: Array,
    loss0: int,
) -> int:
    """The loss with this number. labels (rows,) for SOFTMAX, targets (rows * N,) for the others."""
    if loss == SOFTMAX:
        return softmax_cross_entropy(z, offset, rows, N, labels, 0, scale, losses, loss0)
    if loss == BINARY:
        return binary_cross_entropy(z, offset, rows, N, targets, 0, scale, losses, loss0)
    return squared_error(z, offset, rows, N, targets, 0, scale, losses, loss0)
