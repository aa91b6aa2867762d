"""Runs of many steps inside one kernel in every thread: what all ways of training have in common."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import workers
from ..architecture import Architecture
from ..errors import Diverged
from ..kernels.compiling import interrupts
from ..kernels.network import Network
from ..kernels.optimizers import Memory, Rule
from ..kernels.sync import CONTROL_SIZE, DIVERGED, STEPS
from ..kernels.training.parts import Steps
from ..kernels.training.penalty import ROWS_SQUARED, Terms
from ..kernels.training.rows import Data
from ..optimizers import OPTIMIZERS
from ..pace import keep, recall
from ..packing import Layout, aligned
from ..slicing import SlicedLayout
from ..trainer import Plan, Poll, State
from .sharing import on_matrix_unit

Array = NDArray[Any]

# Multiply-adds of a step, and seconds of several, that are too few for anybody to look up meanwhile.
SHORT_STEP, SHORT_SECONDS = 1 << 22, 0.01


class Training(ABC):
    """Packs the State at the start, runs kernels on it, and unpacks it at the end: see trainer.Trainer.

    m: rows of the data. batch_size: rows of a step. threads: at most so many have something to do. network, slots: the
    packed network, and what the optimizer remembers, which `call` changes.
    """

    # Whether a step has several blocks of rows, so that W is split for the matrix unit once for all, if it is of one
    # layer: there is room for one.
    splits_once = False

    # Whether the State holds what the packed network does.
    is_state = False

    layout: Layout | SlicedLayout
    network: Network
    slots: list[Array]
    coded: Array | None = None  # bytes made of the features, which kernels read by their address

    def __init__(self, architecture: Architecture, state: State, data: Data, m: int, plan: Plan, threads: int) -> None:
        self.architecture, self.state, self.data, self.m, self.threads = architecture, state, data, m, threads
        self.optimizer, self.objective = plan.optimizer, plan.objective
        self.batch_size = plan.rows_of_a_step(m)
        self.dtype = state.weights[0].dtype
        self.none = np.zeros(0, self.dtype)
        self.control = np.zeros(CONTROL_SIZE, np.int64)
        squares = sum(-(-K // ROWS_SQUARED) for K, _ in architecture.layers)
        self.terms = Terms(float(self.objective.penalty), float(self.objective.divisor), np.zeros(squares))
        listed = len(data.lists.starts) > 0
        self.as_bytes, self.thirds = on_matrix_unit(data, architecture, plan, m, self.dtype)
        made = listed, self.as_bytes, self.thirds
        self.kind = type(self), architecture, self.batch_size, self.dtype, self.optimizer.name, *made
        self.pace = recall(self.kind, threads)

    def whole(self, panel: int) -> Layout:
        """Of the network in one. panel: see Layout.first_panel."""
        dropout, seed = self.objective.dropout, self.objective.seed
        dtype, thirds, many = self.dtype, self.thirds, self.splits_once and self.thirds == (0,)
        return Layout(
            self.architecture,
            dtype,
            panel,
            thirds=thirds,
            whole_thirds=many,
            as_bytes=self.as_bytes,
            dropout=dropout,
            seed=seed,
        )

    def pack(self, layout: Layout | SlicedLayout) -> tuple[Network, list[Array]]:
        """A copy of the network, and of what the optimizer remembers, which has this layout from now on."""
        self.layout, state, count = layout, self.state, len(self.state.weights)
        if len(state.slots) != self.optimizer.slots:
            raise ValueError(f"The state has {len(state.slots)} slots; expected {self.optimizer.slots}.")
        self.is_state = True
        slots = [aligned(layout.params, self.dtype) for _ in state.slots]
        for flat, slot in zip(slots, state.slots, strict=True):
            layout.pack(flat, slot[:count], slot[count:])
        return layout.network(state.weights, state.biases), slots

    def unpack(self) -> None:
        """Bring what was learnt into the State."""
        self.is_state = True
        count = len(self.state.weights)
        self.layout.unpack(self.network.params, self.state.weights, self.state.biases)
        for flat, slot in zip(self.slots, self.state.slots, strict=True):
            self.layout.unpack(flat, slot[:count], slot[count:])

    def compile(self) -> None:
        """In the main thread, before any other calls the kernel."""
        self.call(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64), 0, 0, 0, 1)

    @abstractmethod
    def call(self, losses: Array, right: Array, order: Array, first: int, last: int, t: int, threads: int) -> None:
        """Thread t's part of steps first..last. losses, right, order: as for `run`."""

    def steps(self, losses: Array, order: Array, first: int, last: int, slots: list[Array]) -> Steps:
        """As kernels take them. An epoch has the rows that are left of it where a run goes on with it."""
        m = len(order) // max(1, len(losses)) if len(order) > 0 else self.m
        decay = self.optimizer.weight_decay
        return Steps(m, order, self.batch_size, first, last, self._rule(), decay, self.terms, self._memory(slots))

    def _rule(self) -> Rule:
        """The optimizer's numbers."""
        o = self.optimizer
        numbers = o.learning_rate, o.momentum, o.rho, o.beta_1, o.beta_2, o.epsilon, o.scaled_epsilon
        return Rule(OPTIMIZERS.index(o.name), *numbers)

    def _memory(self, slots: list[Array]) -> Memory:
        """The same slots as kernels take them."""
        first, second, *_ = *slots, self.none, self.none
        return Memory(first, second, self.state.steps)

    def prepare(self, threads: int) -> None:
        """What has to be done before so many threads run."""
        return

    def run(self, losses: Array, right: Array, order: Array | None, poll: Poll | None) -> None:
        """See trainer.Trainer."""
        epochs, taken = len(losses), 0
        batches = -(-(self.m if order is None else len(order) // epochs) // self.batch_size)
        restore = self._restorer(losses, right, once=epochs * batches == 1)
        order = np.zeros(0, np.int64) if order is None else order
        try:
            while taken < epochs * batches and not self.control[DIVERGED]:
                threads, steps = self.pace.next()
                begin, last = time.perf_counter(), min(taken + steps, epochs * batches)
                try:
                    looked_after = None if self._is_short(threads, last - taken) else poll
                    self._run(losses, right, order, taken, last, threads, looked_after)
                finally:
                    steps = int(self.control[STEPS])
                    taken += steps
                self.pace.measured(threads, max(steps, 1), time.perf_counter() - begin)
                interrupts.hear()
                if poll is not None:
                    poll(taken)
        finally:
            diverged = bool(self.control[DIVERGED])
            good = self._keep_finite(restore, losses, right, order, taken)
            self.state.steps += good
            self.state.epochs += good // batches
        if diverged or good < taken:
            batch = self.state.unfinished.steps + good % batches + 1
            raise Diverged(self.state.epochs + 1, batch, self.optimizer.learning_rate)

    def _is_short(self, threads: int, steps: int) -> bool:
        """Whether steps end so soon that the calling thread may take part in them, not look after them: a fit of five
        steps of 4-16-3 takes 0.8 ms then, not 1.2. Of a first step nothing but its size is known."""
        if steps == 1 and self.batch_size * sum(K * N for K, N in self.architecture.layers) <= SHORT_STEP:
            return True
        return self.pace.expected(threads, steps) <= SHORT_SECONDS

    def _restorer(self, *sums: Array, once: bool) -> Callable[[], None]:
        """What brings the network, what the optimizer remembers and these sums back to what they are now.

        once: there will be one step, so that the State stays as it is, and is the copy if nothing has been learnt
        since: of 784-512-512 in float64 a step of 32 rows took 24 ms with copies, 20 without.
        """
        network, slots, layout, from_state = self.network, self.slots, self.layout, once and self.is_state
        changing = [*sums] if from_state else [network.params, network.transposed, *slots, *sums]
        before = [array.copy() for array in changing]

        def restore() -> None:
            self.network, self.slots, self.layout = network, slots, layout
            if from_state:
                self.network, self.slots = self.pack(layout)
            for array, saved in zip(changing, before, strict=True):
                array[:] = saved

        return restore

    def _run(
        self, losses: Array, right: Array, order: Array, first: int, last: int, threads: int, poll: Poll | None
    ) -> None:
        """Steps first..last; poll is told how many of all have been taken."""
        self.control[:] = 0
        self.prepare(threads)
        self.is_state = False
        workers.run(
            lambda t: self.call(losses, right, order, first, last, t, threads),
            threads,
            self.control,
            None if poll is None else lambda: poll(first + int(self.control[STEPS])),
        )

    def _keep_finite(self, restore: Callable[[], None], losses: Array, right: Array, order: Array, taken: int) -> int:
        """How many of the steps taken left all weights finite; later ones are undone.

        Mostly it is the last one that did not, but a weight can be infinite for some steps before a loss shows it.
        """
        if self.layout.is_finite(self.network.params):
            return taken

        def repeat(steps: int) -> None:  # only so many steps, which give the same bits
            restore()
            self._run(losses, right, order, 0, steps, self.threads, None)

        good, bad, steps = 0, taken, taken - 1
        while bad - good > 1:
            repeat(steps)
            good, bad = (steps, bad) if self.layout.is_finite(self.network.params) else (good, steps)
            steps = (good + bad) // 2
        repeat(good)
        return good

    def finish(self) -> None:
        """See trainer.Trainer."""
        keep(self.kind, self.threads, self.pace)
        self.unpack()
