"""Training ends with a network that is good at small, easy problems."""

import numpy as np
import pytest

from fastnn import MLP
from fastnn.optimizers import OPTIMIZERS

BACKENDS = ("numba", "numpy")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("batch_size", [32, None])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_it_learns_classes(backend: str, batch_size: int | None, optimizer: str) -> None:
    rng = np.random.default_rng(2)
    y = np.arange(300) % 3
    points = 3 * rng.normal(size=(3, 4))[y] + rng.normal(size=(300, 4))
    net = MLP([4, 16, 3], backend=backend)
    history = net.fit(
        points, y, epochs=100, batch_size=batch_size, optimizer=optimizer, learning_rate=0.02, verbose=False
    )
    assert history.loss[-1] < history.loss[0] / 2
    assert net.score(points, y) > 0.95


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_it_learns_yes_or_no(backend: str, activation: str) -> None:
    """Exclusive or, which no network without a hidden layer can tell."""
    points = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    net = MLP([2, 16, 1], activation=activation, backend=backend)
    net.fit(points, [0, 1, 1, 0], epochs=500, batch_size=None, learning_rate=0.1, verbose=False)
    assert net.predict(points).tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_learns_numbers(backend: str) -> None:
    x = np.linspace(-2, 2, 200)[:, None]
    net = MLP([1, 32, 2], output="identity", activation="tanh", backend=backend)
    y = np.hstack([np.sin(x), x**2])
    net.fit(x, y, epochs=300, batch_size=32, learning_rate=0.02, verbose=False)
    assert net.score(x, y) > 0.98
