"""Networks of one hidden layer, trained in slices of it: the same bits whoever trains which, and as the reference."""

from collections.abc import Iterator
from itertools import cycle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP, MLPClassifier
from fastnn.architecture import Architecture
from fastnn.compiled.ways import Slices, Trainer
from fastnn.optimizers import Optimizer
from fastnn.pace import Pace
from fastnn.slicing import LEAST, MOST, bounds_of, slices_of
from fastnn.trainer import Plan, State

Array = NDArray[Any]
m, K, N = 331, 50, 4
rng = np.random.default_rng(0)
PIXELS = rng.integers(1, 256, (m, K), dtype=np.uint8) * (rng.random((m, K)) < 0.3)
LABELS = rng.integers(0, N, m)
WANTED = {"softmax": LABELS, "sigmoid": LABELS > 1, "identity": rng.normal(size=m)}


@pytest.mark.parametrize("lanes", [2, 4, 8, 16])
def test_bounds(lanes: int) -> None:
    for hidden in (*range(1, 300), 400, 512, 777, 1000, 5000):
        bounds = bounds_of(hidden, 10, lanes)
        assert len(bounds) == slices_of(hidden, 10) + 1
        assert slices_of(hidden, 10) in (1, 2, 4, MOST)
        assert bounds[0] == 0
        assert bounds[-1] == hidden
        assert not (bounds[1:-1] % lanes).any()
        assert hidden < 2 * LEAST or np.diff(bounds).min() > LEAST - lanes


@pytest.mark.parametrize(
    ("hidden", "outputs", "slices"), [(128, 10, 4), (128, 64, 2), (128, 65, 1), (512, 100, 4), (128, 784, 1)]
)
def test_no_slice_has_fewer_units_than_there_are_outputs(hidden: int, outputs: int, slices: int) -> None:
    assert slices_of(hidden, outputs) == slices


def trained(
    hidden: int, dtype: str, threads: int, *, output: str = "softmax", backend: str = "numba", **how: Any
) -> MLP:
    activation = how.pop("activation", "tanh")
    sizes = [K, hidden, N if output == "softmax" else 1]
    net = MLP(sizes, dtype=dtype, activation=activation, output=output, backend=backend)
    net.fit(PIXELS, WANTED[output], epochs=3, batch_size=37, threads=threads, verbose=False, **how)
    return net


def bits(net: MLP) -> bytes:
    return b"".join(array.tobytes() for array in net.weights + net.biases)


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", [64, 70, 100, 210, 500])
def test_any_number_of_threads_gives_the_same_bits(hidden: int, dtype: str, optimizer: str) -> None:
    nets = [
        trained(hidden, dtype, threads, optimizer=optimizer, sparse=sparse)
        for threads in (1, 2, 3, 5)
        for sparse in (True, False)
    ]
    assert len({bits(net) for net in nets}) == 1


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "identity"])
@pytest.mark.parametrize("output", WANTED)
@pytest.mark.parametrize("threads", [1, 2])
def test_as_the_reference(threads: int, output: str, activation: str) -> None:
    how = {"optimizer": "momentum", "learning_rate": 0.01, "weight_decay": 0.01, "activation": activation}
    net, other = (trained(130, "float64", threads, output=output, backend=b, **how) for b in ("numba", "numpy"))
    for array, expected in zip(net.weights + net.biases, other.weights + other.biases, strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


class Restless(Pace):
    """Another number of threads every few steps."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.turns: Iterator[tuple[int, int]] = cycle([(n, 5) for n in (threads, 1, threads, max(1, threads - 1))])

    def next(self) -> tuple[int, int]:
        return next(self.turns)


@pytest.mark.parametrize("threads", [2, 4])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_threads_that_come_and_go(optimizer: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is cut anew each time."""
    expected = bits(trained(210, "float32", 1, optimizer=optimizer))
    monkeypatch.setattr("fastnn.compiled.training.recall", lambda kind, threads: Restless(threads))
    assert bits(trained(210, "float32", threads, optimizer=optimizer)) == expected


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_steps_are_undone_with_threads_that_come_and_go(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights were infinite some steps before the end, cut in another way."""
    monkeypatch.setattr("fastnn.compiled.training.recall", lambda kind, threads: Restless(threads))
    net = MLP([1, 200, 1], output="identity", dtype="float32")
    net.weights = [np.full((1, 200), 1e-25), np.full((200, 1), 1e25)]
    before = bits(net)
    with pytest.raises(ArithmeticError, match="in epoch 1, batch 1,"):
        net.fit(np.ones((37, 1)), np.zeros(37), epochs=40, batch_size=37, optimizer="sgd", learning_rate=1e14)
    assert bits(net) == before


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_penalty_and_weights_of_rows() -> None:
    """The loss with its penalty, which every slice has a part of, has the same bits, too."""
    how = {"max_iter": 4, "batch_size": 37, "random_state": 0, "alpha": 0.1, "tol": 0.0}
    curves = [
        MLPClassifier((200,), n_threads=n, **how).fit(PIXELS / 255, LABELS, sample_weight=1.0 + LABELS).loss_curve_
        for n in (1, 2, 3)
    ]
    plain = MLPClassifier((200,), **how)
    plain._backend = "numpy"
    plain.fit(PIXELS / 255, LABELS, sample_weight=1.0 + LABELS)
    assert curves[0] == curves[1] == curves[2]
    np.testing.assert_allclose(curves[0], plain.loss_curve_, rtol=1e-9)


def test_this_is_what_is_tested() -> None:
    architecture = Architecture.of([K, 100, N], "relu", None)
    weights, biases = [np.zeros((K, 100)), np.zeros((100, N))], [np.zeros(100), np.zeros(N)]
    plan = Plan(1, 37, Optimizer("sgd"), 0, 2)
    training = Trainer(architecture, State(weights, biases), PIXELS, LABELS, plan)
    assert isinstance(training, Slices)
    assert training.threads == 2
    assert len(training.slicing.bounds) == 3
