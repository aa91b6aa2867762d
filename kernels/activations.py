"""Activations, each forward beside its backward. Reference: the functions of the same names in fastnn/functions.py.

All work on `count` numbers of flat arrays from `offset` on. The result may be one of the arrays it is made from.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .compiling.compile import Array, entry, kernel, noinline
from .simd.arithmetic import absolute, copy_sign, where
from .simd.exponential import exp, exp_parts, exp_twice_less_1
from .simd.partial import load_first, store_first
from .simd.vectors import lanes, load, store
from .sync import begin_together, end_together, share

RELU, SIGMOID, TANH, IDENTITY, LEAKY_RELU, ELU, GELU, SILU = 0, 1, 2, 3, 4, 5, 6, 7

# Backward passes are made from an activation's value, those from this number on from what went into it.
FROM_INPUT = GELU

# --- one function of one number, as vector in and vector out


@kernel
def _relu(z: Any) -> Any:
    """max(z, 0); NaN stays NaN."""
    return where(z < 0.0, 0.0, z)


@kernel
def _relu_backward(a: Any, da: Any) -> Any:
    return where(a > 0.0, da, 0.0)


@kernel
def _sigmoid(z: Any) -> Any:
    """1 / (1 + exp(-z))."""
    e = exp(0.0 - absolute(z))  # of -|z|, so that nothing overflows
    return where(z < 0.0, e, 1.0) / (1.0 + e)


@kernel
def _sigmoid_backward(a: Any, da: Any) -> Any:
    return da * a * (1.0 - a)


@kernel
def _tanh(z: Any) -> Any:
    """-(exp(-2 |z|) - 1) / (exp(-2 |z|) + 1), and z's sign; beyond |z| = 22 nothing changes any more."""
    a = absolute(z)
    less = exp_twice_less_1(where(a > 22.0, 22.0, a))
    return copy_sign(less / (-2.0 - less), z)


@kernel
def _tanh_backward(a: Any, da: Any) -> Any:
    return da * (1.0 - a * a)


LEAK = 0.01


@kernel
def _leaky_relu(z: Any) -> Any:
    return where(z > 0.0, z, LEAK * z)


@kernel
def _leaky_relu_backward(a: Any, da: Any) -> Any:
    return where(a > 0.0, da, LEAK * da)


@kernel
def _elu(z: Any) -> Any:
    """exp(z) - 1 below zero, with all its digits near it; beyond z = -44 nothing changes any more."""
    low = where(z > 0.0, 0.0, z)
    scale, tail = exp_parts(where(low < -44.0, -44.0, low))
    return where(z > 0.0, z, scale - 1.0 + tail)


@kernel
def _elu_backward(a: Any, da: Any) -> Any:
    return where(a > 0.0, da, da * (a + 1.0))


# gelu(z) = z * sigmoid(2 * u) with u = GELU_SCALE * (z + GELU_CUBE * z**3)
GELU_SCALE, GELU_CUBE = math.sqrt(2 / math.pi), 0.044715
# Beyond it the slope is 0 or 1, and z**2 could overflow.
FLAT = 40.0


@kernel
def _gelu_gate(z: Any) -> Any:
    return _sigmoid(2.0 * GELU_SCALE * z * (1.0 + GELU_CUBE * z * z))


@kernel
def _gelu(z: Any) -> Any:
    return z * _gelu_gate(z)


@kernel
def _gelu_backward(z: Any, da: Any) -> Any:
    s, y = _gelu_gate(z), where(z > FLAT, FLAT, where(z < -FLAT, -FLAT, z))
    return da * (s + s * (1.0 - s) * (2.0 * GELU_SCALE * y * (1.0 + 3.0 * GELU_CUBE * y * y)))


@kernel
def _silu(z: Any) -> Any:
    return z * _sigmoid(z)


@kernel
def _silu_backward(z: Any, da: Any) -> Any:
    s = _sigmoid(z)
    return da * (s + s * (1.0 - s) * z)


def _forward(function: Callable[..., Any]) -> Callable[[Array, Array, int, int], None]:
    """a = function(z) from `offset` on, a register at a time."""

    @kernel
    def apply(z: Array, a: Array, offset: int, count: int) -> None:
        width = lanes(z)
        rest = offset + count // width * width
        for i in range(offset, rest, width):
            store(a, i, function(load(z, i, 1)))
        left = offset + count - rest
        store_first(a, rest, left, function(load_first(z, rest, left, 0.0, 1)))

    return apply


def _backward(function: Callable[..., Any]) -> Callable[[Array, Array, Array, int, int], None]:
    """dz = function(a, da) from `offset` on, a register at a time."""

    @kernel
    def apply(a: Array, da: Array, dz: Array, offset: int, count: int) -> None:
        width = lanes(a)
        rest = offset + count // width * width
        for i in range(offset, rest, width):
            store(dz, i, function(load(a, i, 1), load(da, i, 1)))
        left = offset + count - rest
        store_first(dz, rest, left, function(load_first(a, rest, left, 0.0, 1), load_first(da, rest, left, 0.0, 1)))

    return apply


_relu_all, _relu_backward_all = _forward(_relu), _backward(_relu_backward)
_sigmoid_all, _sigmoid_backward_all = _forward(_sigmoid), _backward(_sigmoid_backward)
_tanh_all, _tanh_backward_all = _forward(_tanh), _backward(_tanh_backward)
_leaky_relu_all, _leaky_relu_backward_all = _forward(_leaky_relu), _backward(_leaky_relu_backward)
_elu_all, _elu_backward_all = _forward(_elu), _backward(_elu_backward)
_gelu_all, _gelu_backward_all = _forward(_gelu), _backward(_gelu_backward)
_silu_all, _silu_backward_all = _forward(_silu), _backward(_silu_backward)


@noinline
def activate(activation: int, z: Array, a: Array, offset: int, count: int) -> None:
    """The activation with this number; IDENTITY in place leaves everything as it is."""
    if activation == RELU:
        _relu_all(z, a, offset, count)
    elif activation == SIGMOID:
        _sigmoid_all(z, a, offset, count)
    elif activation == TANH:
        _tanh_all(z, a, offset, count)
    elif activation == LEAKY_RELU:
        _leaky_relu_all(z, a, offset, count)
    elif activation == ELU:
        _elu_all(z, a, offset, count)
    elif activation == GELU:
        _gelu_all(z, a, offset, count)
    elif activation == SILU:
        _silu_all(z, a, offset, count)


@noinline
def activate_backward(activation: int, a: Array, da: Array, dz: Array, offset: int, count: int) -> None:
    """The backward pass of the activation with this number; from FROM_INPUT on, `a` is what went into it."""
    if activation == RELU:
        _relu_backward_all(a, da, dz, offset, count)
    elif activation == SIGMOID:
        _sigmoid_backward_all(a, da, dz, offset, count)
    elif activation == TANH:
        _tanh_backward_all(a, da, dz, offset, count)
    elif activation == LEAKY_RELU:
        _leaky_relu_backward_all(a, da, dz, offset, count)
    elif activation == ELU:
        _elu_backward_all(a, da, dz, offset, count)
    elif activation == GELU:
        _gelu_backward_all(a, da, dz, offset, count)
    elif activation == SILU:
        _silu_backward_all(a, da, dz, offset, count)


@entry
def activate_together(t: int, threads: int, control: Array, activation: int, z: Array, a: Array) -> None:
    """Thread t's part of a = activation(z)."""
    begin_together(control, t)
    begin, end = share(len(z), lanes(z), t, threads)
    activate(activation, z, a, begin, end - begin)
    end_together(control, t, threads)


@entry
def activate_backward_together(
    t: int, threads: int, control: Array, activation: int, a: Array, da: Array, dz: Array
) -> None:
    """Thread t's part of dz = da * activation's slope, from `a` as for activate_backward."""
    begin_together(control, t)
    begin, end = share(len(a), lanes(a), t, threads)
    activate_backward(activation, a, da, dz, begin, end - begin)
    end_together(control, t, threads)
