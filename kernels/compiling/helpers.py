"""Other processes that do some of the compiling: a copy of this one, by a fork, has all that it needs to begin."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Pipe
from typing import Any

from numba import config

# Typing, which is left to one process, takes as long as two others need for all the rest.
MOST = 3


def most_helpers() -> int:
    """A process for each other CPU that this one may use; none where copies of processes are not what they should be:
    Windows has none, and those of macOS must not call what its libraries are built on."""
    return min(MOST, config.NUMBA_NUM_THREADS - 1) if sys.platform == "linux" else 0


class Helper:
    """A process that does one task after another and sends what comes out of each.

    It may end early, or hang for ever: a lock that another thread held at the fork is never opened in the copy. So
    nobody should wait for it.
    """

    def __init__(self, tasks: Sequence[Callable[[], Any]]) -> None:
        """Raises OSError where there can be no process more."""
        self._results, writer = Pipe(duplex=False)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # Ctrl-C is for this process alone
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of Python, that it may hang
                self._process = os.fork()
            if self._process == 0:
                try:
                    self._results.close()  # or it would not hear when the reader has died
                    for task in tasks:
                        writer.send(task())
                finally:
                    os._exit(0)
        except OSError:
            self._results.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            writer.close()
        self._done, self._tasks = 0, len(tasks)

    @property
    def works(self) -> bool:
        """Whether there may be more to come."""
        return self._done < self._tasks

    def take(self) -> Iterator[tuple[int, Any]]:
        """What has come out since the last time, and the places of its tasks."""
        while self.works and self._results.poll():
            try:
                yield self._done, self._results.recv()
                self._done += 1
            except (EOFError, OSError):
                self._done = self._tasks

    def dismiss(self) -> None:
        """End it, whatever it does."""
        with suppress(ProcessLookupError, ChildProcessError):  # it has ended, and somebody waits for any child
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
        self._results.close()
