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
from .kernels.sync import ABANDONED, SLOTS

Array = NDArray[Any]

# work(t, threads, control): thread t's part, by a kernel that uses begin_together and end_together of kernels/sync.py
Work = Callable[[int, int, Array], None]

PATIENCE_SECONDS = 5.0


def run(work: Work, threads: int) -> None:
    """work in so many threads, of which the caller is one; in it alone while another thread's call has the others."""
    team = _team(threads) if threads > 1 else None
    if team is None or not team.busy.acquire(blocking=False):
        work(0, 1, NOBODY)
        return
    try:
        team.run(work)
    except BaseException:
        _teams.pop(threads, None)
        team.control[ABANDONED] = 1
        team.dismiss()  # for as long as it takes: nobody works on the caller's memory any more
        raise
    finally:
        team.busy.release()


class Team:
    """`threads` - 1 threads that help the calling one."""

    def __init__(self, threads: int) -> None:
        self.threads, self.busy = threads, threading.Lock()
        # Whoever is dismissed while somebody hands out work has either got that work before, or never gets it.
        self.handing, self.dismissed = threading.Lock(), False
        self.control = np.zeros(SLOTS, np.int64)
        self.cpus = [-1] * threads  # where each thread was when it began
        self.asleep = [False] * threads
        self.allowed: list[set[int]] = [set()] * threads  # what wake_elsewhere returned
        self.failures: list[BaseException] = []
        self.tasks: list[SimpleQueue[Work | None]] = []
        self.helpers: list[threading.Thread] = []
        for t in range(1, threads):
            self.tasks.append(SimpleQueue())
            self.helpers.append(threading.Thread(target=self._help, args=(t,), name=f"fastnn-{t}", daemon=True))
            self.helpers[-1].start()

    def run(self, work: Work) -> None:
        """work in all threads; returns when all have ended, or raises what one of them raised."""
        self.cpus[0] = current_cpu()
        with self.handing:
            helped = not self.dismissed
            for t in range(1, self.threads if helped else 1):
                if self.asleep[t]:
                    self.allowed[t] = wake_elsewhere(self.helpers[t - 1], self.cpus[0])
                self.tasks[t - 1].put(work)
        if not helped:
            work(0, 1, NOBODY)
            return
        work(0, self.threads, self.control)
        if self.failures:
            raise self.failures[0]

    def dismiss(self, patience: float | None = None) -> None:
        """End the helpers, once they have done what they were given; waits at most so many seconds for each."""
        with self.handing:
            self.dismissed = True
            for tasks in self.tasks:
                tasks.put(None)
        for helper in self.helpers:
            helper.join(patience)

    def _help(self, t: int) -> None:
        work = self._next(t)
        while work is not None:
            keep_apart(t, self.cpus)
            try:
                work(t, self.threads, self.control)
            except BaseException as failure:
                self.failures.append(failure)
                self.control[ABANDONED] = 1
            work = None  # nothing of the caller's is kept
            work = self._next(t)

    def _next(self, t: int) -> Work | None:
        """Sleep until there is work for helper t."""
        self.asleep[t] = True
        work = self.tasks[t - 1].get()
        self.asleep[t] = False
        restore_cpus(self.allowed[t])
        self.allowed[t] = set()
        return work


NOBODY = np.zeros(SLOTS, np.int64)
_teams: dict[int, Team] = {}
_lock = threading.Lock()


def _team(threads: int) -> Team:
    team = _teams.get(threads)
    if team is None:
        with _lock:
            if threads not in _teams:
                _teams[threads] = Team(threads)
            team = _teams[threads]
    return team


def _dismiss_all() -> None:
    while _teams:
        _teams.popitem()[1].dismiss(PATIENCE_SECONDS)


def _forget_all() -> None:
    """In a forked process: what another thread has begun meanwhile."""
    global _lock
    _lock = threading.Lock()
    _teams.clear()


# A forked process has only the thread that forked; and no thread may run a kernel while its memory is given back.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_dismiss_all, after_in_child=_forget_all)
atexit.register(_dismiss_all)
