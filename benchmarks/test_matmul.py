"""Dense layers forward and backward, against NumPy with its OpenBLAS."""

from typing import Any

import numpy as np
import pytest

from fastnn import ops

SIZES = [(64, 784, 128), (1000, 784, 64), (1000, 784, 10), (1024, 1024, 1024)]
sizes = pytest.mark.parametrize(("m", "K", "N"), SIZES, ids=lambda size: str(size))


@sizes
def test_matmul_bias(m: int, K: int, N: int, versus: Any) -> None:
    X, W, b = versus.array(m, K), versus.array(K, N), versus.array(N)
    out = np.empty((m, N), versus.dtype)
    what = f"matmul_bias {m}x{K}x{N}"
    versus(what, lambda threads: ops.matmul_bias(X, W, b, out, threads=threads), "matmul_bias", X, W, b)


@sizes
def test_matmul_bias_backward(m: int, K: int, N: int, versus: Any) -> None:
    dZ, X, W = versus.array(m, N), versus.array(m, K), versus.array(K, N)
    what, name = f"matmul_bias_backward {m}x{K}x{N}", "matmul_bias_backward"
    versus(what, lambda threads: ops.matmul_bias_backward(dZ, X, W, threads=threads), name, dZ, X, W)
