"""Training by mini-batches, in one of three ways: threads share every layer, or each has a copy of the network, or some
of its hidden units."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..architecture import Architecture
from ..features import batch_room, no_lists
from ..kernels.simd.vectors import TILE_ROWS
from ..kernels.sparse import WIDEST
from ..kernels.training.minibatches import train_minibatches
from ..kernels.training.parts import Parts
from ..kernels.training.penalty import ROWS_SQUARED
from ..kernels.training.replicas import train_replicas
from ..kernels.training.rows import Data
from ..kernels.training.slices import Slicing, train_slices
from ..packing import aligned
from ..slicing import SlicedLayout, bounds_of, slices_of
from ..trainer import Plan, State
from .memory import batch_of, scratch_of
from .sharing import middle_of, shards_of, shards_of_a_batch, sharing
from .training import Training

Array = NDArray[Any]


class _Batches(Training):
    """What all ways of mini-batches share."""

    def __init__(self, architecture: Architecture, state: State, data: Data, m: int, plan: Plan, parts: int) -> None:
        super().__init__(architecture, state, data, m, plan, min(plan.threads, parts))
        self.lists, self.inputs = len(data.lists.starts) > 0, architecture.sizes[0]

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
        layout = self.whole(panel)
        self.network, self.slots = self.pack(layout)
        self.batch = batch_of(layout, self.batch_size)
        self.parts = Parts(by_columns, self.columns(self.threads), 0, middle_of(architecture, self.dtype))
        inputs = self.inputs if by_columns and not self.lists and not self.as_bytes else 0
        self.scratch = [scratch_of(layout, self.batch_size, inputs) for _ in range(self.threads)]
        self.right = np.zeros(8 * self.threads, np.int64)

    def call(self, losses: Array, right: Array, order: Array, first: int, last: int, t: int, threads: int) -> None:
        train_minibatches(
            t,
            threads,
            self.control,
            self.network,
            self.data,
            self.steps(losses, order, first, last, self.slots),
            self.batch,
            self.parts._replace(regions=threads if self.lists else 1),
            self.scratch[t],
            self.right,
            losses,
            right,
        )


class Replicas(_Batches):
    """Every thread has a copy of the network, and takes every step with it along the sum of all threads' gradients."""

    splits_once = True

    def __init__(self, architecture: Architecture, state: State, data: Data, m: int, plan: Plan) -> None:
        parts = shards_of_a_batch(plan.rows_of_a_step(m))
        super().__init__(architecture, state, data, m, plan, parts)
        panel, _ = sharing(architecture.sizes[1], self.dtype, 1, lists=self.lists)
        layout = self.whole(panel)
        self.copies = [self.pack(layout) for _ in range(self.threads)]
        self.network, self.slots = self.copies[0]
        self.shards = shards_of(parts, layout.params, self.dtype, generations=2)
        self.batch = batch_of(layout, self.batch_size)
        self.parts = [Parts(False, self.columns(1), 1, 0) for _ in range(self.threads)]
        self.scratch = [scratch_of(layout, self.batch_size, 0) for _ in range(self.threads)]

    def prepare(self, threads: int) -> None:
        """Bring the copies of all but the first thread, which alone may have run, up to date."""
        for network, slots in self.copies[1:threads]:
            network.params[:], network.transposed[:] = self.network.params, self.network.transposed
            for flat, newest in zip(slots, self.slots, strict=True):
                flat[:] = newest

    def call(self, losses: Array, right: Array, order: Array, first: int, last: int, t: int, threads: int) -> None:
        network, slots = self.copies[t]
        train_replicas(
            t,
            threads,
            self.control,
            network,
            self.data,
            self.steps(losses, order, first, last, slots),
            self.batch,
            self.parts[t],
            self.scratch[t],
            self.shards,
            losses,
            right,
        )


class Slices(_Batches):
    """Every thread has some slices of the only hidden layer, and the weights into and out of them."""

    def __init__(self, architecture: Architecture, state: State, data: Data, m: int, plan: Plan) -> None:
        K, hidden, N = architecture.sizes
        count = slices_of(hidden, N)
        super().__init__(architecture, state, data, m, plan, count)
        self.panel = WIDEST if self.lists else 2
        whole = self.whole(self.panel)
        bounds = bounds_of(hidden, N, whole.lanes)
        squares = -(-K // ROWS_SQUARED) + -(-int(np.diff(bounds).max()) // ROWS_SQUARED)
        self.terms = self.terms._replace(squares=np.zeros(2 * count * squares))
        even, odd = (Parts(True, self.columns(self.threads), 1, 0) for _ in range(2))
        self.slicing = Slicing(bounds, aligned(2 * count * self.batch_size * N, self.dtype), (even, odd))
        self.network, self.slots = self.pack(self.cut(self.threads))
        self.batch = [batch_of(whole, self.batch_size) for _ in range(self.threads)]
        inputs = 0 if self.lists or self.as_bytes else K
        self.scratch = [scratch_of(whole, self.batch_size, inputs) for _ in range(self.threads)]

    def cut(self, threads: int) -> SlicedLayout:
        """A part of the network for each of so many threads."""
        bounds = self.slicing.bounds
        cuts = bounds[(len(bounds) - 1) * np.arange(threads + 1) // threads]
        return SlicedLayout(
            self.architecture,
            self.dtype,
            self.panel,
            cuts,
            thirds=[layer for layer in self.thirds if layer == 0],
            as_bytes=self.as_bytes,
        )

    def prepare(self, threads: int) -> None:
        """Cut the network anew, if others had it before."""
        if isinstance(self.layout, SlicedLayout) and len(self.layout.parts) != threads:
            self.unpack()
            self.network, self.slots = self.pack(self.cut(threads))

    def call(self, losses: Array, right: Array, order: Array, first: int, last: int, t: int, threads: int) -> None:
        regions, (even, odd) = threads if self.lists else 1, self.slicing.parts
        train_slices(
            t,
            threads,
            self.control,
            self.network,
            self.data,
            self.steps(losses, order, first, last, self.slots),
            self.batch[t],
            self.scratch[t],
            self.slicing._replace(parts=(even._replace(regions=regions), odd._replace(regions=regions))),
            losses,
            right,
        )
