"""How near fastnn's trainers come to the multiply-adds of the machine's vector registers, and to its memory.

The peaks are measured first. A trainer's share is the arithmetic of its matrix products divided by the time of whole
fits, with everything they do, and by the peak. Where data has zeros, two figures stand side by side: the work that is
left without them, and the work that dense arithmetic would do; above 100% no program of multiply-adds can follow.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import peaks
from benchmarks.contest import calibrate
from benchmarks.page import add_write, machine, milliseconds, write
from benchmarks.process import SLEEP_SECONDS
from benchmarks.rivals import ALL_CORES
from benchmarks.rivals.fastnn_fit import Trainer
from benchmarks.workloads import WITHOUT_ZERO, WORKLOADS, Workload, describe

FIT_SECONDS = 0.5
MARKER = "roofline"
WIDE, WIDE_SHARE = 128, 0.85  # hidden units, from which on a dense trainer should reach this share of the peak
SPARSE_SHARE = 1.0  # of the peak as if zeros were work: the least that skipping them should be worth

TRAINERS = [
    *WORKLOADS,
    Workload("full-128-dense", (784, 128, 10), None, "sgd", 0, data=WITHOUT_ZERO),
    Workload("full-512-512-dense", (784, 512, 512, 10), None, "sgd", 0, data=WITHOUT_ZERO),
    Workload("batch-128-128-dense", (784, 128, 10), 128, "sgd", 0, data=WITHOUT_ZERO),
    Workload("batch-512-512-dense", (784, 512, 512, 10), 128, "adam", 0, data=WITHOUT_ZERO),
]
BY_NAME = {workload.name: workload for workload in TRAINERS}


@dataclass(frozen=True)
class Timed:
    """A trainer's seconds of an epoch, and what is done in it: operations (a multiply-add is two) if zeros counted, and
    without them; bytes of features."""

    workload: str
    dtype: str
    threads: int
    seconds: float
    dense_operations: float
    operations: float
    feature_bytes: int

    def shares(self, found: peaks.Peaks) -> dict[str, float]:
        """Of the peaks."""
        peak = self.seconds * found.operations[self.dtype, self.threads]
        return {
            "dense_share": self.dense_operations / peak,
            "share": self.operations / peak,
            "memory_share": self.feature_bytes / self.seconds / found.memory[self.threads],
        }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write where asked. Returns the exit status."""
    options = parse(argv)
    found, all_timed = peaks.measure(options.threads), []
    for name, dtype, threads in product(options.workload, options.dtype, options.threads):
        found.see(dtype, threads)
        timed = measure(BY_NAME[name], dtype, threads, options)
        print(f"{describe(BY_NAME[name])}, {dtype} x{threads}: {milliseconds(timed.seconds)} ms", flush=True)
        all_timed.append(timed)
    peaks.measure(options.threads, found)
    text = f"{table(all_timed, found)}\n\n{peaks_text(found)} {explanation(options.rows)}"
    print(f"\n{text}")
    if options.json is not None:
        shares = [vars(timed) | timed.shares(found) for timed in all_timed]
        report = {"machine": machine(), "peaks": as_dict(found), "shares": shares}
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if options.write is not None:
        write(options.write, MARKER, text)
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.roofline", description=__doc__)
    parser.add_argument("--workload", nargs="+", choices=BY_NAME, default=list(BY_NAME), help="default: all of them")
    parser.add_argument("--dtype", nargs="+", choices=peaks.DTYPES, default=["float32"], help="default: float32")
    parser.add_argument(
        "--threads", nargs="+", type=int, default=sorted({1, ALL_CORES}), help="default: 1 and all cores"
    )
    parser.add_argument("--rounds", type=int, default=3, help="fits timed, of which the median counts (default: 3)")
    parser.add_argument("--seconds", type=float, default=FIT_SECONDS, help=f"of a fit, about ({FIT_SECONDS})")
    parser.add_argument("--rows", type=int, help="the first so many rows of the data, for a quick look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="put every figure into this file")
    add_write(parser, MARKER)
    options = parser.parse_args(argv)
    counts = [options.rounds, *options.threads] + ([] if options.rows is None else [options.rows])
    if min(counts) < 1 or options.seconds <= 0:
        parser.error("--rounds, --threads and --rows must be at least 1, and --seconds above 0")
    return options


# --- measuring


def measure(workload: Workload, dtype: str, threads: int, options: argparse.Namespace) -> Timed:
    """Median of whole fits, after one that warms up."""
    if options.rows is not None:
        workload = workload.on_rows(options.rows)
    trainer = Trainer(workload, dtype, threads)
    trainer.fit(1)
    epochs, _ = calibrate(trainer.fit, options.seconds)
    times = []
    for _ in range(options.rounds):
        time.sleep(SLEEP_SECONDS)
        times.append(trainer.fit(epochs)[0] / epochs)
    counts = *operations(workload.sizes, trainer.X), trainer.X.nbytes
    return Timed(workload.name, dtype, threads, median(times), *counts)


def operations(sizes: Sequence[int], X: Any) -> tuple[float, float]:
    """Of an epoch's matrix products: with zeros counted as work, and without those of X.

    For every row and layer 2 K N forward, as many for dW, and as many for dX but in the first layer.
    """
    layers = list(pairwise(sizes))
    first, others = layers[0][0] * layers[0][1], sum(K * N for K, N in layers[1:])
    density = np.count_nonzero(X) / X.size
    return len(X) * (4.0 * first + 6.0 * others), len(X) * (4.0 * first * density + 6.0 * others)


# --- writing


def peaks_text(found: peaks.Peaks) -> str:
    """The machine and its peaks, in sentences."""
    operations = ", ".join(
        f"{found.operations[dtype, threads] / 1e9:.0f} GFLOP/s in {dtype} on {threads} thread{'s' * (threads > 1)}"
        for dtype, threads in found.operations
    )
    memory, l2 = (" and ".join(f"{speed / 1e9:.0f}" for speed in kind.values()) for kind in (found.memory, found.l2))
    threads = " and ".join(map(str, found.memory))
    return (
        f"{machine()} Peaks: {operations}; reading {memory} GB/s from memory, {l2} GB/s from L2 on {threads} threads."
    )


def table(all_timed: list[Timed], found: peaks.Peaks) -> str:
    """In Markdown, a row for every trainer, dtype and number of threads."""
    titles = [
        "trainer",
        "dtype",
        "threads",
        "ms",
        "FMA peak, zeros counted as work",
        "at least",
        "FMA peak, zeros left out",
        "memory bandwidth",
    ]
    rows = [row(timed, found) for timed in all_timed]
    return "\n".join([f"| {' | '.join(titles)} |", f"|---|---|{'--:|' * 6}", *rows])


def row(timed: Timed, found: peaks.Peaks) -> str:
    """One of the table's rows."""
    workload, least, shares = BY_NAME[timed.workload], goal(timed), timed.shares(found)
    cells = [
        f"{describe(workload)}, an {workload.unit}",
        timed.dtype,
        str(timed.threads),
        milliseconds(timed.seconds),
        f"{shares['dense_share']:.0%}",
        "" if least is None else f"{least:.0%}",
        f"{shares['share']:.0%}",
        f"{shares['memory_share']:.1%}",
    ]
    return f"| {' | '.join(cells)} |"


def goal(timed: Timed) -> float | None:
    """The share of the peak that this trainer should reach, if there is one."""
    if timed.operations < timed.dense_operations / 2:
        return SPARSE_SHARE
    return WIDE_SHARE if min(BY_NAME[timed.workload].sizes[1:-1]) >= WIDE else None


def explanation(rows: int | None) -> str:
    """How to read the table. rows: how many there were of each data set, where that was not all."""
    return (
        ("" if rows is None else f"Of the first {rows} rows alone. ")
        + "A share is the arithmetic of the matrix products (2 K N a row forward, as much for dW and again for dX), "
        "divided by the time of whole fits and the measured peak; memory: the features, read once an epoch. Above 100% "
        "skipping zeros, or the matrix unit, is faster than dense multiply-adds at their peak."
    )


def as_dict(found: peaks.Peaks) -> dict[str, Any]:
    """The peaks, ready for JSON."""
    return {
        "operations_per_second": {f"{dtype} x{threads}": value for (dtype, threads), value in found.operations.items()},
        "memory_bytes_per_second": found.memory,
        "l2_bytes_per_second": found.l2,
    }


if __name__ == "__main__":
    sys.exit(main())
