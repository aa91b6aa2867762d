"""Activations forward and backward; NumPy makes a new array each time, as its expressions do."""

from typing import Any

import numpy as np
import pytest

from fastnn import ops, reference

ELEMENTWISE = [(64, 128), (1000, 64), (60000, 64)]
ROWS = [(64, 10), (60000, 10)]
NAMES = ["relu", "sigmoid", "tanh"]


@pytest.mark.parametrize("shape", ELEMENTWISE, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_forward(name: str, shape: tuple[int, int], versus: Any) -> None:
    Z, ours = versus.array(*shape), getattr(ops, name)
    out = np.empty_like(Z)
    versus(f"{name} {shape[0]}x{shape[1]}", lambda threads: ours(Z, out, threads=threads), name, Z)


@pytest.mark.parametrize("shape", ELEMENTWISE, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_backward(name: str, shape: tuple[int, int], versus: Any) -> None:
    A, dA, ours = (
        reference.ACTIVATION[name](versus.array(*shape)),
        versus.array(*shape),
        getattr(ops, f"{name}_backward"),
    )
    out = np.empty_like(A)
    what = f"{name}_backward {shape[0]}x{shape[1]}"
    versus(what, lambda threads: ours(dA, A, out, threads=threads), f"{name}_backward", dA, A)


@pytest.mark.parametrize("shape", ROWS, ids=str)
def test_softmax(shape: tuple[int, int], versus: Any) -> None:
    Z = versus.array(*shape)
    out = np.empty_like(Z)
    versus(f"softmax {shape[0]}x{shape[1]}", lambda threads: ops.softmax(Z, out, threads=threads), "softmax", Z)


@pytest.mark.parametrize("shape", ROWS, ids=str)
def test_softmax_backward(shape: tuple[int, int], versus: Any) -> None:
    P, dP = reference.softmax(versus.array(*shape)), versus.array(*shape)
    out, what = np.empty_like(P), f"softmax_backward {shape[0]}x{shape[1]}"
    versus(what, lambda threads: ops.softmax_backward(dP, P, out, threads=threads), "softmax_backward", dP, P)
