"""Activations, each forward beside its backward. Reference: the functions of the same names in fastnn/reference.py.

All work on `count` numbers of flat arrays from `offset` on. The result may be one of the arrays it is made from.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

from .arithmetic import (
    absolute,
    by_dtype,
    copy_sign,
    horner,
    max_lanes,
    multiply_add,
    opaque,
    power_of_two,
    sum_lanes,
    where,
)
from .compile import Array, entry, kernel
from .simd import full, lanes, load, load_first, store, store_first

RELU, SIGMOID, TANH, IDENTITY = 0, 1, 2, 3

# --- the exponential of x <= 0, over vectors: numba leaves the scalar one unvectorised

# (exp(r) - 1) / r for |r| <= log(2) / 2. For float32 interpolated at Chebyshev's points: within 4e-9 with one term less
# than Taylor's series needs. For float64 that series, whose first term left out is below 2e-17.
_FITTED = Chebyshev.interpolate(lambda r: np.expm1(r) / r, 5, domain=[-math.log(2) / 2, math.log(2) / 2])
SINGLE = tuple(map(float, _FITTED.convert(kind=Polynomial).coef))
DOUBLE = tuple(1 / math.factorial(k + 1) for k in range(13))
LOG2_E = 1 / math.log(2)
# log(2) in two parts: the first has so few bits that its multiples are exact.
HIGH_SINGLE, HIGH_DOUBLE = 0.693359375, float.fromhex("0x1.62e42fee00000p-1")
LOW_SINGLE, LOW_DOUBLE = math.log(2) - HIGH_SINGLE, 1.90821492927058770e-10
# Added to a number, these leave no room for a fraction: the sum is rounded to the next whole number.
ROUNDER_SINGLE, ROUNDER_DOUBLE = 1.5 * 2.0**23, 1.5 * 2.0**52
# Below these exp(x) is no normal number any more and counts as zero.
LEAST_SINGLE, LEAST_DOUBLE = -87.0, -708.0


@kernel
def _exp_parts(x: Any) -> Any:
    """(scale, tail) with exp(x) = scale + tail, where scale is a power of two, for LEAST <= x <= 0 or NaN."""
    rounder = by_dtype(x, ROUNDER_SINGLE, ROUNDER_DOUBLE)
    rounded = multiply_add(LOG2_E, x, rounder)
    n = opaque(rounded) - rounder
    r = multiply_add(by_dtype(x, -HIGH_SINGLE, -HIGH_DOUBLE), n, x)
    r = multiply_add(by_dtype(x, -LOW_SINGLE, -LOW_DOUBLE), n, r)
    scale = power_of_two(rounded)
    return scale, scale * r * horner(r, by_dtype(x, SINGLE, DOUBLE))


@kernel
def exp(x: Any) -> Any:
    """exp(x) of a vector, for x <= 0."""
    scale, tail = _exp_parts(x)
    return where(x < by_dtype(x, LEAST_SINGLE, LEAST_DOUBLE), 0.0, scale + tail)


# log(1 + e) = 2 atanh(s) with s = e / (2 + e), at most 1/3: its Taylor series in s**2.
LOG_SINGLE = tuple(2 / (2 * k + 1) for k in range(8))
LOG_DOUBLE = tuple(2 / (2 * k + 1) for k in range(17))


@kernel
def log_1_plus(e: Any) -> Any:
    """log(1 + e) of a vector, for 0 <= e <= 1."""
    s = e / (2.0 + e)
    return s * horner(s * s, by_dtype(e, LOG_SINGLE, LOG_DOUBLE))


# --- one function of one number, as vector in and vector out


@kernel
def _relu(z: Any) -> Any:
    return where(z < 0.0, 0.0, z)


@kernel
def _relu_backward(a: Any, da: Any) -> Any:
    return where(a > 0.0, da, 0.0)


@kernel
def _sigmoid(z: Any) -> Any:
    e = exp(0.0 - absolute(z))  # of -|z|, so that nothing overflows
    return where(z < 0.0, e, 1.0) / (1.0 + e)


@kernel
def _sigmoid_backward(a: Any, da: Any) -> Any:
    return da * a * (1.0 - a)


@kernel
def _tanh(z: Any) -> Any:
    """-(exp(y) - 1) / (exp(y) + 1) for y = -2 |z|, and z's sign; beyond y = -44 nothing changes any more."""
    y = -2.0 * absolute(z)
    scale, tail = _exp_parts(where(y < -44.0, -44.0, y))
    less = scale - 1.0 + tail  # exp(y) - 1, with all its digits near zero
    return copy_sign(less / (-2.0 - less), z)


@kernel
def _tanh_backward(a: Any, da: Any) -> Any:
    return da * (1.0 - a * a)


def _forward(function: Callable[..., Any]) -> Callable[[Array, Array, int, int], None]:
    """a = function(z) from `offset` on, four registers at a time, the rest one by one."""

    @kernel
    def apply(z: Array, a: Array, offset: int, count: int) -> None:
        width = lanes(z)
        rest = offset + count // (4 * width) * (4 * width)
        for i in range(offset, rest, 4 * width):
            store(a, i, function(load(z, i, 4)))
        for i in range(rest, offset + count, width):
            n = min(width, offset + count - i)
            store_first(a, i, n, function(load_first(z, i, n, 0.0, 1)))

    return apply


def _backward(function: Callable[..., Any]) -> Callable[[Array, Array, Array, int, int], None]:
    """dz = function(a, da) from `offset` on, four registers at a time, the rest one by one."""

    @kernel
    def apply(a: Array, da: Array, dz: Array, offset: int, count: int) -> None:
        width = lanes(a)
        rest = offset + count // (4 * width) * (4 * width)
        for i in range(offset, rest, 4 * width):
            store(dz, i, function(load(a, i, 4), load(da, i, 4)))
        for i in range(rest, offset + count, width):
            n = min(width, offset + count - i)
            store_first(dz, i, n, function(load_first(a, i, n, 0.0, 1), load_first(da, i, n, 0.0, 1)))

    return apply


_relu_all, _relu_backward_all = _forward(_relu), _backward(_relu_backward)
_sigmoid_all, _sigmoid_backward_all = _forward(_sigmoid), _backward(_sigmoid_backward)
_tanh_all, _tanh_backward_all = _forward(_tanh), _backward(_tanh_backward)


@entry
def relu(z: Array, a: Array, offset: int, count: int) -> None:
    """a = max(z, 0); NaN stays NaN."""
    _relu_all(z, a, offset, count)


@entry
def relu_backward(a: Array, da: Array, dz: Array, offset: int, count: int) -> None:
    """dz = da where a > 0, else 0."""
    _relu_backward_all(a, da, dz, offset, count)


@entry
def sigmoid(z: Array, a: Array, offset: int, count: int) -> None:
    """a = 1 / (1 + exp(-z))."""
    _sigmoid_all(z, a, offset, count)


@entry
def sigmoid_backward(a: Array, da: Array, dz: Array, offset: int, count: int) -> None:
    """dz = da * a * (1 - a)."""
    _sigmoid_backward_all(a, da, dz, offset, count)


@entry
def tanh(z: Array, a: Array, offset: int, count: int) -> None:
    """a = tanh(z) = (1 - e) / (1 + e) with e = exp(-2 |z|), and z's sign."""
    _tanh_all(z, a, offset, count)


@entry
def tanh_backward(a: Array, da: Array, dz: Array, offset: int, count: int) -> None:
    """dz = da * (1 - a**2)."""
    _tanh_backward_all(a, da, dz, offset, count)


@kernel
def activate(activation: int, z: Array, a: Array, offset: int, count: int) -> None:
    """The activation with this number; IDENTITY in place leaves everything as it is."""
    if activation == RELU:
        _relu_all(z, a, offset, count)
    elif activation == SIGMOID:
        _sigmoid_all(z, a, offset, count)
    elif activation == TANH:
        _tanh_all(z, a, offset, count)


@kernel
def activate_backward(activation: int, a: Array, da: Array, dz: Array, offset: int, count: int) -> None:
    """The backward pass of the activation with this number."""
    if activation == RELU:
        _relu_backward_all(a, da, dz, offset, count)
    elif activation == SIGMOID:
        _sigmoid_backward_all(a, da, dz, offset, count)
    elif activation == TANH:
        _tanh_backward_all(a, da, dz, offset, count)


# --- softmax, a function of a row of N numbers


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
