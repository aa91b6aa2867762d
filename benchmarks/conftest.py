"""`versus`: one thing to do, done by fastnn and by NumPy, checked and then timed; at the end a table of ratios.

Both are timed in turns before the first of them is reported, so that noise of the machine meets both.

A run of all tests checks and does not time, so that the benchmarks cannot fall behind the kernels.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.numpy_functions import loop
from benchmarks.page import machine, page_with, ratio_text, write
from benchmarks.process import SLEEP_SECONDS, Loop, Process, in_turns

Array = NDArray[Any]
MARKER = "benchmarks"
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}

medians: dict[str, dict[str, float]] = {}
races: dict[tuple[str, str, int], dict[str, list[float]]] = {}  # seconds of each library, by thing, dtype and threads


class Contestant(NamedTuple):
    """Who does it, in which dtype, with how many threads."""

    library: str
    dtype: str
    threads: int

    def __str__(self) -> str:
        return f"{self.library} {self.dtype} x{self.threads}"


CONTESTANTS = [
    Contestant(library, dtype, threads) for library in ("fastnn", "NumPy") for dtype in TOLERANCE for threads in (1, 2)
]

CHECKED = [Contestant("fastnn", "float32", 2), Contestant("fastnn", "float64", 1)]  # where nothing is timed


class Clock:
    """Time as it was measured before: stands still but for `advance`."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Versus:
    """versus(what, ours, name, *arguments) times what is asked for; `array` makes arrays of the contestant's dtype."""

    def __init__(self, contestant: Contestant, benchmark: Any, numpy_process: Process) -> None:
        self.contestant, self._benchmark, self._numpy_process = contestant, benchmark, numpy_process
        self._rng = np.random.default_rng(0)

    @property
    def dtype(self) -> str:
        return self.contestant.dtype

    def array(self, *shape: int) -> Array:
        """Normal random numbers."""
        return self._rng.normal(size=shape).astype(self.dtype)

    def __call__(self, what: str, ours: Callable[[int], Any], name: str, *arguments: Any, calls: int = 1) -> None:
        """what: the group in the table. ours: the call, given a number of threads. name, arguments: the same for NumPy.
        calls: how many times ours and NumPy's do the thing."""
        self._numpy_process.hold(loop, name, arguments)
        expected = self._numpy_process.call("first")
        if self._benchmark.disabled:
            self._check(self._benchmark(ours, self.contestant.threads), expected)
            return
        race = what, self.dtype, self.contestant.threads
        if race not in races:
            time.sleep(SLEEP_SECONDS)
            own = Loop(lambda: ours(self.contestant.threads))
            self._check(own.result, expected)
            races[race] = in_turns(own.seconds, partial(self._numpy_process.call, "seconds"))
        self._report(what, [seconds / calls for seconds in races[race][self.contestant.library]])

    def _check(self, result: Any, expected: Any) -> None:
        for ours, theirs in zip(*(r if isinstance(r, tuple) else (r,) for r in (result, expected)), strict=True):
            scale = float(np.abs(theirs).max())
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE[self.dtype] * scale)

    def _report(self, what: str, seconds: list[float]) -> None:
        clock, measured = Clock(), iter(seconds)
        self._benchmark._timer = clock
        self._benchmark.group, self._benchmark.name = what, str(self.contestant)
        self._benchmark.pedantic(lambda: clock.advance(next(measured)), rounds=len(seconds))
        medians.setdefault(what, {})[str(self.contestant)] = self._benchmark.stats.stats.median


@pytest.fixture(scope="session")
def numpy_processes() -> Iterator[dict[int, Process]]:
    """By their number of threads."""
    processes = {threads: Process(OPENBLAS_NUM_THREADS=str(threads)) for threads in (1, 2)}
    yield processes
    for process in processes.values():
        process.close()


@pytest.fixture(params=CONTESTANTS, ids=str)
def versus(request: pytest.FixtureRequest, benchmark: Any, numpy_processes: dict[int, Process]) -> Versus:
    return Versus(request.param, benchmark, numpy_processes[request.param.threads])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where nothing is timed, some contestants are enough."""
    if config.option.benchmark_disable:
        items[:] = [item for item in items if _contestant(item) in (None, *CHECKED)]


def _contestant(item: Any) -> Contestant | None:
    return item.callspec.params.get("versus") if hasattr(item, "callspec") else None


def pytest_configure(config: pytest.Config) -> None:
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.option.benchmark_disable = True
    config.option.benchmark_columns = ["median", "mean", "min", "max", "rounds"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write", type=page_with(MARKER), metavar="README.md", help="put the table of ratios into this file"
    )


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How many times as long NumPy takes, median by median; threads against as many threads."""
    complete = {what: found for what, found in medians.items() if len(found) == len(CONTESTANTS)}
    if not complete:
        return
    text = f"{ratios(complete)}\n\nNumPy's time divided by fastnn's, medians of one run. {machine()}"
    terminalreporter.write_sep("=", "NumPy's time / fastnn's")
    terminalreporter.write_line(text)
    if config.option.write is not None:
        write(config.option.write, MARKER, text)


def ratios(complete: dict[str, dict[str, float]]) -> str:
    """A table in Markdown: each dtype against itself, and our float32 against NumPy's usual float64."""
    columns = [("float32", "float32"), ("float64", "float64"), ("float32", "float64")]
    names = [
        f"{ours} to {theirs}, {threads} thread{'s' * (threads > 1)}" for threads in (1, 2) for ours, theirs in columns
    ]
    lines = [f"| | {' | '.join(names)} |", f"|---|{'--:|' * len(names)}"]
    for what, found in complete.items():
        cells = [
            found[str(Contestant("NumPy", theirs, threads))] / found[str(Contestant("fastnn", ours, threads))]
            for threads in (1, 2)
            for ours, theirs in columns
        ]
        lines.append(f"| {what} | {' | '.join(map(ratio_text, cells))} |")
    return "\n".join(lines)
