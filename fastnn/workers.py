"""How many threads, and running one kernel in all of them while the main thread stays free."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from .checks import integer

# How often the main thread looks up while kernels run: for the progress bar, and so that Ctrl-C is heard.
POLL_SECONDS = 0.05


def thread_count(threads: int | None) -> int:
    """The number asked for, or the CPUs this process may use, at most NUMBA_NUM_THREADS and OMP_NUM_THREADS of them."""
    if threads is not None:
        return integer("threads", threads, least=1)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for variable in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(variable, "").split(",")[0].strip()
        if value.isdigit() and int(value) > 0:
            usable = min(usable, int(value))
    return usable


def run(
    work: Callable[[int], None],
    threads: int,
    poll: Callable[[], None] = lambda: None,
    interrupt: Callable[[], None] | None = None,
) -> None:
    """work(0), ..., work(threads - 1), each in a thread of its own; returns when all have.

    poll is called every POLL_SECONDS. On Ctrl-C interrupt is called, which should end the work early, and
    KeyboardInterrupt raised when it has. Without interrupt, work(0) runs in the calling thread.
    """
    failures: list[BaseException] = []

    def guarded(t: int) -> None:
        try:
            work(t)
        except BaseException as failure:
            failures.append(failure)

    others = [threading.Thread(target=guarded, args=(t,), daemon=True) for t in range(interrupt is None, threads)]
    try:
        for thread in others:
            thread.start()
        if interrupt is None:
            guarded(0)
        for thread in others:
            while thread.is_alive():
                thread.join(POLL_SECONDS)
                poll()
    except BaseException:
        if interrupt is not None:
            interrupt()
        for thread in others:
            if thread.ident is not None:
                thread.join()
        raise
    if failures:
        raise failures[0]
