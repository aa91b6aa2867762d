"""One workload, trained by several libraries in turn: the same result, then how long each takes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

from benchmarks import rivals
from benchmarks.process import SLEEP_SECONDS, Process
from benchmarks.rivals import FASTNN, RIVALS
from benchmarks.workloads import Workload

CHECKED_EPOCHS = 2
LONG_FITS = 10  # times the seconds asked for: beside these, compiling in the first fit does not count
# How far losses may be from fastnn's, as a share of them, where all rows are in every step: only rounding differs.
FULL_BATCH_TOLERANCE = 1e-3


class Disagreement(Exception):
    """A library trains another network than fastnn does, so that their times say nothing."""


@dataclass
class Entry:
    """A library on a workload: seconds of one epoch in every round, of fits of `epochs`; threads None: its default."""

    title: str
    threads: int | None
    epochs: int
    losses: list[float]
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return median(self.seconds)


class Contest:
    """The processes of the libraries named, alive from one workload to the next.

    threads: of everybody, or None for what each one's `Rival.threads` says.
    """

    def __init__(self, names: Iterable[str], threads: int | None = None) -> None:
        self.names, self.threads = list(names), threads
        self._processes: dict[tuple[str, int | None], Process] = {}

    def run(self, workload: Workload, rounds: int, seconds: float) -> dict[str, Entry]:
        """Every library's times, by its name. seconds: about how long a fit lasts.

        Raises Disagreement before anything is timed if the losses of two libraries differ.
        """
        entries = {name: self._prepare(name, workload, seconds) for name in self.names}
        check(workload, entries)
        for shift in range(rounds):  # so that nobody always comes after the same one
            start = shift % len(entries)
            for name in [*self.names[start:], *self.names[:start]]:
                entry = entries[name]
                entry.seconds.append(self._fit(name, entry.threads, entry.epochs)[0] / entry.epochs)
        for name, entry in entries.items():
            self._process(name, entry.threads).drop()
        return entries

    def _process(self, name: str, threads: int | None) -> Process:
        if (name, threads) not in self._processes:
            self._processes[name, threads] = Process(**rivals.environment(RIVALS[name], threads))
        return self._processes[name, threads]

    def _fit(self, name: str, threads: int | None, epochs: int) -> tuple[float, list[float]]:
        time.sleep(SLEEP_SECONDS)
        seconds, losses = self._process(name, threads).call("fit", epochs)
        return seconds, losses

    def _prepare(self, name: str, workload: Workload, seconds: float) -> Entry:
        """Warmed up, with the number of threads that is fastest here, and as many epochs as last so long."""
        tried: list[tuple[float, Entry]] = []
        for threads in RIVALS[name].threads if self.threads is None else (self.threads,):
            self._process(name, threads).hold(rivals.make, RIVALS[name].module, workload, RIVALS[name].dtype, threads)
            took, losses = self._fit(name, threads, CHECKED_EPOCHS)
            if took < LONG_FITS * seconds:
                epochs, epoch_seconds = calibrate(partial(self._fit, name, threads), seconds)
            else:
                epochs, epoch_seconds = 1, took / CHECKED_EPOCHS
            tried.append((epoch_seconds, Entry(RIVALS[name].title, threads, epochs, losses)))
        tried.sort(key=lambda pair: pair[0])
        for _, slower in tried[1:]:
            self._process(name, slower.threads).drop()
        return tried[0][1]

    def close(self) -> None:
        """End all processes."""
        for process in self._processes.values():
            process.close()


def calibrate(fit: Callable[[int], tuple[float, list[float]]], seconds: float) -> tuple[int, float]:
    """How many epochs a fit that has been warmed up needs to last about so long, and the seconds of one of them."""
    epochs, took = 1, fit(1)[0]
    while took < seconds / 2:  # short fits are mostly set-up
        epochs = max(2 * epochs, math.ceil(epochs * seconds / took))
        took = fit(epochs)[0]
    return max(1, math.ceil(epochs * seconds / took)), took / epochs


@contextmanager
def contest(names: Iterable[str], threads: int | None = None) -> Iterator[Contest]:
    """A Contest that is closed at the end."""
    made = Contest(names, threads)
    try:
        yield made
    finally:
        made.close()


def check(workload: Workload, entries: dict[str, Entry]) -> None:
    """Raise Disagreement unless all losses are those of fastnn: in every iteration, or in the last epoch of
    mini-batches, which everybody shuffles in their own way."""
    full = workload.batch_size is None
    tolerance, first = (FULL_BATCH_TOLERANCE, 0) if full else (_shuffle_tolerance(workload), -1)
    ours = entries[FASTNN].losses[first:]
    for entry in entries.values():
        for wanted, found in zip(ours, entry.losses[first:], strict=True):
            if not abs(found - wanted) <= tolerance * abs(wanted):  # NaN too
                raise Disagreement(
                    f"{workload.name}: {entry.title} has a loss of {found:.6g} where fastnn has {wanted:.6g}; expected "
                    f"a difference of {tolerance:.1%} at most."
                )


def _shuffle_tolerance(workload: Workload) -> float:
    """How far a loss may be off after some steps on rows in another order: 5% for 1900 steps, 25% for 60."""
    assert workload.batch_size is not None
    return 2 / math.sqrt(CHECKED_EPOCHS * len(workload.load()[1]) / workload.batch_size)


def best_peer(entries: dict[str, Entry]) -> str:
    """The name of the fastest of the others."""
    return min((name for name in entries if name != FASTNN), key=lambda name: entries[name].median)


def ratio(entries: dict[str, Entry], name: str) -> float:
    """How many times as long as fastnn it takes."""
    return entries[name].median / entries[FASTNN].median


def as_dict(workload: Workload, entries: dict[str, Entry]) -> dict[str, Any]:
    """All that was measured, ready for JSON."""
    best = best_peer(entries)
    return {
        "workload": workload.name,
        "unit": workload.unit,
        "floor": workload.floor,
        "rows": workload.rows,
        "best_peer": best,
        "ratio": ratio(entries, best),
        "entries": {name: vars(entry) | {"median": entry.median} for name, entry in entries.items()},
    }
