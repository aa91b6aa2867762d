"""Softmax, a function of a row of N numbers. Reference: `softmax` in fastnn/functions.py."""

from __future__ import annotations

import math
from typing import Any

from .arithmetic import max_lanes, multiply_add, sum_lanes, where
from .compile import Array, entry, kernel
from .exponential import exp
from .simd import full, lanes, load_first, store_first


@kernel
def softmax_row(z: Array, p: Array, offset: int, N: int) -> Any:
    """One row of softmax; returns the row's largest logit and the sum of exp(z - largest)."""
    width = lanes(z)
    high = full(z, -math.inf, 1)
    for j in range(offset, offset + N, width):
        x = load_first(z, j, min(width, offset + N - j), -math.inf, 1)
        high = where(x > high, x, high)
    largest = max_lanes(high)
    total = full(z, 0.0, 1)
    for j in range(offset, offset + N, width):
        n = min(width, offset + N - j)
        e = exp(load_first(z, j, n, -math.inf, 1) - largest)
        total = total + e
        store_first(p, j, n, e)
    whole = sum_lanes(total)
    for j in range(offset, offset + N, width):
        n = min(width, offset + N - j)
        store_first(p, j, n, load_first(p, j, n, 0.0, 1) / whole)
    return largest, whole


@entry
def softmax(z: Array, p: Array, offset: int, rows: int, N: int) -> None:
    """p = exp(z - largest) / sum(exp(z - largest)) for every row of N."""
    for i in range(rows):
        softmax_row(z, p, offset + i * N, N)


@entry
def softmax_backward(p: Array, dp: Array, dz: Array, offset: int, rows: int, N: int) -> None:
    """dz = p * (dp - sum(p * dp)) for every row of N."""
    width = lanes(p)
    for i in range(rows):
        begin = offset + i * N
        total = full(p, 0.0, 1)
        for j in range(begin, begin + N, width):
            n = min(width, begin + N - j)
            total = multiply_add(load_first(p, j, n, 0.0, 1), load_first(dp, j, n, 0.0, 1), total)
        mean = sum_lanes(total)
        for j in range(begin, begin + N, width):
            n = min(width, begin + N - j)
            store_first(dz, j, n, load_first(p, j, n, 0.0, 1) * (load_first(dp, j, n, 0.0, 1) - mean))
