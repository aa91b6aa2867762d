"""Threads that stay: starting one takes 0.1 ms, as long as a small product; one that stays begins within some 10 us.

After a call they look for the next one for some 250 us, inside the kernel, then sleep until there is one.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cpus import current_cpu, keep_apart, restore_cpus, wake_elsewhere
from .kernels.compiling import interrupts
from .kernels.compiling.helpers import here
from .kernels.sync import ABANDONED, CONTROL_SIZE
from .workers import none_left

Array = NDArray[Any]

# work(t, threads, control): thread t's part, by a kernel that uses begin_together and end_together of kernels/sync.py
Work = Callable[[int, int, Array], None]

PATIENCE_SECONDS = 5.0


def run(work: Work, threads: int) -> None:
    """work in so many threads, of which the caller is one, or in as many as can be started; in the caller alone while
    another thread's call has the others."""
    global _team
    team = _the_team() if threads > 1 else None
    if team is None or not team.busy.acquire(blocking=False):
        work(0, 1, NOBODY)
        return
    try:
        team.run(work, threads)
    except BaseException:
        if _team is team:
            _team = None
        team.control[ABANDONED] = 1
        interrupts.persist(team.dismiss)  # for as long as it takes: nobody works on the caller's memory any more
        raise
    finally:
        team.busy.release()


class Team:
    """Threads that help the calling one: as many as any call has needed, of which each takes the first few."""

    def __init__(self) -> None:
        self.busy = threading.Lock()
        # Whoever is dismissed while somebody hands out work has either got that work before, or never gets it.
        self.handing, self.dismissed = threading.Lock(), False
        self.control = np.zeros(CONTROL_SIZE, np.int64)
        self.cpus = [-1]  # where each thread was when it began
        self.asleep = [False]
        self.allowed: list[set[int]] = [set()]  # what wake_elsewhere returned
        self.failures: list[BaseException] = []
        self.tasks: list[SimpleQueue[tuple[Work, int] | None]] = []
        self.helpers: list[threading.Thread] = []

    def run(self, work: Work, threads: int) -> None:
        """work in so many threads; returns when all have ended, or raises what one of them raised."""
        self.cpus[0] = current_cpu()
        with self.handing:
            threads = 1 if self.dismissed else self._reach(threads)
            for t in range(1, threads):
                if self.asleep[t]:
                    self.allowed[t] = wake_elsewhere(self.helpers[t - 1], self.cpus[0])
                self.tasks[t - 1].put((work, threads))
        if threads == 1:
            work(0, 1, NOBODY)
            return
        work(0, threads, self.control)
        if self.failures:
            raise self.failures[0]

    def _reach(self, threads: int) -> int:
        """Start helpers until there are enough; returns how many threads there are for a call of so many."""
        for t in range(len(self.helpers) + 1, threads):
            helper = threading.Thread(target=self._help, args=(t,), name=f"fastnn-{t}", daemon=True)
            self.cpus.append(-1)
            self.asleep.append(False)
            self.allowed.append(set())
            self.tasks.append(SimpleQueue())
            try:
                helper.start()
            except (RuntimeError, MemoryError) as error:
                if not none_left(error):
                    raise
                for numbers in (self.cpus, self.asleep, self.allowed, self.tasks):
                    numbers.pop()
                return t
            self.helpers.append(helper)
        return threads

    def dismiss(self, patience: float | None = None) -> None:
        """End the helpers, once they have done what they were given; waits at most so many seconds for each."""
        with self.handing:
            self.dismissed = True
            for tasks in self.tasks:
                tasks.put(None)
        for helper in self.helpers:
            helper.join(patience)

    def _help(self, t: int) -> None:
        task = self._next(t)
        while task is not None:
            work, threads = task
            keep_apart(t, self.cpus)
            try:
                work(t, threads, self.control)
            except BaseException as failure:
                self.failures.append(failure)
                self.control[ABANDONED] = 1
            del work, task  # nothing of the caller's is kept
            task = self._next(t)

    def _next(self, t: int) -> tuple[Work, int] | None:
        """Sleep until there is work for helper t."""
        self.asleep[t] = True
        task = self.tasks[t - 1].get()
        self.asleep[t] = False
        restore_cpus(self.allowed[t])
        self.allowed[t] = set()
        return task


NOBODY = np.zeros(CONTROL_SIZE, np.int64)
_team: Team | None = None
_lock = threading.Lock()


def _the_team() -> Team:
    global _team
    team = _team
    if team is None:
        with _lock:
            team = _team = _team or Team()
    return team


def _dismiss_all() -> None:
    global _team
    team, _team = _team, None
    if team is not None:
        team.dismiss(PATIENCE_SECONDS)


def _before_fork() -> None:
    # A process that only helps compiling runs no kernel; and threads of the team may wait for just what it compiles.
    if not here.forks:
        _dismiss_all()


def _forget_all() -> None:
    """In a forked process: what another thread has begun meanwhile."""
    global _lock, _team
    _lock, _team = threading.Lock(), None


# A forked process has only the thread that forked; and no thread may run a kernel while its memory is given back.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_forget_all)
atexit.register(_dismiss_all)
