"""Activations, each forward beside its backward. Reference: the functions of the same names in fastnn/reference.py.

All work in place on `count` numbers of a flat array from `offset` on: z becomes a; da becomes dz, given a.
"""

from __future__ import annotations

import math
from typing import Any

from .compile import Array, entry, kernel
from .simd import (
    absolute,
    by_dtype,
    full,
    horner,
    lanes,
    load_first,
    max_lanes,
    multiply_add,
    nearest,
    power_of_two,
    store_first,
    sum_lanes,
    where,
)

RELU, SIGMOID, TANH, IDENTITY = 0, 1, 2, 3

# --- the exponential of x <= 0, over vectors: numba leaves the scalar one unvectorised

# (exp(r) - 1) / r for |r| <= log(2) / 2 by its Taylor series; the first term left out is below 2e-8 or 2e-17.
SINGLE = tuple(1 / math.factorial(k + 1) for k in range(7))
DOUBLE = tuple(1 / math.factorial(k + 1) for k in range(13))
LOG2_E = 1 / math.log(2)
# log(2) in two parts: the first has so few bits that its multiples are exact.
HIGH_SINGLE, HIGH_DOUBLE = 0.693359375, float.fromhex("0x1.62e42fee00000p-1")
LOW_SINGLE, LOW_DOUBLE = math.log(2) - HIGH_SINGLE, 1.90821492927058770e-10
# Below these exp(x) is no normal number any more and counts as zero.
LEAST_SINGLE, LEAST_DOUBLE = -87.0, -708.0


@kernel
def _exp_parts(x: Any) -> Any:
    """(scale, tail) with exp(x) = scale + tail, where scale is a power of two, for LEAST <= x <= 0 or NaN."""
    n = nearest(x * LOG2_E)
    n = where(n > by_dtype(x, -127.0, -1023.0), n, -1.0)  # NaN too: it has no integer, and r below keeps it
    r = multiply_add(by_dtype(x, -HIGH_SINGLE, -HIGH_DOUBLE), n, x)
    r = multiply_add(by_dtype(x, -LOW_SINGLE, -LOW_DOUBLE), n, r)
    scale = power_of_two(n)
    return scale, scale * r * horner(r, by_dtype(x, SINGLE, DOUBLE))


@kernel
def exp(x: Any) -> Any:
    """exp(x) of a vector, for x <= 0."""
    scale, tail = _exp_parts(x)
    return where(x < by_dtype(x, LEAST_SINGLE, LEAST_DOUBLE), 0.0, scale + tail)


@kernel
def exp_minus_1(x: Any) -> Any:
    """exp(x) - 1 of a vector, for x <= 0: near zero no digit is lost."""
    scale, tail = _exp_parts(x)
    return where(x < by_dtype(x, LEAST_SINGLE, LEAST_DOUBLE), -1.0, scale - 1.0 + tail)


# log(1 + e) = 2 atanh(s) with s = e / (2 + e), at most 1/3: its Taylor series in s**2.
LOG_SINGLE = tuple(2 / (2 * k + 1) for k in range(8))
LOG_DOUBLE = tuple(2 / (2 * k + 1) for k in range(17))


@kernel
def log_1_plus(e: Any) -> Any:
    """log(1 + e) of a vector, for 0 <= e <= 1."""
    s = e / (2.0 + e)
    return s * horner(s * s, by_dtype(e, LOG_SINGLE, LOG_DOUBLE))


# --- one function of one number


@entry
def relu(z: Array, offset: int, count: int) -> None:
    """a = max(z, 0); NaN stays NaN."""
    width = lanes(z)
    for i in range(offset, offset + count, width):
        n = min(width, offset + count - i)
        x = load_first(z, i, n, 0.0, 1)
        store_first(z, i, n, where(x < 0.0, 0.0, x))


@entry
def relu_backward(a: Array, offset: int, da: Array, da0: int, count: int) -> None:
    """dz = da where a > 0, else 0."""
    width = lanes(a)
    for i in range(0, count, width):
        n = min(width, count - i)
        dx = load_first(da, da0 + i, n, 0.0, 1)
        store_first(da, da0 + i, n, where(load_first(a, offset + i, n, 0.0, 1) > 0.0, dx, 0.0))


@entry
def sigmoid(z: Array, offset: int, count: int) -> None:
    """a = 1 / (1 + exp(-z)), from exp(-|z|), which cannot overflow."""
    width = lanes(z)
    for i in range(offset, offset + count, width):
        n = min(width, offset + count - i)
        x = load_first(z, i, n, 0.0, 1)
        e = exp(0.0 - absolute(x))
        store_first(z, i, n, where(x < 0.0, e, 1.0) / (1.0 + e))


@entry
def sigmoid_backward(a: Array, offset: int, da: Array, da0: int, count: int) -> None:
    """dz = da * a * (1 - a)."""
    width = lanes(a)
    for i in range(0, count, width):
        n = min(width, count - i)
        x = load_first(a, offset + i, n, 0.0, 1)
        store_first(da, da0 + i, n, load_first(da, da0 + i, n, 0.0, 1) * x * (1.0 - x))


@entry
def tanh(z: Array, offset: int, count: int) -> None:
    """a = tanh(z) = (1 - e) / (1 + e) with e = exp(-2 |z|), and z's sign."""
    width = lanes(z)
    for i in range(offset, offset + count, width):
        n = min(width, offset + count - i)
        x = load_first(z, i, n, 0.0, 1)
        e = exp_minus_1(-2.0 * absolute(x))
        positive = (0.0 - e) / (2.0 + e)
        store_first(z, i, n, where(x < 0.0, 0.0 - positive, positive))


@entry
def tanh_backward(a: Array, offset: int, da: Array, da0: int, count: int) -> None:
    """dz = da * (1 - a**2)."""
    width = lanes(a)
    for i in range(0, count, width):
        n = min(width, count - i)
        x = load_first(a, offset + i, n, 0.0, 1)
        store_first(da, da0 + i, n, load_first(da, da0 + i, n, 0.0, 1) * (1.0 - x * x))


@kernel
def activate(activation: int, z: Array, offset: int, count: int) -> None:
    """The activation with this number."""
    if activation == RELU:
        relu(z, offset, count)
    elif activation == SIGMOID:
        sigmoid(z, offset, count)
    elif activation == TANH:
        tanh(z, offset, count)


@kernel
def activate_backward(activation: int, a: Array, offset: int, da: Array, da0: int, count: int) -> None:
    """The backward pass of the activation with this number."""
    if activation == RELU:
        relu_backward(a, offset, da, da0, count)
    elif activation == SIGMOID:
        sigmoid_backward(a, offset, da, da0, count)
    elif activation == TANH:
        tanh_backward(a, offset, da, da0, count)


# --- softmax, a function of a row of N numbers


@kernel
def softmax_row(z: Array, offset: int, N: int) -> Any:
    """One row of softmax in place; returns the row's largest logit and the sum of exp(z - largest)."""
    width = lanes(z)
    high = full(z, -math.inf, 1)
    for j in range(0, N, width):
        x = load_first(z, offset + j, min(width, N - j), -math.inf, 1)
        high = where(x > high, x, high)
    largest = max_lanes(high)
    total = full(z, 0.0, 1)
    for j in range(0, N, width):
        n = min(width, N - j)
        e = exp(load_first(z, offset + j, n, -math.inf, 1) - largest)
        total = total + e
        store_first(z, offset + j, n, e)
    whole = sum_lanes(total)
    for j in range(0, N, width):
        n = min(width, N - j)
        store_first(z, offset + j, n, load_first(z, offset + j, n, 0.0, 1) / whole)
    return largest, whole


@entry
def softmax(z: Array, offset: int, rows: int, N: int) -> None:
    """p = exp(z - largest) / sum(exp(z - largest)) for every row of N."""
    for i in range(rows):
        softmax_row(z, offset + i * N, N)


@entry
def softmax_backward(p: Array, offset: int, dp: Array, dp0: int, rows: int, N: int) -> None:
    """dz = p * (dp - sum(p * dp)) for every row of N; dp becomes dz."""
    width = lanes(p)
    for i in range(rows):
        at, out = offset + i * N, dp0 + i * N
        total = full(p, 0.0, 1)
        for j in range(0, N, width):
            n = min(width, N - j)
            total = multiply_add(load_first(p, at + j, n, 0.0, 1), load_first(dp, out + j, n, 0.0, 1), total)
        mean = sum_lanes(total)
        for j in range(0, N, width):
            n = min(width, N - j)
            store_first(dp, out + j, n, load_first(p, at + j, n, 0.0, 1) * (load_first(dp, out + j, n, 0.0, 1) - mean))
