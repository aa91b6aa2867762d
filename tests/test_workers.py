"""Threads that run one kernel, when something goes wrong in one of them."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastnn import MLP, workers
from fastnn.architecture import Architecture
from fastnn.compiled import full_batch, gradient, minibatches, training
from fastnn.compiled.training import Training
from fastnn.objective import Objective

PATIENCE_SECONDS = 30.0
X, LABELS = np.random.default_rng(0).normal(size=(512, 16)).astype(np.float32), np.arange(512) % 3

# Each way of training: hidden units, rows of a batch.
WAYS = {
    "MiniBatches": (20, 64),
    "Replicas": (20, 256),
    "Slices": (64, 64),
    "FullBatch": (20, None),
}


class Failure(Exception):
    pass


def in_time(work: Callable[[], None]) -> None:
    """work, in a thread of its own, so that a test fails where it would never end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("way", WAYS)
def test_nobody_waits_for_a_thread_that_failed(
    way: str, failing: int, short: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden, batch_size = WAYS[way]
    kind: Any = getattr(full_batch if way == "FullBatch" else minibatches, way)
    call, net = kind.call, MLP([16, hidden, 3])
    before = [W.copy() for W in net.weights]

    def failing_call(self: Training, *arguments: Any) -> None:
        *_, last, t, threads = arguments
        if last > 0 and t == failing and threads == 2:
            time.sleep(0.01)  # the other one is at the barrier
            raise Failure
        call(self, *arguments)

    def fit() -> None:
        with pytest.raises(Failure):
            net.fit(X, LABELS, epochs=2, batch_size=batch_size, threads=2, sparse=False, verbose=False)

    monkeypatch.setattr(training, "SHORT_STEP", 1 << 22 if short else 0)
    monkeypatch.setattr(kind, "call", failing_call)
    in_time(fit)
    for W, expected in zip(net.weights, before, strict=True):
        np.testing.assert_array_equal(W, expected)


def test_a_gradient_does_not_wait_either(monkeypatch: pytest.MonkeyPatch) -> None:
    architecture = Architecture.of([16, 20, 3], "relu", None)
    slope = gradient.Gradient(architecture, X, LABELS, Objective(), None, np.dtype(np.float64), 2)
    parameters = [np.zeros((16, 20)), np.zeros((20, 3)), np.zeros(20), np.zeros(3)]
    expected, call = slope(parameters)[0], slope._call

    def failing_call(m: int, t: int, threads: int) -> None:
        if t == 0:
            raise Failure
        call(m, t, threads)

    def measure() -> None:
        with pytest.raises(Failure):
            slope(parameters)

    monkeypatch.setattr(slope, "_call", failing_call)
    in_time(measure)
    monkeypatch.undo()
    assert slope(parameters)[0] == expected


def test_however_often_it_is_interrupted_all_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels read memory by its address: who gives it back must know that nobody does any more."""
    ended, sleep, interrupts = [], time.sleep, iter(range(5))

    def work(t: int) -> None:
        sleep(0.2)
        ended.append(t)

    def interrupted(seconds: float = 0.0) -> None:
        if next(interrupts, None) is not None:
            raise KeyboardInterrupt
        sleep(seconds)

    monkeypatch.setattr(workers.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        workers.run(work, 2, poll=interrupted)
    assert sorted(ended) == [0, 1]


@pytest.mark.parametrize("raised", [KeyboardInterrupt, RuntimeError])
def test_a_thread_that_begins_while_a_signal_comes_is_waited_for(
    raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, start = [], workers._thread.start_new_thread

    def start_and_raise(*arguments: Any) -> None:
        start(*arguments)
        raise raised

    def work(t: int) -> None:
        time.sleep(0.1)
        ended.append(t)

    monkeypatch.setattr(workers._thread, "start_new_thread", start_and_raise)
    with pytest.raises(raised):
        workers.run(work, 3)
    assert ended == [1]


def test_a_thread_that_cannot_begin_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, start = [], workers._thread.start_new_thread

    def start_one(work: Callable[..., None], arguments: tuple[int, ...]) -> None:
        if arguments[0] == 2:
            raise RuntimeError("can't start new thread")
        start(work, arguments)

    monkeypatch.setattr(workers._thread, "start_new_thread", start_one)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        workers.run(ended.append, 3)
    assert ended == [1]
