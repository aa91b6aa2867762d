"""Fits beside another program that keeps a core busy: on all threads they should take no longer than on one.

Each number of threads is a process of its own; they take turns, alone and then beside the neighbour.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import median

from benchmarks import rivals
from benchmarks.contest import calibrate
from benchmarks.page import machine, milliseconds, ratio_text
from benchmarks.process import SLEEP_SECONDS, Process
from benchmarks.rivals import FASTNN, RIVALS
from benchmarks.workloads import BY_NAME, Workload

THREADS = (None, 1)  # as many as there are CPUs, and one
# Short steps, longer ones, and the longest.
WORKLOADS = ("table-64", "batch-128", "full-64")


@contextmanager
def neighbour() -> Iterator[None]:
    """A program that keeps the last of the CPUs busy."""
    running = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        os.sched_setaffinity(running.pid, {max(os.sched_getaffinity(0))})
        time.sleep(SLEEP_SECONDS)
        yield
    finally:
        running.kill()
        running.wait()


class Pair:
    """A workload on all threads and on one, each in its process."""

    def __init__(self, workload: Workload, seconds: float) -> None:
        rival = RIVALS[FASTNN]
        self.processes = [Process(**rivals.environment(rival, threads)) for threads in THREADS]
        for process, threads in zip(self.processes, THREADS, strict=True):
            process.hold(rivals.make, rival.module, workload, rival.dtype, threads)
            process.call("fit", 1)  # compiles
        self.epochs = calibrate(partial(self.processes[-1].call, "fit"), seconds)[0]

    def seconds(self, rounds: int) -> list[float]:
        """The median time of an epoch on all threads, and on one."""
        turns = [[process.call("fit", self.epochs)[0] for process in self.processes] for _ in range(rounds)]
        return [median(times) / self.epochs for times in zip(*turns, strict=True)]

    def close(self) -> None:
        """End both."""
        for process in self.processes:
            process.close()


def compare(workload: Workload, rounds: int, seconds: float) -> tuple[list[float], list[float]]:
    """Seconds of an epoch on all threads and on one: alone, and beside the neighbour."""
    pair = Pair(workload, seconds)
    try:
        alone = pair.seconds(rounds)
        with neighbour():
            return alone, pair.seconds(rounds)
    finally:
        pair.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print the table. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.neighbour", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="WORKLOAD", default=WORKLOADS, help=f"of {', '.join(BY_NAME)}")
    parser.add_argument("--rounds", type=int, default=5, help="fits of each number of threads (default: 5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long a fit lasts (default: 1)")
    options = parser.parse_args(argv)
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds must be at least 1, and --seconds above 0")
    strange = [name for name in options.names if name not in BY_NAME]
    if strange:
        parser.error(f"{strange[0]!r} is no workload; expected some of: {', '.join(BY_NAME)}")
    print("| an epoch of | alone: all threads, ms | one, ms | beside: all threads, ms | one, ms | all / one, beside |")
    print("|---|--:|--:|--:|--:|--:|")
    for name in options.names:
        alone, beside = compare(BY_NAME[name], options.rounds, options.seconds)
        cells = " | ".join(map(milliseconds, [*alone, *beside]))
        print(f"| {name} | {cells} | {ratio_text(beside[0] / beside[1])} |", flush=True)
    print(f"\nMedians of {options.rounds} fits, which took turns. {machine()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
