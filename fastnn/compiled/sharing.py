"""How threads share a network, and what they sum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import matrix_unit
from ..architecture import Architecture
from ..kernels.matrix_unit.digits import DEEPEST
from ..kernels.network import UINT8
from ..kernels.simd.vectors import REGISTER_BYTES
from ..kernels.sparse import WIDEST
from ..kernels.training.parts import Shards
from ..kernels.training.rows import BLOCK, Data
from ..packing import aligned
from ..trainer import Plan

Array = NDArray[Any]

# The first layer is shared by its columns if the busiest thread has at most so many times its even share of them.
UNEVEN = 1.35

# Inputs and rows of a step from which features that are bytes go through the matrix unit: with 64 and 64 a step takes
# 0.8 to 0.95 of the time it takes without, with 48 inputs 0.8 to 1.03, with 16 rows 1.1 to 1.3. In float64 with 64 and
# 64 0.9, with 32 rows 1.1. And how wide other layers are that do: with 256, and 64 rows, 0.82 to 0.93 of the time, with
# 192 0.9 to 0.97, with 32 rows 0.97 to 1.15.
LEAST_INPUTS, LEAST_ROWS = 64, {"float32": 32, "float64": 64}
LEAST_WIDTH, LEAST_ROWS_OF_WIDE = 256, 64

# Bytes of a middle layer's W.T from which threads share its backward pass by columns.
LARGE = 1 << 17

# Rows that a part of a batch has at least: with 16, 24-64-8 took 6 ms an epoch, without parts 4.5.
SHARD_ROWS = 64


def sharing(N: int, dtype: np.dtype[Any], threads: int, *, lists: bool) -> tuple[int, bool]:
    """How the first layer's W with N columns is laid out for so many threads: registers of its widest panel, and
    whether threads share it by its columns.

    Lists are read once for every panel, so that wide ones are better; by columns is better where it can be even.
    """
    registers = -(-N * dtype.itemsize // REGISTER_BYTES)
    if lists and registers <= 2:
        return 2, False
    for panel in (8, 4) if lists else (2,):
        panels = -(-registers // panel)
        busiest = min(-(-panels // threads) * panel, registers)
        if threads > 1 and panels >= threads and busiest * threads <= UNEVEN * registers:
            return panel, True
    return WIDEST if lists else 2, False


def on_matrix_unit(
    data: Data, architecture: Architecture, plan: Plan, m: int, dtype: np.dtype[Any]
) -> tuple[bool, tuple[int, ...]]:
    """Whether features go through the CPU's matrix unit as bytes, and all layers that are made on it, for m rows."""
    rows = min(plan.batch_size or BLOCK, m)
    if rows < LEAST_ROWS[dtype.name] or not matrix_unit.available():
        return False, ()
    dense, double = len(data.lists.starts) == 0, dtype == np.float64
    as_bytes = dense and data.rows.kind == UINT8 and architecture.sizes[0] >= LEAST_INPUTS
    if double:
        as_bytes = as_bytes and max(rows, architecture.sizes[0]) <= DEEPEST
    wide = tuple(
        layer
        for layer, shape in enumerate(architecture.layers)
        if min(shape) >= LEAST_WIDTH and (layer > 0 or (dense and not as_bytes))
    )
    if double or rows < LEAST_ROWS_OF_WIDE:
        wide = ()
    return as_bytes, (0, *wide) if as_bytes else wide


def middle_of(architecture: Architecture, dtype: np.dtype[Any]) -> int:
    """The last layer before the outputs' whose W.T is so large that reading what another thread has written of it takes
    longer than one more meeting; 0 if none is."""
    middle = range(len(architecture.layers) - 2, 0, -1)
    large = (layer for layer in middle if math.prod(architecture.layers[layer]) * dtype.itemsize >= LARGE)
    return next(large, 0)


def shards_of_a_batch(batch_size: int) -> int:
    """In how many parts a batch's gradients are summed, whatever the number of threads: a power of two."""
    parts = 1
    while batch_size // (2 * parts) >= SHARD_ROWS:
        parts *= 2
    return parts


def shards_of(
    parts: int, size: int, dtype: np.dtype[Any], generations: int = 1, grain: int = BLOCK, block: int = BLOCK
) -> Shards:
    """Room for the gradients of so many parts of the rows."""
    count = generations * parts
    return Shards(aligned(count * size, dtype), np.zeros(count), np.zeros(count, np.int64), parts, size, grain, block)
