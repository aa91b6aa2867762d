"""Losses with their gradients, which fastnn makes in one pass; small ones by the kernel alone, see test_activations."""

from typing import Any

import numpy as np
import pytest

from benchmarks.test_activations import large, room_for
from fastnn import ops
from fastnn.kernels import losses
from fastnn.team import NOBODY

SHAPES = [(64, 10), (60000, 10)]
NUMBERS = {
    "softmax_cross_entropy": losses.SOFTMAX,
    "binary_cross_entropy": losses.BINARY,
    "squared_error": losses.SQUARED,
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NUMBERS)
def test_loss(name: str, shape: tuple[int, int], versus: Any) -> None:
    Z, labelled = versus.array(*shape), name == "softmax_cross_entropy"
    Y = np.arange(shape[0]) % shape[1] if labelled else (versus.array(*shape) > 0).astype(versus.dtype)
    dZ, rows, room = np.empty_like(Z), np.empty(shape[0]), room_for(shape[1], versus.dtype)
    labels, targets = (Y, np.empty(0, versus.dtype)) if labelled else (np.empty(0, np.int64), Y.reshape(-1))
    flat = Z.reshape(-1), dZ.reshape(-1), *shape, labels, targets

    def ours(threads: int) -> Any:
        if large(Z):
            return getattr(ops, name)(Z, Y, threads=threads)
        losses.loss_together(0, 1, NOBODY, NUMBERS[name], *flat, 1 / shape[0], 0.0, rows, room)
        return rows, dZ

    versus(f"{name} {shape[0]}x{shape[1]}", ours, name, Z, Y)
