"""Work in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_processes(work: Callable[[T], R], tasks: Sequence[T], jobs: int, folder: Path | None = None) -> Iterator[R]:
    """work(task) for each of the tasks, so many at once; each result as soon as it is there.

    folder: removed if this process is killed. Processes are started afresh: one that is forked may not use threads that
    its parent had. Raises ChildProcessError if one of them is killed.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(tasks)), context, partial(_end_with_parent, folder)) as pool:
        try:
            for future in as_completed([pool.submit(work, task) for task in tasks]):
                yield future.result()
        except BaseException as failure:
            for process in list((pool._processes or {}).values()):
                process.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            if isinstance(failure, BrokenProcessPool):
                raise ChildProcessError(
                    "A process was killed, perhaps for want of memory; fewer at a time, as by --jobs, need less."
                ) from None
            raise


def _end_with_parent(folder: Path | None) -> None:
    """Have a process end when the one that started it was killed, and remove what that can no longer: the pool would
    wait for it for ever, and the folder would stay.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
