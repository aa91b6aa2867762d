"""A loss that is no longer finite: the error names the step, and the weights are those from before it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP, Diverged

Array = NDArray[Any]
m, K, B = 140, 4, 47
X = np.random.default_rng(0).normal(size=(m, K))
y = X.sum(axis=1) + np.random.default_rng(1).normal(size=m)
BATCHES = {None: 1, B: 3, m: 1}

backends = pytest.mark.parametrize("backend", ["numba", "numpy"])
batches = pytest.mark.parametrize("batch_size", BATCHES)
layers = pytest.mark.parametrize("hidden", [5, 100])  # in one piece, in slices


def network(backend: str, hidden: int = 5) -> MLP:
    return MLP([K, hidden, 1], output="identity", activation="identity", backend=backend)


def parameters(net: MLP) -> list[Array]:
    return [*net.weights, *net.biases]


def bits(net: MLP) -> list[bytes]:
    return [array.tobytes() for array in parameters(net)]


def diverge(net: MLP, batch_size: int | None, **how: Any) -> Diverged:
    with pytest.raises(Diverged) as caught:
        net.fit(X, y, epochs=60, batch_size=batch_size, verbose=False, **how)
    return caught.value


# Rates with which the loss grows for many steps, for a few, and with which the first step's weights are not finite.
RATES = [3.0, 1e3, 1e20, 3e38]


@backends
@batches
@layers
@pytest.mark.parametrize("learning_rate", RATES)
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov"])
def test_weights_are_those_before_the_step_that_is_named(
    backend: str,
    batch_size: int | None,
    hidden: int,
    learning_rate: float,
    optimizer: str,
    take_steps: Callable[..., None],
) -> None:
    how = {"optimizer": optimizer, "learning_rate": learning_rate}
    net, other = network(backend, hidden), network(backend, hidden)
    error = diverge(net, batch_size, **how)
    assert all(np.isfinite(array).all() for array in parameters(net))
    take_steps(other, X, y, (error.epoch - 1) * BATCHES[batch_size] + error.batch - 1, batch_size, **how)
    assert bits(net) == bits(other)


@backends
@batches
@layers
@pytest.mark.parametrize("learning_rate", [1e3, 3e38])
def test_nothing_else_remembers_the_bad_step(
    backend: str, batch_size: int | None, hidden: int, learning_rate: float, take_steps: Callable[..., None]
) -> None:
    """Neither the optimizer nor the count of steps and epochs, on which the next shuffle depends."""
    how = {"optimizer": "momentum", "learning_rate": learning_rate}
    net, other = network(backend, hidden), network(backend, hidden)
    error = diverge(net, batch_size, **how)
    take_steps(other, X, y, (error.epoch - 1) * BATCHES[batch_size] + error.batch - 1, batch_size, **how)
    assert (net._state.steps, net._state.epochs) == (other._state.steps, other._state.epochs)
    (velocity,), (expected,) = net._state.slots, other._state.slots
    assert [v.tobytes() for v in velocity] == [v.tobytes() for v in expected]
    assert all(np.isfinite(v).all() for v in velocity)
    assert net._state.unfinished.steps == error.batch - 1
    assert np.isfinite(net._state.unfinished.loss)
    assert (net._state.unfinished.loss > 0) == (error.batch > 1)


@batches
@pytest.mark.parametrize("learning_rate", RATES)
def test_backends_diverge_in_the_same_step(batch_size: int | None, learning_rate: float) -> None:
    errors = [
        diverge(network(backend), batch_size, optimizer="sgd", learning_rate=learning_rate)
        for backend in ("numba", "numpy")
    ]
    assert (errors[0].epoch, errors[0].batch) == (errors[1].epoch, errors[1].batch)


@backends
@batches
def test_what_the_error_says(backend: str, batch_size: int | None) -> None:
    error = diverge(network(backend), batch_size, optimizer="sgd", learning_rate=1e3)
    assert isinstance(error, ArithmeticError)
    assert error.learning_rate == 1e3
    assert 1 <= error.batch <= BATCHES[batch_size]
    assert 1 <= error.epoch <= 60
    assert f"in epoch {error.epoch}, batch {error.batch}, with learning_rate 1000;" in str(error)


@backends
@batches
def test_the_last_step_of_all(backend: str, batch_size: int | None) -> None:
    """Weights that are not finite are found even if no loss is computed from them any more."""
    net, first = network(backend), network(backend)
    with pytest.raises(Diverged) as caught:
        net.fit(X[:B], y[:B], epochs=1, batch_size=batch_size, optimizer="sgd", learning_rate=3e38, verbose=False)
    assert bits(net) == bits(first)
    assert (caught.value.epoch, caught.value.batch) == (1, 1)


@backends
@batches
def test_the_first_step_of_all(backend: str, batch_size: int | None) -> None:
    net = network(backend)
    net.weights = [np.full_like(W, 1e30) for W in net.weights]
    before = bits(net)
    error = diverge(net, batch_size, optimizer="adam", learning_rate=1e-3)
    assert (error.epoch, error.batch) == (1, 1)
    assert bits(net) == before


@backends
@batches
def test_weights_can_be_infinite_while_the_loss_is_not(backend: str, batch_size: int | None) -> None:
    """A relu whose weight became -inf is off, and hides it; two more steps, and the loss is not finite either."""
    net = MLP([1, 1, 1], output="identity", backend=backend)
    net.weights = [np.full((1, 1), 1e-25), np.full((1, 1), 1e25)]
    before = bits(net)
    with pytest.raises(Diverged) as caught:
        net.fit(
            np.ones((B, 1)),
            np.zeros(B),
            epochs=9,
            batch_size=batch_size,
            optimizer="sgd",
            learning_rate=1e14,
            verbose=False,
        )
    assert bits(net) == before
    assert (caught.value.epoch, caught.value.batch) == (1, 1)


@backends
def test_epochs_count_from_the_first_fit(backend: str) -> None:
    net = network(backend)
    net.fit(X, y, epochs=7, batch_size=None, optimizer="sgd", learning_rate=0.01, verbose=False)
    net.weights = [np.full_like(W, 1e30) for W in net.weights]
    assert diverge(net, None, optimizer="sgd", learning_rate=0.01).epoch == 8


@backends
def test_in_one_of_several_shards(backend: str) -> None:
    """A single row of many overflows."""
    rows = np.zeros((1000, K), np.float32)
    rows[777] = 1e30
    net = network(backend)
    before = bits(net)
    with pytest.raises(Diverged):
        net.fit(rows, np.zeros(1000), epochs=3, batch_size=None, threads=3, verbose=False)
    assert bits(net) == before


@backends
@layers
@pytest.mark.parametrize("learning_rate", RATES)
@pytest.mark.parametrize("optimizer", ["momentum", "nesterov"])
def test_a_fit_of_a_single_step_is_undone(backend: str, hidden: int, learning_rate: float, optimizer: str) -> None:
    """Of which no copy is made before."""
    how = {"optimizer": optimizer, "learning_rate": learning_rate, "batch_size": m, "verbose": False}
    net, steps = network(backend, hidden), 0

    def learnt() -> list[Any]:
        return [bits(net), net._state.steps, [P.tobytes() for slot in net._state.slots if steps for P in slot]]

    epoch = 0
    while epoch == 0:
        before = learnt()
        try:
            net.fit(X, y, epochs=1, **how)
            steps += 1
            assert steps < 200
        except Diverged as error:
            epoch = error.epoch
    assert epoch == steps + 1
    assert learnt() == before
