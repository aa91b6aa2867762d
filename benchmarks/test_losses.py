"""Losses with their gradients, which fastnn makes in one pass and in one thread."""

from typing import Any

import numpy as np
import pytest

from benchmarks.test_activations import room_for
from fastnn.kernels import losses

SHAPES = [(64, 10), (60000, 10)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["softmax_cross_entropy", "binary_cross_entropy", "squared_error"])
def test_loss(name: str, shape: tuple[int, int], versus: Any) -> None:
    Z, kernel = versus.array(*shape), getattr(losses, name)
    softmax = name == "softmax_cross_entropy"
    Y = np.arange(shape[0]) % shape[1] if softmax else (versus.array(*shape) > 0).astype(versus.dtype)
    dZ, rows = np.empty_like(Z), np.empty(shape[0])
    smoothing, room = ([0.0], [room_for(shape[1], versus.dtype)]) if softmax else ([], [])

    def ours(threads: int) -> Any:
        np.copyto(dZ, Z)
        kernel(dZ.reshape(-1), 0, *shape, Y.reshape(-1), 0, 1 / shape[0], *smoothing, rows, 0, *room)
        return rows, dZ

    versus(f"{name} {shape[0]}x{shape[1]}", ours, name, Z, Y)
