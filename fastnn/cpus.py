"""How many threads to use, and on which cores they are."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Collection
from contextlib import suppress

from .checks import integer


def thread_count(threads: int | None, most: int | None = None) -> int:
    """The number asked for, or the CPUs this process may use, at most NUMBA_NUM_THREADS and OMP_NUM_THREADS of them.

    most: how many have something to do. If it is one the system is not asked, which takes 5 us.
    """
    if threads is not None:
        asked = integer("threads", threads, least=1)
        return asked if most is None else min(asked, most)
    if most == 1:
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for variable in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(variable, "").split(",")[0].strip()
        if value.isdigit() and int(value) > 0:
            usable = min(usable, int(value))
    return usable if most is None else min(usable, most)


try:
    _getcpu = ctypes.PyDLL(None).sched_getcpu if hasattr(os, "sched_setaffinity") else None
except (AttributeError, OSError):
    _getcpu = None


def current_cpu() -> int:
    """The CPU that the calling thread runs on, or -1 where that cannot be known."""
    return -1 if _getcpu is None else int(_getcpu())


def leave_cpus(taken: Collection[int]) -> None:
    """Move the calling thread to another CPU than these, if it may use any; then it may go where it might before."""
    with suppress(OSError):  # where the system forbids it, the thread stays
        allowed = os.sched_getaffinity(0)
        others = allowed.difference(taken)
        if others:
            os.sched_setaffinity(0, others)
            os.sched_setaffinity(0, allowed)


def keep_apart(t: int, cpus: list[int]) -> None:
    """Leave a CPU that a thread before thread t has, where the system may have started this one or woken it up.

    cpus: where each thread was when it began. The system takes 0.1 s to part two that hand a CPU to each other in every
    call or meet in it: a backward pass of 64 rows, 784-128, takes 390 us then, and 135 on two CPUs; one fit in ten of
    24-64-8 took twice its time.
    """
    cpus[t] = current_cpu()
    if cpus[t] in cpus[:t] and cpus[t] >= 0:
        leave_cpus(cpus[:t])
        cpus[t] = current_cpu()


def wake_elsewhere(thread: threading.Thread, cpu: int) -> set[int]:
    """Let a sleeping thread wake up on another CPU than this, if it may use any.

    Returns where it might go before, for `restore_cpus`; nothing if that is where it may go now. 1 us. The system often
    wakes a thread up on the CPU of whoever calls it, behind which it waits for 2 ms though another CPU is idle: a
    backward pass of 1000 rows, 784-64, each 20 ms after the last one took 2.7 ms, now 1.6.
    """
    with suppress(OSError):
        if cpu >= 0 and thread.native_id is not None:
            allowed = os.sched_getaffinity(thread.native_id)
            others = allowed.difference([cpu])
            if others and others != allowed:
                os.sched_setaffinity(thread.native_id, others)
                return allowed
    return set()


def restore_cpus(allowed: set[int]) -> None:
    """Let the calling thread go where it might before `wake_elsewhere`, which returned this."""
    if allowed:
        with suppress(OSError):
            os.sched_setaffinity(0, allowed)
