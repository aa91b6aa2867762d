"""Running one kernel in several threads, with the main thread free or as one of them."""

from __future__ import annotations

import _thread
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from numpy.typing import NDArray

from .cpus import current_cpu, keep_apart
from .kernels.compiling import interrupts
from .kernels.sync import ABANDONED, ENTERED, STOP, STOPPING

Array = NDArray[Any]

# How often the main thread looks up while kernels run: for the progress bar, and so that Ctrl-C is heard.
POLL_SECONDS = 0.05


def none_left(error: RuntimeError | MemoryError) -> bool:
    """Whether what was raised where a thread should begin says that the system has no more of them; else it is of a
    signal's handler, and the thread has begun."""
    return isinstance(error, MemoryError) or "can't start new thread" in str(error)


def run(
    work: Callable[[int], None],
    threads: int,
    control: Array | None = None,
    poll: Callable[[], None] | None = None,
) -> None:
    """work(0), ..., work(threads - 1), each in a thread of its own; returns when all have.

    control: what the kernels in it meet by, see kernels/sync.py. With poll, which is called every POLL_SECONDS, the
    calling thread does nothing but wait; on Ctrl-C STOP is set, which should end the work early, and KeyboardInterrupt
    raised when it has. Without, work(0) runs in the calling thread. Whatever is raised, and however often, comes out
    when no thread works any more: kernels read memory that the caller may give back.
    """
    failures: list[BaseException] = []
    finished: list[int] = []
    running = [_thread.allocate_lock() for _ in range(threads)]
    first = 1 if poll is None else 0
    started = first
    cpus = [current_cpu() if poll is None else -1] + [-1] * (threads - 1)

    def stop(*, all_will_enter: bool) -> None:
        """Let kernels end after their step, or at once where a thread is not in its kernel and never will be: one that
        has left it has met all others there."""
        if control is not None:
            gone = not all_will_enter and control[ENTERED] < threads
            control[[STOP, STOPPING, ABANDONED] if gone else [STOP]] = 1

    def wait() -> None:
        while not set(range(first, started)) <= set(finished):
            time.sleep(0.001)

    def guarded(t: int) -> None:
        try:
            if t >= first:
                keep_apart(t, cpus)
            work(t)
        except BaseException as failure:
            failures.append(failure)
            stop(all_will_enter=False)
        finally:
            finished.append(t)
            running[t].release()

    try:
        for lock in running:
            lock.acquire()
        for t in range(first, threads):
            started = t + 1  # before: signals that come meanwhile raise when the thread has begun
            try:
                _thread.start_new_thread(guarded, (t,))  # 14 us, where threading.Thread takes 37
            except (RuntimeError, MemoryError) as error:
                if none_left(error):
                    started = t
                raise
        if poll is None:
            guarded(0)
        for lock in running:
            while not lock.acquire(timeout=POLL_SECONDS):
                interrupts.hear()
                if poll is not None:
                    poll()
    except BaseException:
        interrupts.persist(partial(stop, all_will_enter=poll is not None and started == threads))
        interrupts.persist(wait)
        raise
    if failures:
        raise failures[0]
