"""Losses with their gradients, which fastnn makes in one pass and in one thread."""

from typing import Any

import numpy as np
import pytest

from fastnn import ops

SHAPES = [(64, 10), (60000, 10)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["softmax_cross_entropy", "binary_cross_entropy", "squared_error"])
def test_loss(name: str, shape: tuple[int, int], versus: Any) -> None:
    Z, ours = versus.array(*shape), getattr(ops, name)
    softmax = name == "softmax_cross_entropy"
    Y = np.arange(shape[0]) % shape[1] if softmax else (versus.array(*shape) > 0).astype(versus.dtype)
    versus(f"{name} {shape[0]}x{shape[1]}", lambda threads: ours(Z, Y), name, Z, Y)
