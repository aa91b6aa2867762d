"""How many threads to use."""

from __future__ import annotations

import os

from .checks import integer


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
