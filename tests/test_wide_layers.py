"""Layers so wide that threads share them in other ways: middle layers backward by columns, and a part of the first
layer's W used for all rows of a batch before the next."""

from typing import Any

import numpy as np
import pytest

from fastnn import MLP, MLPClassifier
from fastnn.compiled import sharing
from fastnn.kernels import sparse

m, SIZES = 150, [230, 270, 150, 40, 3]
rng = np.random.default_rng(0)
PIXELS = rng.integers(1, 256, (m, SIZES[0]), dtype=np.uint8) * (rng.random((m, SIZES[0])) < 0.2)
LABELS = rng.integers(0, SIZES[-1], m)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both middle layers are; and a batch meets every part of the first layer's W often enough."""
    monkeypatch.setattr(sharing, "LARGE", 40 * 150 * 4)
    assert SIZES[0] > sparse.NEAR // (sparse.WIDEST * 64)
    assert 0.2 * sparse.NEAR // (sparse.WIDEST * 64) > sparse.WORTH_A_VISIT


def trained(threads: int, dtype: str, *, backend: str = "numba", **how: Any) -> MLP:
    net = MLP(SIZES, dtype=dtype, activation=["relu", "tanh", "sigmoid"], backend=backend)
    net.fit(PIXELS, LABELS, epochs=3, threads=threads, verbose=False, **how)
    return net


@pytest.mark.parametrize("zeros", [True, False])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_number_of_threads_gives_the_same_bits(dtype: str, optimizer: str, zeros: bool) -> None:
    nets = [trained(n, dtype, optimizer=optimizer, batch_size=37, sparse=not zeros) for n in (1, 2, 3, 5)]
    assert len({b"".join(array.tobytes() for array in net.weights + net.biases) for net in nets}) == 1


@pytest.mark.parametrize("zeros", [True, False])
@pytest.mark.parametrize("threads", [1, 3])
def test_as_the_reference(threads: int, zeros: bool) -> None:
    how = {"optimizer": "nesterov", "learning_rate": 0.05, "weight_decay": 0.01, "batch_size": 37, "sparse": not zeros}
    net, other = trained(threads, "float64", **how), trained(1, "float64", backend="numpy", **how)
    for array, expected in zip(net.weights + net.biases, other.weights + other.biases, strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_dropout(activation: str) -> None:
    """Which values are left out does not depend on who computes them."""
    how = {"dropout": (0.2, 0.3, 0.4), "activation": activation, "max_iter": 3, "batch_size": 37, "random_state": 0}
    nets = [MLPClassifier(SIZES[1:-1], n_threads=n, tol=0.0, **how).fit(PIXELS / 255, LABELS) for n in (1, 2, 3)]
    assert len({b"".join(array.tobytes() for array in net.coefs_) for net in nets}) == 1
