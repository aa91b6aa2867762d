"""Training with all rows in every step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..architecture import Architecture
from ..features import compress_blocks, no_lists
from ..kernels.simd.vectors import REGISTER_BYTES
from ..kernels.training import full_batch as kernels
from ..kernels.training.parts import Parts
from ..kernels.training.rows import BLOCK, Batch, Data
from ..packing import Layout
from ..trainer import Plan, State
from .memory import batch_of, scratch_of
from .sharing import shards_of, sharing
from .training import Training

Array = NDArray[Any]

L1_BYTES = 1 << 15

# Full-batch gradients are summed in this many parts at most, whatever the number of threads.
SHARDS = 16


def grain_of(N: int, m: int, dtype: np.dtype[Any]) -> int:
    """How many rows' columns are compressed together: so many that the gradients of the first layer's N outputs fill
    most of L1. 784-10-10: lists of 96 entries rather than 24, 7.2 ms rather than 9.9 on one thread."""
    row = -(-N * dtype.itemsize // REGISTER_BYTES) * REGISTER_BYTES
    grain = min(max(L1_BYTES // row // BLOCK, 1), 4) * BLOCK
    return grain if m >= SHARDS * grain else BLOCK


class FullBatch(Training):
    """One step an epoch, on all rows."""

    splits_once = True

    def __init__(self, architecture: Architecture, state: State, data: Data, m: int, plan: Plan) -> None:
        lists, K = len(data.lists.starts) > 0, architecture.sizes[0]
        grain = grain_of(architecture.sizes[1], m, state.weights[0].dtype)
        parts, block = min(SHARDS, -(-m // grain)), grain if lists else BLOCK
        super().__init__(architecture, state, data, m, plan, min(plan.threads, parts))
        if lists:
            self.data = data._replace(blocks=compress_blocks(data.lists, m, K, block, self.threads))
        panel, _ = sharing(architecture.sizes[1], self.dtype, self.threads, lists=lists)
        layout = self.whole(panel)
        self.network, self.slots = self.pack(layout)
        rows = min(block, m)
        self.shards = shards_of(parts, layout.params, self.dtype, grain=grain, block=block)
        self.scratch = [scratch_of(layout, rows, 0) for _ in range(self.threads)]
        self.blocks = [self._block(layout, rows) for _ in range(self.threads)]
        self.parts = Parts(False, no_lists(self.dtype), 0, 0)

    @staticmethod
    def _block(layout: Layout, rows: int) -> Batch:
        """A thread's, with room for the places of the next block."""
        return batch_of(layout, rows)._replace(numbers=np.zeros(2 * rows, np.int64))

    def call(self, losses: Array, right: Array, order: Array, first: int, last: int, t: int, threads: int) -> None:
        kernels.train_full_batch(
            t,
            threads,
            self.control,
            self.network,
            self.data,
            self.steps(losses, order, first, last, self.slots),
            self.blocks[t],
            self.parts,
            self.scratch[t],
            self.shards,
            losses,
            right,
        )
