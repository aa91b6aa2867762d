"""Losses from logits, forward and backward in one pass. Reference: `losses`, `correct` and `logits_backward`.

Each turns `rows` rows of N logits into dZ in place, the gradient of the loss summed over rows times `scale` (1 / B for
the batch's mean), writes every row's loss, and returns how many rows are predicted right; losses of numbers count none.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arithmetic import absolute, first, max_lanes, multiply_add, sum_lanes, where
from .compile import Array, entry, kernel
from .exponential import exp, exp_any, log_1_plus
from .simd import full, lanes, load_first, store_first
from .softmax import softmax_row

SOFTMAX, BINARY, SQUARED, POISSON, ABSOLUTE, HUBER = 0, 1, 2, 3, 4, 5


@kernel
def _one_hot(lane: int, one: Any) -> Any:
    """One in this lane, if there is such a lane, zero in the others."""
    return where(first(lane + 1, one), where(first(lane, one), 0.0, one), 0.0)


@kernel
def _beats(x: Any, chosen: float, lane: int, one: Any) -> Any:
    """One where a logit would be the row's argmax rather than the chosen one in `lane`: the first of equals wins."""
    return where(first(lane, x), where(x < chosen, 0.0, one), where(x > chosen, one, 0.0))


@kernel
def _short_row(z: Array, begin: int, N: int, label: int, scale: float) -> Any:
    """A row within one register, where it stays; returns the largest logit, the sum of exp(z - largest), and if right.

    Up to 16 classes: 20 ns a row, where storing and loading it between the passes takes 90.
    """
    chosen, one = z[begin + label], full(z, 1.0, 1)
    x = load_first(z, begin, N, -math.inf, 1)
    largest = max_lanes(x)
    e = exp(x - largest)
    whole = sum_lanes(e)
    store_first(z, begin, N, (e / whole - _one_hot(label, one)) * scale)
    return largest, whole, sum_lanes(_beats(x, chosen, label, one)) == 0.0


@kernel
def _long_row(z: Array, begin: int, N: int, label: int, scale: float) -> Any:
    """The same for a row of any length."""
    width, chosen, one = lanes(z), z[begin + label], full(z, 1.0, 1)
    beaten = full(z, 0.0, 1)
    for j in range(0, N, width):
        beaten = beaten + _beats(load_first(z, begin + j, min(width, N - j), -math.inf, 1), chosen, label - j, one)
    largest, whole = softmax_row(z, z, begin, N)
    for j in range(0, N, width):
        n = min(width, N - j)
        dz = (load_first(z, begin + j, n, 0.0, 1) - _one_hot(label - j, one)) * scale
        store_first(z, begin + j, n, dz)
    return largest, whole, sum_lanes(beaten) == 0.0


@entry
def softmax_cross_entropy(
    z: Array, offset: int, rows: int, N: int, labels: Array, label0: int, scale: float, losses: Array, loss0: int
) -> int:
    """loss = log(sum(exp(z))) - z[label]; dz = (softmax(z) - onehot(label)) * scale."""
    count = 0
    short = lanes(z) >= N
    for i in range(rows):
        begin, label = offset + i * N, labels[label0 + i]
        chosen = np.float64(z[begin + label])
        if short:
            largest, whole, right = _short_row(z, begin, N, label, scale)
        else:
            largest, whole, right = _long_row(z, begin, N, label, scale)
        losses[loss0 + i] = math.log(np.float64(whole)) + (np.float64(largest) - chosen)
        count += right
    return count


@entry
def smooth_cross_entropy(
    z: Array,
    offset: int,
    rows: int,
    N: int,
    labels: Array,
    label0: int,
    scale: float,
    smoothing: float,
    losses: Array,
    loss0: int,
) -> int:
    """softmax_cross_entropy with (1 - smoothing) * onehot + smoothing / N instead of one-hot rows."""
    right = 0
    for i in range(rows):
        begin, label, mean = offset + i * N, labels[label0 + i], 0.0
        chosen = np.float64(z[begin + label])
        for j in range(begin, begin + N):
            mean += np.float64(z[j]) / N
        right += softmax_cross_entropy(z, begin, 1, N, labels, label0 + i, scale, losses, loss0 + i)
        losses[loss0 + i] += smoothing * (chosen - mean)
        for j in range(begin, begin + N):
            z[j] -= scale * smoothing / N
        z[begin + label] += scale * smoothing
    return right


@entry
def binary_cross_entropy(
    z: Array, offset: int, rows: int, N: int, targets: Array, target0: int, scale: float, losses: Array, loss0: int
) -> int:
    """loss = sum(max(z, 0) - z * y + log(1 + exp(-|z|))); dz = (sigmoid(z) - y) * scale. y may be smoothed."""
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
            yes = where(y > 0.5, full(z, 1.0, 1), 0.0)
            wrong = wrong + where(x > 0.0, 1.0 - yes, yes)
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


@entry
def poisson(
    z: Array, offset: int, rows: int, N: int, targets: Array, target0: int, scale: float, losses: Array, loss0: int
) -> int:
    """loss = sum(exp(z) - y + y * (log(y) - z)); dz = (exp(z) - y) * scale."""
    width = lanes(z)
    for i in range(rows):
        at, wanted, constant = offset + i * N, target0 + i * N, 0.0
        for j in range(wanted, wanted + N):
            y_j = np.float64(targets[j])
            if y_j > 0.0:
                constant += y_j * math.log(y_j)
        total = full(z, 0.0, 1)
        for j in range(0, N, width):
            n = min(width, N - j)
            x, y = load_first(z, at + j, n, 0.0, 1), load_first(targets, wanted + j, n, 0.0, 1)
            error = exp_any(x) - y
            total = total + where(first(n, x), error - x * y, 0.0)
            store_first(z, at + j, n, error * scale)
        losses[loss0 + i] = constant + sum_lanes(total)
    return 0


@entry
def absolute_error(
    z: Array, offset: int, rows: int, N: int, targets: Array, target0: int, scale: float, losses: Array, loss0: int
) -> int:
    """loss = sum(|z - y|); dz = sign(z - y) * scale."""
    width = lanes(z)
    for i in range(rows):
        at, wanted = offset + i * N, target0 + i * N
        total = full(z, 0.0, 1)
        for j in range(0, N, width):
            n = min(width, N - j)
            error = load_first(z, at + j, n, 0.0, 1) - load_first(targets, wanted + j, n, 0.0, 1)
            total = total + absolute(error)
            store_first(z, at + j, n, where(error > 0.0, scale, where(error < 0.0, -scale, error)))
        losses[loss0 + i] = sum_lanes(total)
    return 0


@entry
def huber(
    z: Array,
    offset: int,
    rows: int,
    N: int,
    targets: Array,
    target0: int,
    scale: float,
    delta: float,
    losses: Array,
    loss0: int,
) -> int:
    """loss = sum(e**2 / 2 where |e| <= delta, else delta * (|e| - delta / 2)); dz = e, cut off at +-delta, * scale."""
    width = lanes(z)
    for i in range(rows):
        at, wanted = offset + i * N, target0 + i * N
        total = full(z, 0.0, 1)
        for j in range(0, N, width):
            n = min(width, N - j)
            error = load_first(z, at + j, n, 0.0, 1) - load_first(targets, wanted + j, n, 0.0, 1)
            cut = where(error > delta, delta, where(error < -delta, -delta, error))
            total = total + cut * (error - 0.5 * cut)
            store_first(z, at + j, n, cut * scale)
        losses[loss0 + i] = sum_lanes(total)
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
    parameter: float,
    losses: Array,
    loss0: int,
) -> int:
    """The loss with this number. labels (rows,) for SOFTMAX, targets (rows * N,) for the others.

    parameter: SOFTMAX's label smoothing, HUBER's delta.
    """
    if loss == SOFTMAX:
        if parameter > 0.0:
            return smooth_cross_entropy(z, offset, rows, N, labels, 0, scale, parameter, losses, loss0)
        return softmax_cross_entropy(z, offset, rows, N, labels, 0, scale, losses, loss0)
    if loss == BINARY:
        return binary_cross_entropy(z, offset, rows, N, targets, 0, scale, losses, loss0)
    if loss == POISSON:
        return poisson(z, offset, rows, N, targets, 0, scale, losses, loss0)
    if loss == ABSOLUTE:
        return absolute_error(z, offset, rows, N, targets, 0, scale, losses, loss0)
    if loss == HUBER:
        return huber(z, offset, rows, N, targets, 0, scale, parameter, losses, loss0)
    return squared_error(z, offset, rows, N, targets, 0, scale, losses, loss0)
