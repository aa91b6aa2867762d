"""How kernels read features: rows of numbers as they are, or lists without the zeros. See kernels/lists.py."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import workers
from .addresses import address_of
from .csr import CSR, MOST_SHORT
from .kernels import compressing
from .kernels.lists import Lists, flip_blocks
from .kernels.network import FLOAT32, FLOAT64, UINT8, Rows
from .kernels.simd.bits import CHUNK
from .packing import aligned

Array = NDArray[Any]
KINDS = {np.dtype(np.uint8): UINT8, np.dtype(np.float32): FLOAT32, np.dtype(np.float64): FLOAT64}

# The share of numbers that are not zero up to which lists are faster than dense rows: a step takes 7 to 130 cycles for
# an entry of a list, by how wide the first layer is, and 2 to 40 for a number of a dense row.
MOST_DENSE = 0.3
# Rows that show whether the rest is worth counting: reading a large file once more takes long.
SAMPLE = 4096
# Bytes that are worth a thread more, which takes 100 us to start: reading them takes 200.
BYTES_WORTH_A_THREAD = 1 << 21


def rows_of(X: Array | CSR, factor: float = 1 / 255) -> Rows:
    """How kernels read X, which `inputs.features` has checked; X must live as long. factor: of uint8."""
    if isinstance(X, CSR):
        return Rows(0, 0, UINT8, 1.0)  # which nobody reads
    kind = KINDS[X.dtype]
    return Rows(address_of(X), X.strides[0], kind, factor if kind == UINT8 else 1.0)


def lists_of(X: CSR, dtype: np.dtype[Any]) -> Lists:
    """The same for rows without zeros; their values are not copied."""
    coded = X.dtype == np.uint8
    values = X.values if coded or X.dtype == dtype else X.values.astype(dtype)
    none = np.zeros(0, np.uint8), np.zeros(0, dtype)
    codes, numbers = (values, none[1]) if coded else (none[0], values)
    return Lists(X.starts, X.columns, codes, numbers, _table(dtype))


@functools.cache
def no_lists(dtype: np.dtype[Any]) -> Lists:
    """What stands for dense features."""
    return _room(0, 0, 0, dtype, coded=False)


def _room(lists: int, entries: int, places: int, dtype: np.dtype[Any], *, coded: bool) -> Lists:
    """So many lists, with so many entries in all, whose places are below `places`; the entries hold anything yet."""
    codes, values = (entries, 0) if coded else (0, entries)
    return Lists(
        starts=aligned(lists + 1 if lists else 0, np.dtype(np.int64)),
        places=aligned(entries, np.dtype(np.uint16 if places <= MOST_SHORT else np.int32), zeros=False),
        codes=aligned(codes, np.dtype(np.uint8), zeros=False),
        values=aligned(values, dtype, zeros=False),
        table=_table(dtype),
    )


def _table(dtype: np.dtype[Any]) -> Array:
    """The features that the uint8 numbers stand for."""
    table: Array = np.arange(256, dtype=dtype) * dtype.type(1 / 255)
    return table


def compress(X: Array, dtype: np.dtype[Any], threads: int, *, always: bool = False) -> Lists:
    """X, which `inputs.features` has checked, row by row, if at least 70% of it are zeros, and so much memory is
    free; else no lists. always: whatever it holds."""
    m, K = X.shape
    if not always and _density(X[:: -(-m // SAMPLE)], dtype, threads) > 1.5 * MOST_DENSE:
        return no_lists(dtype)
    counts = _counts(X, dtype, threads)
    entries, coded = int(counts.sum()), X.dtype == np.uint8
    if not always and (entries > MOST_DENSE * m * K or entries * (dtype.itemsize + 4) > _free_memory()):
        return no_lists(dtype)
    out = _room(m, entries, K, dtype, coded=coded)
    np.cumsum(counts, out=out.starts[1:])
    over_rows(compressing.compress_rows, X, threads, out.starts, out.places, out.codes if coded else out.values)
    return out


def _counts(X: Array, dtype: np.dtype[Any], threads: int) -> Array:
    """How many numbers of every row are not zero."""
    counts, like = np.zeros(len(X), np.int64), np.zeros(0, X.dtype if X.dtype == np.uint8 else dtype)
    over_rows(compressing.count_nonzeros, X, threads, like, counts)
    return counts


def over_rows(kernel: Callable[..., None], X: Array, threads: int, *arrays: Array) -> None:
    """Run one of the kernels of kernels/compressing.py."""
    (m, K), rows, threads = X.shape, rows_of(X), min(threads, 1 + X.nbytes // BYTES_WORTH_A_THREAD)
    lines = [aligned(CHUNK, X.dtype) for _ in range(threads)]
    if threads > 1:
        kernel(0, 1, rows, 0, K, lines[0], *arrays)  # compiles, in the main thread
    workers.run(lambda t: kernel(t, threads, rows, m, K, lines[t], *arrays), threads)


def _density(X: Array, dtype: np.dtype[Any], threads: int) -> float:
    return float(_counts(X, dtype, threads).sum() / X.size)


def _free_memory() -> float:
    """Bytes of memory that nothing needs now, as far as the system tells."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return float("inf")


def compress_blocks(lists: Lists, m: int, K: int, block: int, threads: int) -> Lists:
    """The columns of every block of rows: list b * (K + 1) + k is column k of block b."""
    out = _room(-(-m // block) * (K + 1), len(lists.places), block, lists.table.dtype, coded=len(lists.codes) > 0)
    numbers = [np.zeros(block, np.int64) for _ in range(threads)]
    cuts = [np.zeros(2 * block, np.int64) for _ in range(threads)]
    flip_blocks(0, 1, lists, 0, K, block, numbers[0], cuts[0], out)  # compiles, in the main thread
    workers.run(lambda t: flip_blocks(t, threads, lists, m, K, block, numbers[t], cuts[t], out), threads)
    return out


def batch_room(lists: Lists, rows: int, K: int, threads: int) -> Lists:
    """Memory for the columns of any batch of so many rows, in regions for so many threads."""
    counts = np.diff(lists.starts)
    longest = int(np.partition(counts, len(counts) - rows)[len(counts) - rows :].sum())
    return _room(K + threads, longest * threads, rows, lists.table.dtype, coded=len(lists.codes) > 0)
