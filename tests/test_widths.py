"""Layers of any width: panels with any number of columns, and what strips of as many inputs leave over."""

from typing import Any

import numpy as np
import pytest

from fastnn import MLP

m, K, N = 331, 50, 4
rng = np.random.default_rng(0)
PIXELS = rng.integers(1, 256, (m, K), dtype=np.uint8) * (rng.random((m, K)) < 0.3)
LABELS = rng.integers(0, N, m)
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}


def weights(width: int, dtype: str, backend: str, **how: Any) -> list[Any]:
    net = MLP([K, width, 1 + width % 7, N], dtype=dtype, backend=backend)
    net.fit(PIXELS, LABELS, epochs=1, optimizer="sgd", learning_rate=0.01, verbose=False, **how)
    return net.weights + net.biases


@pytest.mark.parametrize("batch_size", [7, 37, 200])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_layers_of_any_width(dtype: str, batch_size: int) -> None:
    """In steps of few rows and of many: the same bits whoever trains, and with lists, whose sums are made otherwise."""
    for width in range(1, 41):
        net, *others = (
            weights(width, dtype, "numba", batch_size=batch_size, threads=threads, sparse=sparse)
            for threads, sparse in ((1, False), (2, False), (2, True))
        )
        for other in others:
            assert all(array.tobytes() == same.tobytes() for array, same in zip(net, other, strict=True))
        for array, expected in zip(net, weights(width, dtype, "numpy", batch_size=batch_size), strict=True):
            np.testing.assert_allclose(array, expected, rtol=0, atol=TOLERANCE[dtype] * np.abs(expected).max())
