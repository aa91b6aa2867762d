"""NumPy's side of every benchmark, in a process of its own.

The threads of NumPy's OpenBLAS look for work for a while after every call, and would take a core from whatever is timed
next; in a process of its own, which waits while others are timed, they go to sleep.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import pytest

from fastnn import MLP, reference

LEAST_SECONDS = 1e-3  # of calls timed together; the clock's own error is 0.1 us
SLEEP_SECONDS = 0.2  # after which OpenBLAS' threads are asleep


class Loop:
    """A call, repeated so often that the clock is exact. `result` is what it returned the first time."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call, self.count = call, 0
        self.result = call()  # also compiles, or loads what was compiled

    def seconds(self) -> float:
        """The mean time of one call."""
        if self.count == 0:
            self.count = 1
            self.count = max(1, math.ceil(LEAST_SECONDS / self._mean()))
        return self._mean()

    def _mean(self) -> float:
        start = time.perf_counter()
        for _ in range(self.count):
            self.call()
        return (time.perf_counter() - start) / self.count


# --- what NumPy does; reference.py has it


def _loss(output: str) -> Callable[..., Any]:
    return lambda Z, Y: (reference.losses(Z, Y, output), reference.logits_backward(Z, Y, output))


def _backward(name: str) -> Callable[..., Any]:
    return lambda dA, A: dA * reference.DERIVATIVE[name](A)


def softmax_backward(dP: Any, P: Any) -> Any:
    return P * (dP - (P * dP).sum(axis=1, keepdims=True))


def train(network: dict[str, Any], training: dict[str, Any], X: Any, y: Any) -> float:
    """Train a new network; returns the last epoch's loss."""
    return MLP(**network).fit(X, y, verbose=False, **training).loss[-1]


NAMES = ("relu", "sigmoid", "tanh")
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "matmul_bias": reference.matmul_bias,
    "matmul_bias_backward": reference.matmul_bias_backward,
    **{name: reference.ACTIVATION[name] for name in NAMES},
    **{f"{name}_backward": _backward(name) for name in NAMES},
    "softmax": reference.softmax,
    "softmax_backward": softmax_backward,
    "softmax_cross_entropy": _loss("softmax"),
    "binary_cross_entropy": _loss("sigmoid"),
    "squared_error": _loss("identity"),
    "train": train,
}


# --- the process


def serve(connection: Connection) -> None:
    """Told a function's name and arguments, make a Loop of it and return its result; told None, time it."""
    loop = Loop(lambda: None)
    while True:
        try:
            told = connection.recv()
        except EOFError:
            return
        if told is None:
            connection.send(loop.seconds())
        else:
            name, arguments = told
            loop = Loop(lambda name=name, arguments=arguments: FUNCTIONS[name](*arguments))  # type: ignore[misc]
            connection.send(loop.result)


class NumpyProcess:
    """The process as seen from the other side; looks like a Loop once it is told what to do."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OPENBLAS_NUM_THREADS", str(threads))  # read once, when NumPy is imported
            self._process.start()
        theirs.close()

    def prepare(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """FUNCTIONS[name] of these arguments, which is then what `seconds` times."""
        self._connection.send((name, arguments))
        return self._connection.recv()

    def seconds(self) -> float:
        """The mean time of one call, as the process measured it."""
        self._connection.send(None)
        return float(self._connection.recv())

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join()
