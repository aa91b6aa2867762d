"""The three ways to train: all rows in a step, mini-batches, and mini-batches with a copy of the network a thread."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..architecture import Architecture
from ..csr import CSR
from ..features import batch_room, compress, compress_blocks, no_lists
from ..kernels import training as kernels
from ..kernels.penalty import ROWS_SQUARED, Terms
from ..kernels.rows import BLOCK, Data
from ..kernels.simd import REGISTER_BYTES, TILE_ROWS
from ..kernels.sparse import WIDEST
from ..kernels.steps import Parts, Shards
from ..packing import aligned
from ..trainer import Plan, State
from .memory import batch_of, data_of, scratch_of
from .training import Training

Array = NDArray[Any]

L1_BYTES = 1 << 15

# Full-batch gradients are summed in this many parts at most, whatever the number of threads.
SHARDS = 16

# The first layer is shared by its columns if the busiest thread has at most so many times its even share of them.
UNEVEN = 1.35

# Leaving out the zeros pays with mini-batches at once: finding them in MNIST takes 9 ms on two threads, and an epoch of
# 784-8-10 then takes 15 ms less. With the full batch it pays from so many epochs on, or so many epochs times outputs of
# the first layer: finding the columns takes 12 ms more, and an epoch takes less.
WORTH_COMPRESSING, WORTH_COMPRESSING_OUTPUTS = 4, 128

# Bytes of a middle layer's W.T from which threads share its backward pass by columns.
LARGE = 1 << 17

# Copies of a network are worth it up to so many parameters: 1 MB of float32 with W.T, Adam's memory and the gradients,
# half of a core's L2.
MOST_COPIED = 1 << 15
# Rows that a part of a batch has at least: with 16, 24-64-8 took 6 ms an epoch, without parts 4.5.
SHARD_ROWS = 64


def Trainer(
    architecture: Architecture,
    state: State,
    X: Array | CSR,
    Y: Array,
    plan: Plan,
    sample_weight: Array | None = None,
) -> Training:
    """See trainer.Backend."""
    data = data_of(X, Y, architecture, state.weights[0].dtype, plan.objective, sample_weight)
    data = without_zeros(data, X, architecture.sizes[1], state.weights[0].dtype, plan)
    way: type[FullBatch | MiniBatches | Replicas] = FullBatch
    if plan.batch_size is not None:
        way = Replicas if is_copied(architecture, plan.rows_of_a_step(len(X))) else MiniBatches
    training = way(architecture, state, data, len(X), plan)
    training.compile()
    return training


def without_zeros(data: Data, X: Array | CSR, outputs: int, dtype: np.dtype[Any], plan: Plan) -> Data:
    """The features as lists where that is asked for, or where it pays. outputs: of the first layer."""
    auto = plan.sparse == "auto"
    many = plan.epochs >= WORTH_COMPRESSING or plan.epochs * outputs >= WORTH_COMPRESSING_OUTPUTS
    worth = many or plan.batch_size is not None if auto else bool(plan.sparse)
    if not worth or isinstance(X, CSR):
        return data
    return data._replace(lists=compress(X, dtype, plan.threads, always=not auto))


def is_copied(architecture: Architecture, batch_size: int) -> bool:
    """Whether less goes from core to core if every thread has a copy of the network: its gradient, not what a batch
    makes of it. Not a matter of threads, because the order of sums depends on it."""
    parameters = sum((K + 1) * N for K, N in architecture.layers)
    values = batch_size * (2 * sum(architecture.sizes[1:]) - architecture.sizes[-1])
    return shards_of_a_batch(batch_size) > 1 and parameters <= min(values, MOST_COPIED)


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


def grain_of(N: int, m: int, dtype: np.dtype[Any]) -> int:
    """How many rows' columns are compressed together: so many that the gradients of the first layer's N outputs fill
    most of L1. 784-10-10: lists of 96 entries rather than 24, 7.2 ms rather than 9.9 on one thread."""
    row = -(-N * dtype.itemsize // REGISTER_BYTES) * REGISTER_BYTES
    grain = min(max(L1_BYTES // row // BLOCK, 1), 4) * BLOCK
    return grain if m >= SHARDS * grain else BLOCK


class FullBatch(Training):
    """One step an epoch, on all rows."""

    def __init__(self, architecture: Architecture, state: State, data: Data, m: int, plan: Plan) -> None:
        lists, K = len(data.lists.starts) > 0, architecture.sizes[0]
        grain = grain_of(architecture.sizes[1], m, state.weights[0].dtype)
        parts, block = min(SHARDS, -(-m // grain)), grain if lists else BLOCK
        super().__init__(architecture, state, data, m, plan, min(plan.threads, parts))
        if lists:
            self.data = data._replace(blocks=compress_blocks(data.lists, m, K, block, plan.threads))
        panel, _ = sharing(architecture.sizes[1], self.dtype, self.threads, lists=lists)
        self.network, self.slots = self.pack(panel)
        rows = min(block, m)
        self.shards = shards_of(parts, self.layout.params, self.dtype, grain=grain, block=block)
        self.blocks = [batch_of(self.layout, rows) for _ in range(self.threads)]
        self.scratch = [scratch_of(self.layout, rows, 0) for _ in range(self.threads)]
        self.parts = Parts(False, no_lists(self.dtype), 0)

    def call(self, losses: Array, right: Array, order: Array, first: int, last: int, t: int, threads: int) -> None:
        kernels.train_full_batch(
            t,
            threads,
            self.control,
            self.network,
            self.data,
            self.m,
            first,
            last,
            self.rule(),
            self.optimizer.weight_decay,
            self.memory(self.slots),
            self.blocks[t],
            self.parts,
            self.scratch[t],
            self.shards,
            losses,
            right,
        )


class _Batches(Training):
    """What both ways of mini-batches share."""

    def __init__(self, architecture: Architecture, state: State, data: Data, m: int, plan: Plan, parts: int) -> None:
        super().__init__(architecture, state, data, m, plan, min(plan.threads, parts))
        squares = sum(-(-K // ROWS_SQUARED) for K, _ in architecture.layers)
        self.terms = Terms(float(self.objective.penalty), float(self.objective.divisor), np.zeros(squares))
        self.lists, self.inputs = len(data.lists.starts) > 0, architecture.sizes[0]

    def rows_of_an_epoch(self, losses: Array, order: Array) -> int:
        """In a run that goes on with an epoch they are those that are left of it."""
        return len(order) // max(1, len(losses))

    def columns(self, regions: int) -> Any:
        """Room for a batch's features by columns, if they are lists."""
        if not self.lists:
            return no_lists(self.dtype)
        return batch_room(self.data.lists, self.batch_size, self.inputs, regions)


class MiniBatches(_Batches):
    """Threads share every product of a step, and every layer's weights."""

    def __init__(self, architecture: Architecture, state: State, data: Data, m: int, plan: Plan) -> None:
        super().__init__(architecture, state, data, m, plan, -(-plan.rows_of_a_step(m) // TILE_ROWS))
        panel, by_columns = sharing(architecture.sizes[1], self.dtype, self.threads, lists=self.lists)
        self.network, self.slots = self.pack(panel)
        self.batch = batch_of(self.layout, self.batch_size)
        self.parts = Parts(by_columns, self.columns(self.threads), middle_of(architecture, self.dtype))
        inputs = self.inputs if by_columns and not self.lists else 0
        self.scratch = [scratch_of(self.layout, self.batch_size, inputs) for _ in range(self.threads)]
        self.right = np.zeros(8 * self.threads, np.int64)

    def call(self, losses: Array, right: Array, order: Array, first: int, last: int, t: int, threads: int) -> None:
        kernels.train_minibatches(
            t,
            threads,
            self.control,
            self.network,
            self.data,
            self.rows_of_an_epoch(losses, order),
            order,
            self.batch_size,
            first,
            last,
            self.rule(),
            self.optimizer.weight_decay,
            self.terms,
            self.memory(self.slots),
            self.batch,
            self.parts,
            self.scratch[t],
            self.right,
            losses,
            right,
        )


class Replicas(_Batches):
    """Every thread has a copy of the network, and takes every step with it along the sum of all threads' gradients."""

    def __init__(self, architecture: Architecture, state: State, data: Data, m: int, plan: Plan) -> None:
        parts = shards_of_a_batch(plan.rows_of_a_step(m))
        super().__init__(architecture, state, data, m, plan, parts)
        panel, _ = sharing(architecture.sizes[1], self.dtype, 1, lists=self.lists)
        self.copies = [self.pack(panel) for _ in range(self.threads)]
        self.network, self.slots = self.copies[0]
        self.shards = shards_of(parts, self.layout.params, self.dtype, generations=2)
        self.batch = batch_of(self.layout, self.batch_size)
        self.parts = [Parts(False, self.columns(1), 0) for _ in range(self.threads)]
        self.scratch = [scratch_of(self.layout, self.batch_size, 0) for _ in range(self.threads)]

    def prepare(self, threads: int) -> None:
        """Bring the copies of all but the first thread, which alone may have run, up to date."""
        for network, slots in self.copies[1:threads]:
            network.params[:], network.transposed[:] = self.network.params, self.network.transposed
            for flat, newest in zip(slots, self.slots, strict=True):
                flat[:] = newest

    def call(self, losses: Array, right: Array, order: Array, first: int, last: int, t: int, threads: int) -> None:
        network, slots = self.copies[t]
        kernels.train_replicas(
            t,
            threads,
            self.control,
            network,
            self.data,
            self.rows_of_an_epoch(losses, order),
            order,
            self.batch_size,
            first,
            last,
            self.rule(),
            self.optimizer.weight_decay,
            self.terms,
            self.memory(slots),
            self.batch,
            self.parts[t],
            self.scratch[t],
            self.shards,
            losses,
            right,
        )
