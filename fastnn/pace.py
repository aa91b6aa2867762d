"""How many threads, and how many steps at a time: whatever turns out to be fastest here and now.

Two threads can be slower than one: where a step is a few microseconds long, or another program keeps a core busy, so
that a thread waits for its turn while the other one waits for it. The weights do not depend on it, not by a bit.
"""

from __future__ import annotations

import copy
import math
import time
from collections import OrderedDict
from collections.abc import Hashable

# A run of steps lasts about so long, and so long when it is only to find out how fast another number of threads is.
RUN_SECONDS, TRIAL_SECONDS = 0.05, 0.004
# How often that is tried again.
AGAIN_SECONDS = 1.0
# What was learnt is kept for so many kinds of work: a fit of 30 ms after another of its kind is 2 ms shorter.
KINDS = 64


class Pace:
    """`next` says how to go on, `measured` learns from it. threads: those there are."""

    def __init__(self, threads: int) -> None:
        self.best, self.other = threads, 1
        self.step_seconds: dict[int, float] = {}
        self.known: set[int] = set()  # numbers of threads whose time is more than an order of magnitude
        self.until_trial = 0.0
        # Trials in a row that the other number won, and whether the best one has run since: the first to run is the one
        # that finds all caches cold, so that one trial is not enough.
        self.wins, self.run_since = 0, True

    def copy(self) -> Pace:
        """With dictionary and set of its own; copy.deepcopy takes 50 us."""
        pace = copy.copy(self)
        pace.step_seconds, pace.known = dict(self.step_seconds), set(self.known)
        return pace

    def next(self) -> tuple[int, int]:
        """Threads, and how many steps to take with them."""
        if self.best not in self.known or not self.run_since:
            return self.best, self._steps(self.best, TRIAL_SECONDS)
        short = self.step_seconds[self.best] < TRIAL_SECONDS
        if short and self.other != self.best and (self.other not in self.known or self.until_trial <= 0):
            return self.other, self._steps(self.other, TRIAL_SECONDS)
        return self.best, self._steps(self.best, RUN_SECONDS)

    def expected(self, threads: int, steps: int) -> float:
        """Seconds that so many steps will take; infinitely many where nothing is known."""
        return steps * self.step_seconds.get(threads, math.inf)

    def _steps(self, threads: int, seconds: float) -> int:
        """How many fill this time; one where nothing is known, which shows the order of magnitude."""
        return max(1, int(seconds / self.step_seconds.get(threads, seconds)))

    def measured(self, threads: int, steps: int, seconds: float) -> None:
        """So many steps took so long."""
        self.step_seconds[threads] = seconds / steps
        self.until_trial -= seconds
        long_enough = seconds >= TRIAL_SECONDS / 2  # starting the threads is most of a shorter run
        if long_enough:
            self.known.add(threads)
        if threads == self.best:
            self.run_since = self.run_since or long_enough
        elif threads in self.known:
            won = self.step_seconds[threads] < self.step_seconds[self.best]
            self.wins = self.wins + 1 if won else 0
            self.until_trial, self.run_since = (0.0, False) if self.wins == 1 else (AGAIN_SECONDS, True)
            if self.wins > 1:
                self.best, self.other, self.wins = self.other, self.best, 0


# Fits in several Python threads at once change it: each of its methods is one step for them all.
_kept: OrderedDict[Hashable, tuple[float, Pace]] = OrderedDict()


def recall(kind: Hashable, threads: int) -> Pace:
    """What was learnt of this kind of work before, or nothing yet. What is old is tried again at once; and that fewer
    threads are faster, for a short fit may have been unlucky from beginning to end."""
    ended, pace = _kept.get((kind, threads), (0.0, Pace(threads)))
    pace = pace.copy()
    pace.until_trial -= time.monotonic() - ended
    if pace.best < threads:
        pace.until_trial = 0.0
    return pace


def keep(kind: Hashable, threads: int, pace: Pace) -> None:
    """For the next work of this kind, with so many threads."""
    _kept.pop((kind, threads), None)
    _kept[kind, threads] = time.monotonic(), pace.copy()
    while len(_kept) > KINDS:
        _kept.popitem(last=False)
