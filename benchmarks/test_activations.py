"""Activations forward and backward; NumPy makes a new array each time, as its expressions do.

Below ops.BYTES_WORTH_A_THREAD the kernel itself is timed, in one thread whatever their number: ops would use no other,
and its checks, 4 us, are not what is compared here.
"""

from typing import Any

import numpy as np
import pytest

from fastnn import ops, reference
from fastnn.kernels import activations, softmax
from fastnn.kernels.simd.vectors import REGISTER_BYTES
from fastnn.team import NOBODY

ELEMENTWISE = [(64, 128), (1000, 64), (60000, 64)]
ROWS = [(64, 10), (60000, 10)]
NAMES = ["relu", "sigmoid", "tanh"]


def large(array: Any) -> bool:
    return bool(array.nbytes >= ops.BYTES_WORTH_A_THREAD)


@pytest.mark.parametrize("shape", ELEMENTWISE, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_forward(name: str, shape: tuple[int, int], versus: Any) -> None:
    Z = versus.array(*shape)
    out = np.empty_like(Z)
    number, flat, checked = getattr(activations, name.upper()), (Z.reshape(-1), out.reshape(-1)), getattr(ops, name)

    def ours(threads: int) -> Any:
        if large(Z):
            return checked(Z, out, threads=threads)
        activations.activate_together(0, 1, NOBODY, number, *flat)
        return out

    versus(f"{name} {shape[0]}x{shape[1]}", ours, name, Z)


@pytest.mark.parametrize("shape", ELEMENTWISE, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_backward(name: str, shape: tuple[int, int], versus: Any) -> None:
    A, dA = reference.ACTIVATION[name](versus.array(*shape)), versus.array(*shape)
    out, number = np.empty_like(A), getattr(activations, name.upper())
    flat, checked = [array.reshape(-1) for array in (A, dA, out)], getattr(ops, f"{name}_backward")

    def ours(threads: int) -> Any:
        if large(A):
            return checked(dA, A, out, threads=threads)
        activations.activate_backward_together(0, 1, NOBODY, number, *flat)
        return out

    versus(f"{name}_backward {shape[0]}x{shape[1]}", ours, f"{name}_backward", dA, A)


def room_for(N: int, dtype: Any) -> Any:
    """Scratch for rows of N outputs; see kernels/softmax.py."""
    return np.empty((N + softmax.ROOM) * REGISTER_BYTES // np.dtype(dtype).itemsize, dtype)


@pytest.mark.parametrize("shape", ROWS, ids=str)
def test_softmax(shape: tuple[int, int], versus: Any) -> None:
    Z = versus.array(*shape)
    out, room = np.empty_like(Z), room_for(shape[1], versus.dtype)

    def ours(threads: int) -> Any:
        if large(Z):
            return ops.softmax(Z, out, threads=threads)
        softmax.softmax_together(0, 1, NOBODY, Z.reshape(-1), out.reshape(-1), *shape, room)
        return out

    versus(f"softmax {shape[0]}x{shape[1]}", ours, "softmax", Z)


@pytest.mark.parametrize("shape", ROWS, ids=str)
def test_softmax_backward(shape: tuple[int, int], versus: Any) -> None:
    P, dP = reference.softmax(versus.array(*shape)), versus.array(*shape)
    out = np.empty_like(P)

    def ours(threads: int) -> Any:
        if large(P):
            return ops.softmax_backward(dP, P, out, threads=threads)
        softmax.softmax_backward_together(0, 1, NOBODY, P.reshape(-1), dP.reshape(-1), out.reshape(-1), *shape)
        return out

    versus(f"softmax_backward {shape[0]}x{shape[1]}", ours, "softmax_backward", dP, P)
