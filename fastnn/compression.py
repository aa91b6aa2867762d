"""Features without their zeros, where that is faster. See kernels/sparse.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import workers
from .kernels import sparse
from .kernels.network import Rows
from .kernels.sparse import Compressed
from .packing import aligned

Array = NDArray[Any]

# An entry costs 6 to 12 cycles, a number of a dense row 2 to 5, forward and backward together.
MOST_DENSE = 0.3
# What the kernels' 16-bit numbers of columns can tell apart.
MOST_COLUMNS = 1 << 16


def nothing_compressed(dtype: np.dtype[Any]) -> Compressed:
    """What stands for dense features."""
    return _room(0, 0, 0, dtype, coded=False)


def compress(X: Array, rows: Rows, dtype: np.dtype[Any], block: int, threads: int) -> Compressed:
    """X, which `inputs.features` has checked, row by row, and column by column in blocks of so many rows, if more than
    two thirds of it are zeros; else nothing. rows: how kernels read X."""
    m, K = X.shape
    if K > MOST_COLUMNS:
        return nothing_compressed(dtype)
    raw = rows._replace(factor=1.0) if X.dtype == np.uint8 else rows
    lines = [aligned(K, dtype) for _ in range(threads)]
    counts = np.zeros(m, np.int64)
    sparse.count_nonzeros(0, 1, raw, 0, K, lines[0], counts)  # compiles, in the main thread
    workers.run(lambda t: sparse.count_nonzeros(t, threads, raw, m, K, lines[t], counts), threads)
    entries = int(counts.sum())
    if entries > MOST_DENSE * m * K:
        return nothing_compressed(dtype)
    blocks = -(-m // block)
    out = _room(m, entries, blocks * (K + 1), dtype, coded=X.dtype == np.uint8)
    np.cumsum(counts, out=out.starts[1:])
    out.table[:] = np.arange(256, dtype=dtype) * dtype.type(rows.factor)
    places = [np.zeros(K + 1, np.int64) for _ in range(threads)]
    sparse.compress_rows(0, 1, raw, 0, K, lines[0], out)
    workers.run(lambda t: sparse.compress_rows(t, threads, raw, m, K, lines[t], out), threads)
    sparse.compress_blocks(0, 1, 0, K, block, places[0], out)
    workers.run(lambda t: sparse.compress_blocks(t, threads, m, K, block, places[t], out), threads)
    return out


def _room(m: int, entries: int, block_starts: int, dtype: np.dtype[Any], *, coded: bool) -> Compressed:
    codes, values = (entries, 0) if coded else (0, entries)
    byte, short, whole = np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.int64)
    return Compressed(
        starts=aligned(m + 1 if m else 0, whole),
        columns=aligned(entries, short),
        codes=aligned(codes, byte),
        values=aligned(values, dtype),
        block_starts=aligned(block_starts, whole),
        rows=aligned(entries, byte),
        block_codes=aligned(codes, byte),
        block_values=aligned(values, dtype),
        table=aligned(256, dtype),
    )
