"""Ctrl-C leaves the weights as after a whole step, and training can go on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import numpy as np
import pytest

import fastnn.mlp
from fastnn import MLP, History
from fastnn.bar import Silent

m, K, B = 50, 4, 16
X = np.random.default_rng(0).normal(size=(m, K))
y = X.sum(axis=1)

backends = pytest.mark.parametrize("backend", ["numba", "numpy"])
batches = pytest.mark.parametrize("batch_size", [None, B, m])
layers = pytest.mark.parametrize("hidden", [5, 100])  # in one piece, in slices


def network(backend: str, hidden: int) -> MLP:
    return MLP([K, hidden, 1], output="identity", backend=backend)


def bits(net: MLP) -> list[bytes]:
    return [array.tobytes() for array in (*net.weights, *net.biases)]


class Interrupting(Silent):
    """Raises, where Ctrl-C would be heard, when so many rows have been trained."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def advance(self, rows: int, running: History | None) -> None:
        if rows >= self.rows:
            raise KeyboardInterrupt


@pytest.fixture(params=[0, 20 * m + B])
def interrupted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fit` is interrupted at its first look, or some epochs later, unless it is silent."""
    monkeypatch.setattr(
        fastnn.mlp, "make_progress", lambda epochs, rows, verbose: Interrupting(request.param) if verbose else Silent()
    )


def interrupt(net: MLP, batch_size: int | None, **how: Any) -> int:
    """Train until interrupted; returns the steps taken."""
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=10**6, batch_size=batch_size, threads=2, **how)
    return net._state.steps


@backends
@batches
@layers
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.usefixtures("interrupted")
def test_an_interrupt_leaves_whole_steps(
    backend: str, batch_size: int | None, hidden: int, optimizer: str, take_steps: Callable[..., None]
) -> None:
    how: dict[str, Any] = {"optimizer": optimizer, "learning_rate": 1e-3}
    net, other = network(backend, hidden), network(backend, hidden)
    steps = interrupt(net, batch_size, **how)
    take_steps(other, X, y, steps, batch_size, **how)
    assert steps > 0
    assert bits(net) == bits(other)


@backends
@batches
@layers
@pytest.mark.usefixtures("interrupted")
def test_going_on_after_an_interrupt(
    backend: str, batch_size: int | None, hidden: int, take_steps: Callable[..., None]
) -> None:
    """The next epoch's shuffle is that of the epoch which was interrupted."""
    how: dict[str, Any] = {"optimizer": "adam", "learning_rate": 1e-3}
    net, other = network(backend, hidden), network(backend, hidden)
    take_steps(other, X, y, interrupt(net, batch_size, **how), batch_size, **how)
    for fresh in (net, other):
        fresh.fit(X, y, epochs=2, batch_size=batch_size, verbose=False, **how)
    assert bits(net) == bits(other)


def kept(net: MLP) -> tuple[int, bytes]:
    """Steps; weights, and what Adam remembers of them once there were steps."""
    state = net._state
    slots = state.slots if state.steps else []
    return state.steps, b"".join(P.tobytes() for arrays in (state.weights, state.biases, *slots) for P in arrays)


def interrupt_at(count: int, call: Callable[[], None]) -> bool:
    """Ctrl-C before the line of fastnn that is executed as this number; returns whether there were so many."""
    lines, before = 0, sys.gettrace()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines
        if f"{os.sep}fastnn{os.sep}" not in frame.f_code.co_filename:
            return None
        lines += event == "line"
        if event == "line" and lines == count:
            signal.raise_signal(signal.SIGINT)
        return trace

    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return lines >= count


@backends
@pytest.mark.parametrize("batch_size", [None, 32])
def test_at_any_line_the_steps_counted_are_those_of_the_weights(
    backend: str, batch_size: int | None, take_steps: Callable[..., None]
) -> None:
    """And training goes on from there as if nothing had been."""
    how: dict[str, Any] = {"optimizer": "adam", "learning_rate": 1e-3}
    epochs, batches, wanted = 2, 1 if batch_size is None else 2, []
    for steps in range((epochs + 1) * batches + 1):
        net = network(backend, 5)
        take_steps(net, X, y, steps, batch_size, **how)
        wanted.append(kept(net))
    how |= {"batch_size": batch_size, "threads": 1, "verbose": False}
    count = reached = 1
    while reached:
        net = network(backend, 5)
        reached = interrupt_at(count, partial(net.fit, X, y, epochs=epochs, **how))
        steps = net._state.steps
        assert kept(net) == wanted[steps], count
        assert net.epochs == steps // batches, count
        if steps % batches == 0:
            net.fit(X, y, epochs=1, **how)
            assert kept(net) == wanted[steps + batches], count
        count += 1
    assert count > 100


SIGNALLED = """
import os, signal, threading
import numpy as np
import fastnn

X, y = np.random.default_rng(0).normal(size=(2000, 30)), np.arange(2000) % 3
net, other = fastnn.MLP([30, 20, 3]), fastnn.MLP([30, 20, 3])
net.fit(X, y, epochs=1, batch_size=None, verbose=False)  # compiles
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    net.fit(X, y, epochs=10**7, batch_size=None, verbose=False)
except KeyboardInterrupt:
    epochs = net._state.steps
    other.fit(X, y, epochs=epochs, batch_size=None, verbose=False)
    same = all((W == V).all() for W, V in zip(net.weights, other.weights))
    net.fit(X, y, epochs=1, batch_size=None, verbose=False)
    print("interrupted", epochs > 1, same)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a single process")
def test_a_real_ctrl_c() -> None:
    done = subprocess.run([sys.executable, "-c", SIGNALLED], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "interrupted True True\n", done.stderr
    assert done.returncode == 0
