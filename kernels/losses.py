"""Losses from logits, forward and backward in one pass. Reference: `losses`, `correct` and `logits_backward` in
fastnn/functions.py.

Each turns `rows` rows of N logits into dZ in place, the gradient of the loss summed over rows times `scale` (1 / B for
the batch's mean), writes every row's loss, and returns how many rows are predicted right; losses of numbers count none.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .compiling.compile import Array, entry, kernel, noinline
from .simd.arithmetic import absolute, first, multiply_add, sum_lanes, where
from .simd.exponential import exp, exp_any, log, log_1_plus
from .simd.partial import load_first, store_first
from .simd.vectors import full, lanes, load, store
from .softmax import exponentials, gather, largest_of, scatter
from .sync import begin_together, end_together, share

SOFTMAX, BINARY, SQUARED, POISSON, ABSOLUTE, HUBER = 0, 1, 2, 3, 4, 5

# Logits are copied so many numbers at a time, which stay in L1 until they have become dZ.
COPIED = 2048


@kernel
def _best_chosen_mean(room: Array, N: int, label: Any, largest: Any) -> Any:
    """Which of N columns is each row's largest, the first of equals, the number in the labelled one, and the mean; see
    softmax.py for room."""
    width = lanes(room)
    best, chosen, mean = full(room, 0.0, 1), full(room, 0.0, 1), full(room, 0.0, 1)
    for j in range(N - 1, -1, -1):
        z = load(room, j * width, 1)
        best, chosen = where(z == largest, float(j), best), where(label == float(j), z, chosen)
        mean = multiply_add(1.0 / N, z, mean)
    return best, chosen, mean


@kernel
def softmax_cross_entropy(
    z: Array,
    offset: int,
    rows: int,
    N: int,
    labels: Array,
    scale: float,
    smoothing: float,
    losses: Array,
    loss0: int,
    room: Array,
) -> int:
    """loss = log(sum(exp(z))) - sum(y * z), dz = (softmax(z) - y) * scale for y = (1 - smoothing) * onehot + smoothing
    / N. room ((N + ROOM) * lanes,): scratch."""
    width, right = lanes(z), full(room, 0.0, 1)
    of_label, of_chosen, of_largest, hot = N * width, N * width, (N + 1) * width, (1.0 - smoothing) * scale
    of_log = of_largest + width
    for i in range(0, rows, width):
        begin, high = offset + i * N, min(width, rows - i)
        for r in range(high):
            room[of_label + r] = labels[i + r]
        gather(z, begin, high, N, room)
        label = load_first(room, of_label, high, -1.0, 1)
        largest = largest_of(room, N)
        best, chosen, mean = _best_chosen_mean(room, N, label, largest)
        right = right + where(best == label, 1.0, 0.0 * best)
        whole = exponentials(room, N, largest)
        factor = scale / whole
        for j in range(N):
            dz = multiply_add(load(room, j * width, 1), factor, -scale * smoothing / N)
            store(room, j * width, where(label == float(j), dz - hot, dz))
        scatter(room, N, z, begin, high)
        store(room, of_log, log(whole))
        store(room, of_largest, largest)
        store(room, of_chosen, multiply_add(smoothing, mean, (1.0 - smoothing) * chosen) if smoothing > 0.0 else chosen)
        for r in range(high):
            # largest - chosen comes first: both may be large where log(whole) is small.
            less = np.float64(room[of_largest + r]) - np.float64(room[of_chosen + r])
            losses[loss0 + i + r] = np.float64(room[of_log + r]) + less
    return int(sum_lanes(right))


@kernel
def binary_cross_entropy(
    z: Array, offset: int, rows: int, N: int, targets: Array, scale: float, losses: Array, loss0: int
) -> int:
    """loss = sum(max(z, 0) - z * y + log(1 + exp(-|z|))); dz = (sigmoid(z) - y) * scale. y may be smoothed."""
    width, right = lanes(z), 0
    for i in range(rows):
        at, wanted = offset + i * N, i * N
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


@kernel
def squared_error(
    z: Array, offset: int, rows: int, N: int, targets: Array, scale: float, losses: Array, loss0: int
) -> int:
    """loss = sum((z - y)**2) / 2; dz = (z - y) * scale. Nothing is right or wrong: returns 0."""
    width = lanes(z)
    for i in range(rows):
        at, wanted = offset + i * N, i * N
        total = full(z, 0.0, 1)
        for j in range(0, N, width):
            n = min(width, N - j)
            error = load_first(z, at + j, n, 0.0, 1) - load_first(targets, wanted + j, n, 0.0, 1)
            total = multiply_add(error, error, total)
            store_first(z, at + j, n, error * scale)
        losses[loss0 + i] = 0.5 * sum_lanes(total)
    return 0


@kernel
def poisson(z: Array, offset: int, rows: int, N: int, targets: Array, scale: float, losses: Array, loss0: int) -> int:
    """loss = sum(exp(z) - y + y * (log(y) - z)); dz = (exp(z) - y) * scale."""
    width = lanes(z)
    for i in range(rows):
        at, wanted, constant = offset + i * N, i * N, 0.0
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


@kernel
def absolute_error(
    z: Array, offset: int, rows: int, N: int, targets: Array, scale: float, losses: Array, loss0: int
) -> int:
    """loss = sum(|z - y|); dz = sign(z - y) * scale."""
    width = lanes(z)
    for i in range(rows):
        at, wanted = offset + i * N, i * N
        total = full(z, 0.0, 1)
        for j in range(0, N, width):
            n = min(width, N - j)
            error = load_first(z, at + j, n, 0.0, 1) - load_first(targets, wanted + j, n, 0.0, 1)
            total = total + absolute(error)
            store_first(z, at + j, n, where(error > 0.0, scale, where(error < 0.0, -scale, error)))
        losses[loss0 + i] = sum_lanes(total)
    return 0


@kernel
def huber(
    z: Array,
    offset: int,
    rows: int,
    N: int,
    targets: Array,
    scale: float,
    delta: float,
    losses: Array,
    loss0: int,
) -> int:
    """loss = sum(e**2 / 2 where |e| <= delta, else delta * (|e| - delta / 2)); dz = e, cut off at +-delta, * scale."""
    width = lanes(z)
    for i in range(rows):
        at, wanted = offset + i * N, i * N
        total = full(z, 0.0, 1)
        for j in range(0, N, width):
            n = min(width, N - j)
            error = load_first(z, at + j, n, 0.0, 1) - load_first(targets, wanted + j, n, 0.0, 1)
            cut = where(error > delta, delta, where(error < -delta, -delta, error))
            total = total + cut * (error - 0.5 * cut)
            store_first(z, at + j, n, cut * scale)
        losses[loss0 + i] = sum_lanes(total)
    return 0


@noinline
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
    room: Array,
) -> int:
    """The loss with this number. labels (rows,) for SOFTMAX, targets (rows * N,) for the others.

    parameter: SOFTMAX's label smoothing, HUBER's delta. room: SOFTMAX's.
    """
    if loss == SOFTMAX:
        return softmax_cross_entropy(z, offset, rows, N, labels, scale, parameter, losses, loss0, room)
    if loss == BINARY:
        return binary_cross_entropy(z, offset, rows, N, targets, scale, losses, loss0)
    if loss == POISSON:
        return poisson(z, offset, rows, N, targets, scale, losses, loss0)
    if loss == ABSOLUTE:
        return absolute_error(z, offset, rows, N, targets, scale, losses, loss0)
    if loss == HUBER:
        return huber(z, offset, rows, N, targets, scale, parameter, losses, loss0)
    return squared_error(z, offset, rows, N, targets, scale, losses, loss0)


@entry
def loss_together(
    t: int,
    threads: int,
    control: Array,
    loss: int,
    z: Array,
    dz: Array,
    rows: int,
    N: int,
    labels: Array,
    targets: Array,
    scale: float,
    parameter: float,
    losses: Array,
    room: Array,
) -> None:
    """Thread t's rows of dz and losses, from logits z that stay as they are. room: scratch of its own."""
    begin_together(control, t)
    width = lanes(z)
    begin, end = share(rows, width, t, threads)
    step = max(1, COPIED // (width * N)) * width
    for i in range(begin, end, step):
        high = min(step, end - i)
        for j in range(i * N, (i + high) * N):
            dz[j] = z[j]
        loss_backward(loss, dz, i * N, high, N, labels[i:], targets[i * N :], scale, parameter, losses, i, room)
    end_together(control, t, threads)
