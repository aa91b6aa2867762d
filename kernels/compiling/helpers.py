"""Other processes that do some of the compiling: a copy of this one, by a fork, has all that it needs to begin."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Pipe
from typing import Any

from numba import config

# More than a helper's work ever takes.
SECONDS = 60

# Typing, which is left to one process, takes as long as two others need for all the rest.
MOST = 3


def most_helpers() -> int:
    """A process for each other CPU that this one may use; none where copies of processes are not what they should be:
    Windows has none, and those of macOS must not call what its libraries are built on."""
    return min(MOST, config.NUMBA_NUM_THREADS - 1) if sys.platform == "linux" else 0


class _Here(threading.local):
    """forks: whether this thread is about to make a helper, for which nobody else need prepare."""

    forks = False


here = _Here()


class Helper:
    """A process that does one task after another and sends what comes out of each.

    It may end early, or hang: a lock that another thread held at the fork is never opened in the copy. So nobody should
    wait for it. It hears no signals, and is ended after SECONDS if nobody does before.
    """

    def __init__(self, begin: Callable[[], object], tasks: Sequence[Callable[[], Any]]) -> None:
        """begin: called in that process first. Raises OSError or RuntimeError where there can be no process more."""
        self._results, writer = Pipe(duplex=False)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self._process = -1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Python and of other packages, that it may hang
                here.forks = True
                self._process = os.fork()
            if self._process == 0:
                self._results.close()  # or it would not hear when the reader has died
                _end_after(SECONDS)
                begin()
                for place, task in enumerate(tasks):
                    writer.send((place, task()))
        finally:
            if self._process == 0:
                os._exit(0)
            here.forks = False
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            writer.close()
            if self._process < 0:
                self._results.close()
        self._left = len(tasks)

    @property
    def works(self) -> bool:
        """Whether there may be more to come."""
        return self._left > 0

    def take(self) -> Iterator[tuple[int, Any]]:
        """The places of the tasks that have been done since the last time, and what came out of them."""
        while self.works and self._results.poll():
            try:
                result = self._results.recv()
            except (EOFError, OSError):
                self._left = 0
            else:
                self._left -= 1
                yield result

    def dismiss(self) -> None:
        """End it, whatever it does."""
        for _ in self.take():
            pass  # one that has ended may have been waited for by somebody else, and its number be another process's
        with suppress(ProcessLookupError, ChildProcessError):
            if self.works:
                os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
        self.forget()

    def forget(self) -> None:
        """Leave it to whom it belongs."""
        self._left = 0
        self._results.close()


def _end_after(seconds: int) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    signal.alarm(seconds)
