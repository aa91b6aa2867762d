"""Training and prediction by the compiled kernels: allocates what they work on, and runs them in threads."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import reference, workers
from .architecture import Architecture
from .csr import CSR
from .errors import Diverged
from .features import batch_room, compress, compress_blocks, lists_of, no_lists, rows_of
from .kernels import cache, inference, training
from .kernels.matmul import STRIP
from .kernels.network import K_, N_
from .kernels.optimizers import Rule
from .kernels.penalty import ROWS_SQUARED, Terms
from .kernels.rows import BLOCK, Batch, Data
from .kernels.simd import REGISTER_BYTES, TILE_ROWS
from .kernels.sparse import WIDEST
from .kernels.steps import Memory, Parts, Scratch, Shards
from .kernels.sync import DIVERGED, SLOTS, STEPS
from .objective import LOSSES, Objective
from .optimizers import OPTIMIZERS, Optimizer
from .pace import Pace
from .packing import Layout, aligned
from .trainer import Plan, Poll, State

Array = NDArray[Any]
PLAIN = Objective()

# Full-batch gradients are summed in this many parts at most, whatever the number of threads.
SHARDS = 16

# The first layer is shared by its columns if the busiest thread has at most so many times its even share of them.
UNEVEN = 1.35

# Up to so many rows are predicted without packing the weights.
FEW = 16

# From this many epochs on leaving out the zeros pays, in mini-batches and in the full batch: finding them in MNIST
# takes 25 ms on two threads; an epoch then takes 50 ms less, a step on all rows 10.
WORTH_COMPRESSING = 2, 4


def data_of(
    X: Array | CSR,
    Y: Array,
    architecture: Architecture,
    dtype: np.dtype[Any],
    objective: Objective = PLAIN,
    sample_weight: Array | None = None,
) -> Data:
    """X and Y, which `inputs` has checked, as kernels take them: labels or targets, the other empty."""
    softmax, nothing, loss = architecture.output == "softmax", no_lists(dtype), objective.loss or architecture.output
    labels = Y if softmax else np.zeros(0, np.int64)
    targets = np.zeros(0, dtype) if softmax else Y.reshape(-1).astype(dtype, copy=False)
    if loss == "sigmoid" and objective.parameter > 0:
        targets = reference.smooth(targets, objective.parameter)
    lists = lists_of(X, dtype) if isinstance(X, CSR) else nothing
    weights = np.zeros(0) if sample_weight is None else sample_weight
    return Data(rows_of(X), lists, nothing, labels, targets, LOSSES.index(loss), float(objective.parameter), weights)


def batch_of(layout: Layout, B: int) -> Batch:
    """Room for B rows."""
    dtype, whole, N = layout.dtype, np.dtype(np.int64), int(layout.layers[-2, N_])
    return Batch(
        values=aligned(B * layout.block, dtype),
        numbers=aligned(B, whole),
        labels=aligned(B, whole),
        targets=aligned(B * N, dtype),
        losses=aligned(B, np.dtype(np.float64)),
        room=aligned(layout.room, dtype),
    )


def scratch_of(layout: Layout, B: int, inputs: int) -> Scratch:
    """A thread's own, for batches of B rows, of so many inputs."""
    return Scratch(
        tile=aligned(max(max(STRIP * WIDEST, 2 * int(layout.layers[0, K_])) * layout.lanes, layout.room), layout.dtype),
        strip=aligned(B * STRIP, layout.dtype),
        packed=aligned(B * layout.widest, layout.dtype),
        inputs=aligned(B * inputs, layout.dtype),
        cuts=np.zeros(2 * B, np.int64),
    )


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


class Trainer:
    """Whole epochs inside one kernel in every thread; the State is packed at the start and unpacked by `finish`."""

    def __init__(
        self,
        architecture: Architecture,
        state: State,
        X: Array | CSR,
        Y: Array,
        plan: Plan,
        sample_weight: Array | None = None,
    ) -> None:
        self.state, self.optimizer, self.objective, self.X, self.m = state, plan.optimizer, plan.objective, X, len(X)
        self.full_batch = plan.batch_size is None
        self.batch_size = min(plan.batch_size or self.m, self.m)
        dtype = state.weights[0].dtype
        self.data = data_of(X, Y, architecture, dtype, plan.objective, sample_weight)
        self._compress(plan, dtype)
        parts = min(SHARDS, -(-self.m // BLOCK)) if self.full_batch else -(-self.batch_size // TILE_ROWS)
        self.threads = min(plan.threads, parts)
        panel, self.by_columns = sharing(
            architecture.sizes[1], dtype, self.threads, lists=len(self.data.lists.starts) > 0
        )
        self.layout = Layout(architecture, dtype, panel, dropout=plan.objective.dropout, seed=plan.objective.seed)
        self.network = self.layout.network(state.weights, state.biases)
        self.slots = [aligned(self.layout.params, dtype) for _ in state.slots]
        for flat, slot in zip(self.slots, state.slots, strict=True):
            self.layout.pack(flat, slot[: len(state.weights)], slot[len(state.weights) :])
        self._allocate(dtype)
        self.pace = Pace(self.threads)
        nothing = np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._call(*nothing, 0, 0, 0, 1)  # compiles, in the main thread

    def _compress(self, plan: Plan, dtype: np.dtype[Any]) -> None:
        """Leave out the zeros where that is asked for, or where it pays."""
        auto, K = plan.sparse == "auto", self.X.shape[1]
        worth = plan.epochs >= WORTH_COMPRESSING[self.full_batch] if auto else bool(plan.sparse)
        if worth and not isinstance(self.X, CSR):
            self.data = self.data._replace(lists=compress(self.X, dtype, plan.threads, always=not auto))
        if self.full_batch and len(self.data.lists.starts) > 0:
            self.data = self.data._replace(blocks=compress_blocks(self.data.lists, self.m, K, BLOCK, plan.threads))

    def _allocate(self, dtype: np.dtype[Any]) -> None:
        """What the kernels work on."""
        parts, size, K = min(SHARDS, -(-self.m // BLOCK)) if self.full_batch else 0, self.layout.params, self.X.shape[1]
        self.shards = Shards(aligned(parts * size, dtype), np.zeros(parts), np.zeros(parts, np.int64), parts, size)
        blocks, rows = (self.threads, min(BLOCK, self.m)) if self.full_batch else (1, self.batch_size)
        self.blocks = [batch_of(self.layout, rows) for _ in range(blocks)]
        lists, by_columns = len(self.data.lists.starts) > 0, self.by_columns and not self.full_batch
        columns = (
            batch_room(self.data.lists, rows, K, self.threads) if lists and not self.full_batch else no_lists(dtype)
        )
        self.parts = Parts(by_columns, columns)
        inputs = K if by_columns and not lists else 0
        self.scratch = [scratch_of(self.layout, rows, inputs) for _ in range(self.threads)]
        self.right = np.zeros(8 * self.threads, np.int64)
        self.none = np.zeros(0, dtype)
        squares = sum(-(-K // ROWS_SQUARED) for K in self.layout.layers[:-1, K_])
        self.terms = Terms(float(self.objective.penalty), float(self.objective.divisor), np.zeros(squares))
        self.control = np.zeros(SLOTS, np.int64)

    def run(self, losses: Array, right: Array, order: Array | None, poll: Poll | None) -> None:
        """See trainer.Trainer."""
        before, epochs, taken = [flat.copy() for flat in self._changing()], len(losses), 0
        batches = -(-(self.m if order is None else len(order) // epochs) // self.batch_size)
        order = np.zeros(0, np.int64) if order is None else order
        try:
            while taken < epochs * batches and not self.control[DIVERGED]:
                threads, steps = self.pace.next()
                begin, last = time.perf_counter(), min(taken + steps, epochs * batches)
                try:
                    self._run(losses, right, order, taken, last, threads, poll)
                finally:
                    steps = int(self.control[STEPS])
                    taken += steps
                self.pace.measured(threads, max(steps, 1), time.perf_counter() - begin)
                if poll is not None:
                    poll(taken)
        finally:
            diverged = bool(self.control[DIVERGED])
            good = self._keep_finite(before, order, epochs, taken)
            self.state.steps += good
            self.state.epochs += good // batches
        if diverged or good < taken:
            batch = self.state.unfinished.steps + good % batches + 1
            raise Diverged(self.state.epochs + 1, batch, self.optimizer.learning_rate)

    def _changing(self) -> list[Array]:
        return [self.network.params, self.network.transposed, *self.slots]

    def _run(
        self, losses: Array, right: Array, order: Array, first: int, last: int, threads: int, poll: Poll | None
    ) -> None:
        """Steps first..last; poll is told how many of all have been taken."""
        self.control[:] = 0
        workers.run(
            lambda t: self._call(losses, right, order, first, last, t, threads),
            threads,
            self.control,
            None if poll is None else lambda: poll(first + int(self.control[STEPS])),
        )

    def _keep_finite(self, before: list[Array], order: Array, epochs: int, taken: int) -> int:
        """How many of the steps taken left all weights finite; later ones are undone.

        Mostly it is the last one that did not, but a weight can be infinite for some steps before a loss shows it.
        """
        if self.layout.is_finite(self.network.params):
            return taken
        good, bad, steps = 0, taken, taken - 1
        while bad - good > 1:
            self._repeat(before, order, epochs, steps)
            good, bad = (steps, bad) if self.layout.is_finite(self.network.params) else (good, steps)
            steps = (good + bad) // 2
        self._repeat(before, order, epochs, good)
        return good

    def _repeat(self, before: list[Array], order: Array, epochs: int, steps: int) -> None:
        """This run once more, but only so many steps of it, which give the same bits."""
        for flat, saved in zip(self._changing(), before, strict=True):
            flat[:] = saved
        self._run(np.zeros(epochs), np.zeros(epochs, np.int64), order, 0, steps, self.threads, None)

    def _call(self, losses: Array, right: Array, order: Array, first: int, last: int, t: int, threads: int) -> None:
        o = self.optimizer
        numbers = o.learning_rate, o.momentum, o.rho, o.beta_1, o.beta_2, o.epsilon, o.scaled_epsilon
        rule = Rule(OPTIMIZERS.index(o.name), *numbers)
        slots = (*self.slots, self.none, self.none)
        memory = Memory(slots[0], slots[1], self.state.steps)
        room = memory, self.blocks[t if self.full_batch else 0], self.parts, self.scratch[t]
        if self.full_batch:
            training.train_full_batch(
                t,
                threads,
                self.control,
                self.network,
                self.data,
                self.m,
                first,
                last,
                rule,
                o.weight_decay,
                *room,
                self.shards,
                losses,
                right,
            )
        else:
            training.train_minibatches(
                t,
                threads,
                self.control,
                self.network,
                self.data,
                len(order) // max(1, len(losses)),
                order,
                self.batch_size,
                first,
                last,
                rule,
                o.weight_decay,
                self.terms,
                *room,
                self.right,
                losses,
                right,
            )

    def finish(self) -> None:
        """See trainer.Trainer."""
        count = len(self.state.weights)
        self.layout.unpack(self.network.params, self.state.weights, self.state.biases)
        for flat, slot in zip(self.slots, self.state.slots, strict=True):
            self.layout.unpack(flat, slot[:count], slot[count:])


class Gradient:
    """The kernels of full-batch training without its step: gradients of fixed shards, summed in their order."""

    def __init__(
        self,
        architecture: Architecture,
        X: Array | CSR,
        Y: Array,
        objective: Objective,
        sample_weight: Array | None,
        dtype: np.dtype[Any],
        threads: int,
    ) -> None:
        shapes = [*architecture.layers, *((N,) for _, N in architecture.layers)]
        parameters, self.count = [np.zeros(shape, dtype) for shape in shapes], len(architecture.layers)
        state = State(parameters[: self.count], parameters[self.count :])
        plan = Plan(WORTH_COMPRESSING[1], None, Optimizer("sgd"), 0, threads, objective=objective)
        self.trainer = Trainer(architecture, state, X, Y, plan, sample_weight)
        self.out = aligned(self.trainer.layout.params, dtype)
        self.total = float(len(X)) if sample_weight is None else float(sample_weight.sum())
        self._call(0, 0, 1)  # compiles, in the main thread

    def __call__(self, parameters: list[Array]) -> tuple[float, list[Array]]:
        """See trainer.Gradient."""
        trainer, penalty = self.trainer, self.trainer.objective.penalty
        weights, biases = parameters[: self.count], parameters[self.count :]
        trainer.layout.pack(trainer.network.params, weights, biases)
        trainer.layout.pack_transposed(trainer.network.transposed, weights)
        trainer.control[:] = 0
        workers.run(lambda t: self._call(trainer.m, t, trainer.threads), trainer.threads, trainer.control)
        value = trainer.shards.losses.sum() / self.total / trainer.objective.divisor
        gradient = [np.empty_like(P, dtype=self.out.dtype) for P in parameters]
        trainer.layout.unpack(self.out, gradient[: self.count], gradient[self.count :])
        if penalty:
            value += penalty / 2 * sum(float((W**2).sum()) for W in weights) / self.total
            for dW, W in zip(gradient, weights, strict=False):
                dW += penalty / self.total * W
        return float(value), gradient

    def _call(self, m: int, t: int, threads: int) -> None:
        trainer = self.trainer
        room = trainer.blocks[t], trainer.scratch[t], trainer.shards._replace(parts=trainer.shards.parts if m else 0)
        training.gradient(
            t, threads, trainer.control, trainer.network, trainer.data, m, 1.0 / self.total, *room, self.out
        )


@contextmanager
def messages(tell: Callable[[str], None]) -> Iterator[None]:
    """See trainer.Backend."""

    told: list[str] = []

    def compiling(name: str) -> None:
        if not told:
            tell("compiling the kernels for this CPU, once: about 12 seconds ...")
        told.append(name)

    cache.listeners.append(compiling)
    try:
        yield
    finally:
        cache.listeners.remove(compiling)


@functools.lru_cache(maxsize=64)
def layout_of(architecture: Architecture, dtype: np.dtype[Any]) -> tuple[Layout, list[int]]:
    """The layout, and the bytes of W and b of every layer in turn; once, as it takes longer than predicting a row."""
    return Layout(architecture, dtype), [n * dtype.itemsize for K, N in architecture.layers for n in (K * N, N)]


def _predict_few(architecture: Architecture, state: State, X: Array, output: str) -> Array:
    """From the weights where they are: packing them would take longer."""
    dtype, m = state.weights[0].dtype, len(X)
    layout, sizes = layout_of(architecture, dtype)
    parameters = [array for layer in zip(state.weights, state.biases, strict=True) for array in layer]
    if [array.nbytes for array in parameters] != sizes:
        raise ValueError("The network's weights or biases have been resized; expected the shapes they were made with.")
    addresses = np.array([array.__array_interface__["data"][0] for array in parameters], np.int64)
    values, room = np.empty(m * layout.block, dtype), np.empty(layout.room, dtype)
    out = np.empty(m * architecture.sizes[-1], dtype)
    inference.predict_few(layout.layers, addresses, rows_of(X), m, LOSSES.index(output), values, room, out)
    return out.reshape(m, -1)


def predict(architecture: Architecture, state: State, X: Array | CSR, output: str, threads: int) -> Array:
    """See trainer.Backend. Memory for one block of rows a thread, besides the result."""
    if len(X) <= FEW and not isinstance(X, CSR):
        return _predict_few(architecture, state, X, output)
    dtype, N, m = state.weights[0].dtype, architecture.sizes[-1], len(X)
    layout, nothing = Layout(architecture, dtype), no_lists(dtype)
    network = layout.network(state.weights, state.biases)
    lists = lists_of(X, dtype) if isinstance(X, CSR) else nothing
    none = np.zeros(0, np.int64), nothing.values
    data = Data(rows_of(X), lists, nothing, *none, LOSSES.index(output), 0.0, np.zeros(0))
    threads = min(threads, -(-m // BLOCK))
    blocks = [batch_of(layout, min(BLOCK, m)) for _ in range(threads)]
    out = np.empty(m * N, dtype)
    inference.predict(0, 1, network, data, 0, blocks[0], out)  # compiles, in the main thread
    workers.run(lambda t: inference.predict(t, threads, network, data, m, blocks[t], out), threads)
    return out.reshape(m, N)


def evaluate(architecture: Architecture, state: State, X: Array | CSR, Y: Array, threads: int) -> tuple[float, int]:
    """See trainer.Backend."""
    dtype, m = state.weights[0].dtype, len(X)
    layout = Layout(architecture, dtype)
    network, data = layout.network(state.weights, state.biases), data_of(X, Y, architecture, dtype)
    parts = -(-m // BLOCK)
    threads = min(threads, parts)
    blocks = [batch_of(layout, min(BLOCK, m)) for _ in range(threads)]
    losses, right = np.zeros(parts), np.zeros(parts, np.int64)
    inference.evaluate(0, 1, network, data, 0, blocks[0], losses, right)  # compiles, in the main thread
    workers.run(lambda t: inference.evaluate(t, threads, network, data, m, blocks[t], losses, right), threads)
    return float(losses.sum() / m), int(right.sum())
