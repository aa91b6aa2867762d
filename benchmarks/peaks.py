"""What the machine can do at most: multiply-adds in registers, and reading from memory and from L2."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import workers
from fastnn.kernels.compiling.compile import entry
from fastnn.kernels.simd.vectors import TILE_ROWS, full, lanes, load, store
from fastnn.kernels.tiles import load_tile, outer_add, row_offsets, store_tile

Array = NDArray[Any]
DTYPES = ("float32", "float64")

MULTIPLY_ADDS = 1 << 23  # of a tile: some 30 ms, and float32 can still count them
MEMORY_BYTES = 1 << 30  # of each thread's array, so that little of it stays in a cache
L2_BYTES = 1 << 19  # where the system does not say how large L2 is
READ_BYTES = 1 << 30  # by each thread, for a bandwidth
ROUNDS = 5  # of which the fastest counts


@entry
def multiply_adds(factors: Array, out: Array, count: int) -> None:
    """out (TILE_ROWS rows, two registers wide) += count times the outer product of two rows of ones in `factors`.

    The inner loop of a matrix product, but that nothing is read in it.
    """
    width = 2 * lanes(out)
    acc = load_tile(out, 0, width, width, TILE_ROWS, 2)
    row, starts = load(factors, 0, 2), row_offsets(factors, 1, TILE_ROWS)
    for _ in range(count):
        acc = outer_add(factors, 0, starts, row, acc)
    store_tile(out, 0, width, width, acc)


@entry
def read(numbers: Array, out: Array, count: int) -> None:
    """out (eight registers) = the sums of every eighth register of `numbers`, read `count` times."""
    width = 2 * lanes(numbers)
    a = b = c = d = full(numbers, numbers.dtype.type(0.0), 2)
    for _ in range(count):
        for i in range(0, len(numbers), 4 * width):
            a = a + load(numbers, i, 2)
            b = b + load(numbers, i + width, 2)
            c = c + load(numbers, i + 2 * width, 2)
            d = d + load(numbers, i + 3 * width, 2)
    store(out, 0, a)
    store(out, width, b)
    store(out, 2 * width, c)
    store(out, 3 * width, d)


@dataclass(frozen=True)
class Peaks:
    """Operations a second (a multiply-add is two) by dtype and threads, and bytes a second by threads.

    The largest that was ever seen: a neighbour on the machine can make a measurement too small, but not too large.
    """

    operations: dict[tuple[str, int], float]
    memory: dict[int, float]
    l2: dict[int, float]

    def see(self, dtype: str, threads: int) -> None:
        """Measure operations once more."""
        key = dtype, threads
        self.operations[key] = max(operations(dtype, threads), self.operations.get(key, 0.0))


def measure(threads: Iterable[int], before: Peaks | None = None) -> Peaks:
    """All of them, with each of these numbers of threads; the larger of these and of those measured before."""
    peaks = Peaks({}, {}, {}) if before is None else before
    for n in threads:
        peaks.memory[n] = max(bandwidth(MEMORY_BYTES, n), peaks.memory.get(n, 0.0))
        peaks.l2[n] = max(bandwidth(l2_bytes() // 2, n), peaks.l2.get(n, 0.0))
        for dtype in DTYPES:
            peaks.see(dtype, n)
    return peaks


def operations(dtype: str, threads: int) -> float:
    """Multiplications and additions a second, of all threads together. ArithmeticError if they did not happen."""
    size = TILE_ROWS * 2 * 64  # more than any register holds
    ones = np.ones(size, dtype)
    outs = [np.zeros(size, dtype) for _ in range(threads)]
    multiply_adds(ones, outs[0], 0)  # compiles

    def work(t: int) -> None:
        outs[t][:] = 0
        multiply_adds(ones, outs[t], MULTIPLY_ADDS)

    seconds = fastest(work, threads)
    if any(out.max() != MULTIPLY_ADDS for out in outs):
        raise ArithmeticError(f"{outs[0].max()} multiply-adds were done; expected {MULTIPLY_ADDS}.")
    return 2 * MULTIPLY_ADDS * sum(int((out > 0).sum()) for out in outs) / seconds


def bandwidth(size: int, threads: int) -> float:
    """Bytes a second that all threads together read, each from `size` bytes of its own, again and again."""
    arrays = [np.ones(size // 4096 * 1024, np.float32) for _ in range(threads)]
    sums = np.zeros((threads, 8 * 16), np.float32)
    count = max(1, READ_BYTES // size)
    read(arrays[0], sums[0], 0)  # compiles
    seconds = fastest(lambda t: read(arrays[t], sums[t], count), threads)
    return count * sum(array.nbytes for array in arrays) / seconds


def fastest(work: Callable[[int], None], threads: int) -> float:
    """Seconds of work(0), ..., work(threads - 1) at the same time."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        workers.run(work, threads)
        times.append(time.perf_counter() - start)
    return min(times)


def l2_bytes() -> int:
    """The size of a core's second-level cache."""
    try:
        text = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text(encoding="ascii").strip()
    except OSError:
        return L2_BYTES
    return int(text.removesuffix("K")) * 1024
