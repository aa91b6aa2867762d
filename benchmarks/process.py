"""A library in a process of its own, where it waits, asleep, while others are timed; and calls timed in turns.

The threads of NumPy's OpenBLAS, of PyTorch and of JAX look for work for a while after every call, and would take a core
from whatever is timed next; in a process of its own, which waits while others are timed, they go to sleep.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any
from unittest.mock import patch

LEAST_SECONDS = 1e-3  # of calls timed together; the clock's own error is 0.1 us
SLEEP_SECONDS = 0.2  # after which the threads of any library are asleep

TURNS = 5
TURN_SECONDS = 0.04  # of one library, about
ROUNDS = 1, 10  # in a turn, at least and at most

_held: list[Any] = []  # in the process: what `hold` made


class Loop:
    """A call, repeated so often that the clock is exact. `result` is what it returned the first time."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call, self.count = call, 0
        self.result = call()  # also compiles, or loads what was compiled

    def first(self) -> Any:
        """The result, for another process."""
        return self.result

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


def in_turns(fastnn: Callable[[], float], numpy: Callable[[], float]) -> dict[str, list[float]]:
    """The seconds that each one tells, of some rounds of one and then of the other, TURNS times over."""
    low, high = ROUNDS
    rounds = int(min(max(TURN_SECONDS / max(fastnn(), numpy(), 1e-3), low), high))
    found: dict[str, list[float]] = {"fastnn": [], "NumPy": []}
    for _ in range(TURNS):
        time.sleep(SLEEP_SECONDS)  # threads of OpenBLAS look for work for 80 ms
        for library, seconds in (("fastnn", fastnn), ("NumPy", numpy)):
            seconds()  # what the other one did is in the caches
            found[library] += [seconds() for _ in range(rounds)]
    return found


class Process:
    """A new Python with these environment variables, which holds one object at a time and is told what to do with it.

    A pool of one process: the standard library carries arguments, results and exceptions to and fro.
    """

    def __init__(self, **environment: str) -> None:
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        with patch.dict(os.environ, environment):  # which libraries read once, when they are imported
            self._pool.submit(os.getpid).result()

    def hold(self, make: Callable[..., Any], *arguments: Any) -> None:
        """Make the object, in place of the one before; make is a module's function or class."""
        self._pool.submit(_hold, make, arguments).result()

    def call(self, method: str, *arguments: Any) -> Any:
        """What the object's method returns."""
        return self._pool.submit(_call, method, arguments).result()

    def drop(self) -> None:
        """Forget the object and its memory."""
        self._pool.submit(_drop).result()

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown()


def _hold(make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    _drop()
    _held.append(make(*arguments))


def _drop() -> None:
    _held.clear()


def _call(method: str, arguments: tuple[Any, ...]) -> Any:
    return getattr(_held[0], method)(*arguments)
