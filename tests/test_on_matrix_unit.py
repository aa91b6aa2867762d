"""Networks with layers on the CPU's matrix unit: the same as without, and the same bits whoever trains them. Where
there is none they are trained without."""

import threading
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP, Diverged, compiled, matrix_unit, plain
from fastnn.architecture import Architecture
from fastnn.compiled.sharing import LEAST_WIDTH
from fastnn.compiled.ways import WORTH_ENCODING
from fastnn.kernels.matrix_unit.instructions import HAS_MATRIX_UNIT
from fastnn.objective import Objective
from fastnn.optimizers import OPTIMIZERS, Optimizer
from fastnn.pace import Pace
from fastnn.trainer import Plan, State

Array = NDArray[Any]
m = 333
rng = np.random.default_rng(0)
PIXELS = rng.integers(1, 256, (m, 784), dtype=np.uint8) * (rng.random((m, 784)) < 0.3)
NETWORKS = [
    (64, 1),
    (65, 17, 3),
    (784, 10, 10),
    (100, 64, 10),
    (784, 128, 10),
    (97, 48, 20, 5),
    (70, 260, 257, 4),  # whose second layer is so wide, too
    (65, 280, 256, 260),  # and the third
]
BATCHES = [32, 33, 64, 100, 300, None]

on_the_unit = pytest.mark.skipif(not matrix_unit.available(), reason="there is no matrix unit, or it may not be used")
networks = pytest.mark.parametrize("sizes", NETWORKS, ids=str)


@pytest.fixture
def remove_unit(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """remove_unit(): from now on there is none."""
    return lambda: monkeypatch.setattr(matrix_unit, "available", lambda: False)


def network(sizes: tuple[int, ...], **how: Any) -> MLP:
    return MLP(sizes, activation="tanh", output="sigmoid" if sizes[-1] == 1 else "softmax", **how)


def trained(
    sizes: tuple[int, ...], batch_size: int | None, X: Array | None = None, *, dtype: str = "float32", **how: Any
) -> MLP:
    """After a few epochs with so small a learning rate that rounding does not grow."""
    net = network(sizes, dtype=dtype, backend=how.pop("backend", "numba"))
    net.weights = [W.astype(np.float32) for W in net.weights]  # float64 begins with the same
    X = PIXELS[:, -sizes[0] :] if X is None else X
    how = {"epochs": 3, "optimizer": "momentum", "learning_rate": 0.03, "verbose": False} | how
    net.fit(X, np.arange(len(X)) % max(2, sizes[-1]), batch_size=batch_size, **how)
    return net


def arrays(net: MLP) -> list[Array]:
    return [*net.weights, *net.biases]


def bits(net: MLP) -> bytes:
    return b"".join(array.tobytes() for array in arrays(net))


def error_of(net: MLP, exact: MLP) -> float:
    """How far its parameters are from the exact ones, divided by how far those have come."""
    start = network(net.architecture.sizes, dtype="float32")
    flat, expected, before = (np.concatenate([array.ravel() for array in arrays(each)]) for each in (net, exact, start))
    return float(np.linalg.norm(flat - expected) / np.linalg.norm(expected - before))


# --- the same network


@networks
@pytest.mark.parametrize("batch_size", BATCHES)
def test_as_near_to_the_reference_as_without(
    sizes: tuple[int, ...], batch_size: int | None, remove_unit: Callable[[], None]
) -> None:
    optimizer = OPTIMIZERS[(BATCHES.index(batch_size) + len(sizes)) % len(OPTIMIZERS)]
    scaled = optimizer in ("rmsprop", "adam", "adamw")  # which make noise of gradients that should be zero
    how = {"optimizer": optimizer, "learning_rate": 1e-3 if scaled else 0.03}
    ours = trained(sizes, batch_size, **how)
    remove_unit()
    exact = trained(sizes, batch_size, dtype="float64", backend="numpy", **how)
    error, without = (error_of(net, exact) for net in (ours, trained(sizes, batch_size, sparse=False, **how)))
    assert error <= (10 if scaled else 1.2) * without
    assert error <= (2e-5 if HAS_MATRIX_UNIT else 2.5e-5)  # multiply-adds alone come to 2.1e-5


FLOATS: dict[str, Callable[[Array], Array]] = {
    "pixels of float32": lambda X: X / np.float32(255),
    "pixels of float64": lambda X: X / 255,
    "256ths": lambda X: X / 256,
    "128ths": lambda X: X / 128,
}


@networks
@pytest.mark.parametrize("batch_size", [33, 300, None])
@pytest.mark.parametrize("kind", FLOATS)
def test_floats_as_near_to_the_reference_as_without(
    sizes: tuple[int, ...], batch_size: int | None, kind: str, remove_unit: Callable[[], None]
) -> None:
    X = FLOATS[kind](PIXELS[:, -sizes[0] :])
    ours = [trained(sizes, batch_size, X, sparse=sparse) for sparse in ("auto", False)]
    remove_unit()
    exact = trained(sizes, batch_size, X, dtype="float64", backend="numpy")
    for net in ours:
        error, without = error_of(net, exact), error_of(trained(sizes, batch_size, X), exact)
        assert error <= 1.2 * without
        assert error <= 4e-5


def parameters_of(architecture: Architecture) -> list[Array]:
    drawn = np.random.default_rng(5)
    shapes = [*architecture.layers, *((N,) for _, N in architecture.layers)]
    return [drawn.normal(size=shape).astype(np.float32) / shape[0] ** 0.5 for shape in shapes]


def with_objective(sizes: tuple[int, ...], batch_size: int, threads: int) -> list[Array]:
    """After three epochs with dropout, a penalty, and rows that count more or less."""
    architecture = Architecture(sizes, ("tanh", "gelu")[: len(sizes) - 2], "softmax")
    arrays, count = parameters_of(architecture), len(sizes) - 1
    state, optimizer, order = State(arrays[:count], arrays[count:]), Optimizer("nesterov", 0.03), np.arange(m)
    state.begin(optimizer)
    objective = Objective(parameter=0.1, penalty=0.1, dropout=(0.2, 0.3)[: count - 1], seed=4)
    plan, weights = Plan(3, batch_size, optimizer, 0, threads, objective=objective), np.linspace(0, 2, m)
    data = PIXELS[:, -sizes[0] :], order % sizes[-1]
    trainer = compiled.Trainer(architecture, state, *data, plan, weights)
    trainer.run(np.zeros(3), np.zeros(3, np.int64), np.tile(order, 3), None)
    trainer.finish()
    return arrays


@pytest.mark.parametrize("batch_size", [37, 300])
@pytest.mark.parametrize("sizes", [(65, 17, 3), (784, 128, 10), (70, 260, 130, 4)], ids=str)
def test_dropout_a_penalty_and_weights_of_rows(
    sizes: tuple[int, ...], batch_size: int, remove_unit: Callable[[], None]
) -> None:
    alone, together = (with_objective(sizes, batch_size, threads) for threads in (1, 3))
    remove_unit()
    for one, other, expected in zip(alone, together, with_objective(sizes, batch_size, 1), strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize("sizes", [(64, 1), (97, 48, 20, 5)], ids=str)
def test_the_gradient_of_all_rows(sizes: tuple[int, ...]) -> None:
    architecture, objective = Architecture(sizes, ("tanh",) * (len(sizes) - 2), "identity"), Objective(penalty=0.1)
    X, Y, weights = PIXELS[:, -sizes[0] :], rng.normal(size=(m, sizes[-1])), np.linspace(0, 2, m)
    parameters = parameters_of(architecture)
    given = architecture, X, Y.astype(np.float32), objective, weights, np.dtype(np.float32)
    (value, gradient), (same, again) = (compiled.Gradient(*given, threads)(parameters) for threads in (1, 3))
    exact, expected = plain.Gradient(*given[:5], np.dtype(np.float64), 1)([P.astype(float) for P in parameters])
    assert value == same
    assert value == pytest.approx(exact, rel=1e-5)
    for found, other, wanted in zip(gradient, again, expected, strict=True):
        np.testing.assert_array_equal(found, other)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * abs(wanted).max())


# --- the same bits


@networks
@pytest.mark.parametrize("batch_size", [33, 300, None])
def test_any_number_of_threads(sizes: tuple[int, ...], batch_size: int | None) -> None:
    nets = [trained(sizes, batch_size, optimizer="adam", threads=threads) for threads in (1, 2, 3, 5)]
    assert len({bits(net) for net in nets}) == 1


@pytest.mark.parametrize("batch_size", [64, 300, None])
@pytest.mark.parametrize("sizes", [(20, 260, 257, 4), (259, 258, 4), (256, 270, 256, 4)], ids=str)
def test_wide_layers_of_floats(sizes: tuple[int, ...], batch_size: int | None, remove_unit: Callable[[], None]) -> None:
    X = rng.normal(size=(m, sizes[0]))
    nets = [
        trained(sizes, batch_size, X, threads=threads, sparse=sparse)
        for threads in (1, 3)
        for sparse in ((True, False) if sizes[0] < LEAST_WIDTH else (False,))
    ]
    assert len({bits(net) for net in nets}) == 1
    remove_unit()
    exact = trained(sizes, batch_size, X, dtype="float64", backend="numpy")
    assert error_of(nets[0], exact) <= 1.2 * error_of(trained(sizes, batch_size, X), exact)


@on_the_unit
@networks
@pytest.mark.parametrize("batch_size", [33, None])
@pytest.mark.parametrize("kind", list(FLOATS)[:2])
def test_pixels_that_are_floats(sizes: tuple[int, ...], batch_size: int | None, kind: str) -> None:
    """The same bits as of bytes, with any number of threads, where they are worth to be made bytes."""
    X = PIXELS[:, -sizes[0] :]
    nets = [trained(sizes, batch_size, FLOATS[kind](X), threads=threads) for threads in (1, 2, 3)]
    assert len({bits(net) for net in nets}) == 1
    worth = sizes[0] * sizes[1] >= WORTH_ENCODING
    assert (bits(nets[0]) == bits(trained(sizes, batch_size, X))) == worth


@pytest.mark.parametrize("batch_size", [64, 300, None])
def test_some_epochs_and_then_the_others_of_floats(batch_size: int | None) -> None:
    nets = [network((784, 10, 10)) for _ in range(2)]
    for net, turns in zip(nets, ((4,), (1, 2, 1)), strict=True):
        for epochs in turns:
            net.fit(PIXELS / 255, np.arange(m) % 10, epochs=epochs, batch_size=batch_size, verbose=False)
    assert bits(nets[0]) == bits(nets[1])


class Restless(Pace):
    """Another number of threads every few steps."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.turns: Iterator[tuple[int, int]] = cycle([(n, 2) for n in (threads, 1, threads, max(1, threads - 1))])

    def next(self) -> tuple[int, int]:
        return next(self.turns)


@networks
@pytest.mark.parametrize("batch_size", [33, 300])
def test_threads_that_come_and_go(sizes: tuple[int, ...], batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = bits(trained(sizes, batch_size, optimizer="adam", threads=1, epochs=5))
    monkeypatch.setattr("fastnn.compiled.training.recall", lambda kind, threads: Restless(threads))
    assert bits(trained(sizes, batch_size, optimizer="adam", threads=4, epochs=5)) == expected


@networks
@pytest.mark.parametrize("batch_size", [64, 300, None])
def test_some_epochs_and_then_the_others(sizes: tuple[int, ...], batch_size: int | None) -> None:
    whole, parts = (trained(sizes, batch_size, optimizer="adam", epochs=epochs) for epochs in (4, 1))
    labels = np.arange(m) % max(2, sizes[-1])
    how = {"optimizer": "adam", "learning_rate": 0.03, "batch_size": batch_size, "verbose": False}
    parts.fit(PIXELS[:, -sizes[0] :], labels, epochs=2, threads=1, **how)
    parts.fit(PIXELS[:, -sizes[0] :], labels, epochs=1, threads=3, **how)
    assert bits(parts) == bits(whole)


def read_only(X: Array) -> Array:
    X = X.copy()
    X.flags.writeable = False
    return X


def at_an_odd_address(X: Array) -> Array:
    memory = np.zeros(X.size + 1, np.uint8)[1:]
    memory[:] = X.ravel()
    return memory.reshape(X.shape)


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "from the last row to the first": lambda X: X[::-1].copy()[::-1],
    "columns of more": lambda X: np.hstack([X, X, X])[:, X.shape[1] : 2 * X.shape[1]],
    "at an odd address": at_an_odd_address,
    "read-only": read_only,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch_size", [33, 300, None])
def test_features_of_any_layout(layout: str, batch_size: int | None) -> None:
    X = np.ascontiguousarray(PIXELS[:, :97])
    for sizes in ((97, 70, 3), (97, 10, 3)):
        expected = bits(trained(sizes, batch_size, X, threads=2))
        assert bits(trained(sizes, batch_size, LAYOUTS[layout](X), threads=2)) == expected


@pytest.mark.parametrize("batch_size", [33, None])
def test_one_row_for_all(batch_size: int | None) -> None:
    X = np.broadcast_to(PIXELS[0, :97], (m, 97))
    assert bits(trained((97, 70, 3), batch_size, X)) == bits(trained((97, 70, 3), batch_size, X.copy()))


@pytest.mark.parametrize("batch_size", [33, 300, None])
def test_features_in_a_file(batch_size: int | None, tmp_path: Path) -> None:
    """Their last byte is the file's, though not its last page's."""
    np.save(tmp_path / "X.npy", PIXELS[:, :97])
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert bits(trained((97, 70, 3), batch_size, X)) == bits(trained((97, 70, 3), batch_size, PIXELS[:, :97]))


def test_two_at_once() -> None:
    expected, found = [bits(trained(sizes, 64, epochs=20)) for sizes in NETWORKS[3:5]], {}

    def train(number: int) -> None:
        found[number] = bits(trained(NETWORKS[3 + number], 64, epochs=20, threads=2))

    callers = [threading.Thread(target=train, args=(number,)) for number in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert [found[0], found[1]] == expected


# --- a loss that is no longer finite


@pytest.mark.parametrize("learning_rate", [10.0, 1e3, 1e20, 3e38])
@pytest.mark.parametrize("batch_size", [47, None])
@pytest.mark.parametrize("hidden", [5, 48, 100])
@pytest.mark.parametrize("activation", ["identity", "relu", "tanh"])
def test_the_last_finite_weights(
    activation: str, hidden: int, batch_size: int | None, learning_rate: float, take_steps: Callable[..., None]
) -> None:
    X, y = PIXELS[:140, :97], PIXELS[:140, :9].sum(axis=1) / 255.0
    net, other = (MLP([97, hidden, 1], output="identity", activation=activation) for _ in range(2))
    how: dict[str, Any] = {"optimizer": "sgd", "learning_rate": learning_rate}
    with pytest.raises(Diverged) as caught:
        net.fit(X, y, epochs=60, batch_size=batch_size, verbose=False, threads=3, **how)
    steps = (caught.value.epoch - 1) * (3 if batch_size else 1) + caught.value.batch - 1
    take_steps(other, X, y, steps, batch_size, **how)
    assert np.isfinite(np.concatenate([array.ravel() for array in arrays(net)])).all()
    assert bits(net) == bits(other)
