"""Training by the kernels against training by the NumPy reference, in float64, step after step."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP, Initializer, load_mnist
from fastnn.architecture import ACTIVATIONS
from fastnn.commands.settings import Settings
from fastnn.commands.training import make_network
from fastnn.optimizers import OPTIMIZERS
from fastnn.recipes import RECIPES

Array = NDArray[Any]
OUTPUTS = [("softmax", 4), ("sigmoid", 1), ("sigmoid", 4), ("identity", 1), ("identity", 4)]
m, K = 150, 11  # two blocks of the full batch, the second not full; the last mini-batch is not full either
BATCHES = [None, 16, 150]


def problem(output: str, N: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(m, K))
    if output == "softmax":
        return X, rng.integers(0, N, m)
    y = rng.normal(size=(m, N)) if output == "identity" else rng.integers(0, 2, (m, N))
    return X, y[:, 0] if N == 1 else y


def assert_alike(output: str, N: int, activation: str, **how: Any) -> None:
    """Both backends' weights and history are the same to 1e-9 after four epochs."""
    X, y = problem(output, N)
    nets = [
        MLP([K, 17, 6, N], activation=activation, output=output, dtype="float64", backend=backend)
        for backend in ("numba", "numpy")
    ]
    first = [W.copy() for W in nets[0].weights]
    ours, theirs = (net.fit(X, y, epochs=4, threads=2, verbose=False, **how) for net in nets)
    assert_close(*nets)
    assert all((before != W).any() for W, before in zip(nets[0].weights, first, strict=True))
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-9)
    assert ours.accuracy == theirs.accuracy


def assert_close(net: MLP, other: MLP) -> None:
    for array, expected in zip(net.weights + net.biases, other.weights + other.biases, strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize(("output", "N"), OUTPUTS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers(optimizer: str, output: str, N: int, batch_size: int | None) -> None:
    how = {"optimizer": optimizer, "batch_size": batch_size, "learning_rate": 0.01, "weight_decay": 0.1}
    assert_alike(output, N, "tanh", **how)


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize(("output", "N"), OUTPUTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation: str, output: str, N: int, batch_size: int | None) -> None:
    assert_alike(output, N, activation, optimizer="nesterov", momentum=0.7, learning_rate=0.02, batch_size=batch_size)


@pytest.mark.parametrize(
    "sizes", [[1, 1], [1, 2], [2, 1, 2], [15, 16, 17], [17, 15, 16, 3], [100, 63, 1, 10], [783, 2]]
)
@pytest.mark.parametrize("batch_size", [1, 3, 15, 17, 63, None])
def test_awkward_sizes(sizes: list[int], batch_size: int | None) -> None:
    rng = np.random.default_rng(6)
    X, y = rng.normal(size=(33, sizes[0])), rng.integers(0, max(2, sizes[-1]), 33)
    nets = [MLP(sizes, dtype="float64", backend=backend) for backend in ("numba", "numpy")]
    for net in nets:
        net.fit(X, y, epochs=2, batch_size=batch_size, learning_rate=0.01, verbose=False)
    assert_close(*nets)


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("batch_size", [16, None])
def test_features_of_other_kinds(kind: str, batch_size: int | None) -> None:
    X = np.random.default_rng(7).integers(0, 256, (m, K)).astype(kind) / (1 if kind == "uint8" else np.float32(256))
    X, y = X.astype(kind), problem("softmax", 4)[1]
    nets = [MLP([K, 9, 4], dtype="float64", backend=backend) for backend in ("numba", "numpy")]
    for net in nets:
        net.fit(X, y, epochs=3, batch_size=batch_size, verbose=False)
    assert_close(*nets)


@pytest.fixture(scope="module")
def digits() -> tuple[Array, Array, Array, Array]:
    """The first rows of MNIST: X_train, y_train, X_test, y_test."""
    X_train, y_train, X_test, y_test = load_mnist()
    return X_train[:400], y_train[:400], X_test[:100], y_test[:100]


@pytest.mark.parametrize("name", RECIPES)
def test_recipes(name: str, digits: tuple[Array, Array, Array, Array]) -> None:
    recipe = RECIPES[name]
    recipe = replace(recipe, rows=recipe.rows and 350, held_out=min(recipe.held_out, 50))
    rows = recipe.prepare(*digits, seed=0)
    init = replace(Initializer.of(recipe.init), biases=recipe.init_biases)
    nets = []
    for backend in ("numba", "numpy"):
        settings = Settings(**recipe.settings() | {"dtype": "float64", "backend": backend, "epochs": 20})
        nets.append(make_network(settings, rows, init))
        nets[-1].fit(
            rows.X_train,
            rows.y_train,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            optimizer=settings.optimizer,
            learning_rate=settings.learning_rate,
            verbose=False,
        )
    assert_close(*nets)
    scores = [net.score(rows.X_evaluate, rows.y_evaluate) for net in nets]
    assert scores[0] == scores[1]
