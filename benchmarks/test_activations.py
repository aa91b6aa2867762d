"""Activations forward and backward; NumPy makes a new array each time, as its expressions do.

Up to ops.NUMBERS_WORTH_A_THREAD numbers the kernel itself is timed, in one thread whatever their number: ops would not
start another, and its checks, 6 us, are not what is compared here.
"""

import math
from typing import Any

import numpy as np
import pytest

from fastnn import ops, reference
from fastnn.kernels import activations, softmax
from fastnn.kernels.simd import REGISTER_BYTES

ELEMENTWISE = [(64, 128), (1000, 64), (60000, 64)]
ROWS = [(64, 10), (60000, 10)]
NAMES = ["relu", "sigmoid", "tanh"]


def large(shape: tuple[int, int]) -> bool:
    return math.prod(shape) >= ops.NUMBERS_WORTH_A_THREAD


@pytest.mark.parametrize("shape", ELEMENTWISE, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_forward(name: str, shape: tuple[int, int], versus: Any) -> None:
    Z = versus.array(*shape)
    out = np.empty_like(Z)
    flat, kernel, checked = (Z.reshape(-1), out.reshape(-1), 0, Z.size), getattr(activations, name), getattr(ops, name)

    def ours(threads: int) -> Any:
        if large(shape):
            return checked(Z, out, threads=threads)
        kernel(*flat)
        return out

    versus(f"{name} {shape[0]}x{shape[1]}", ours, name, Z)


@pytest.mark.parametrize("shape", ELEMENTWISE, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_backward(name: str, shape: tuple[int, int], versus: Any) -> None:
    A, dA = reference.ACTIVATION[name](versus.array(*shape)), versus.array(*shape)
    out, name = np.empty_like(A), f"{name}_backward"
    flat = A.reshape(-1), dA.reshape(-1), out.reshape(-1), 0, A.size
    kernel, checked = getattr(activations, name), getattr(ops, name)

    def ours(threads: int) -> Any:
        if large(shape):
            return checked(dA, A, out, threads=threads)
        kernel(*flat)
        return out

    versus(f"{name} {shape[0]}x{shape[1]}", ours, name, dA, A)


def room_for(N: int, dtype: Any) -> Any:
    """Scratch for rows of N outputs; see kernels/softmax.py."""
    return np.empty((N + softmax.ROOM) * REGISTER_BYTES // np.dtype(dtype).itemsize, dtype)


@pytest.mark.parametrize("shape", ROWS, ids=str)
def test_softmax(shape: tuple[int, int], versus: Any) -> None:
    Z = versus.array(*shape)
    out, room = np.empty_like(Z), room_for(shape[1], versus.dtype)

    def ours(threads: int) -> Any:
        softmax.softmax(Z.reshape(-1), out.reshape(-1), 0, *shape, room)
        return out

    versus(f"softmax {shape[0]}x{shape[1]}", ours, "softmax", Z)


@pytest.mark.parametrize("shape", ROWS, ids=str)
def test_softmax_backward(shape: tuple[int, int], versus: Any) -> None:
    P, dP = reference.softmax(versus.array(*shape)), versus.array(*shape)
    out = np.empty_like(P)

    def ours(threads: int) -> Any:
        softmax.softmax_backward(P.reshape(-1), dP.reshape(-1), out.reshape(-1), 0, *shape)
        return out

    versus(f"softmax_backward {shape[0]}x{shape[1]}", ours, "softmax_backward", dP, P)
