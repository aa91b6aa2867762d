"""Training and prediction by the compiled kernels: allocates what they work on, and runs them in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import workers
from .architecture import OUTPUTS, Architecture
from .compression import compress, nothing_compressed
from .errors import Diverged
from .kernels import cache, inference, training
from .kernels.network import FLOAT32, FLOAT64, N_, UINT8, Rows
from .kernels.optimizers import Rule
from .kernels.simd import TILE_ROWS
from .kernels.steps import BLOCK, STRIP, Buffers, Data, Memory, Shards
from .kernels.sync import DIVERGED, SLOTS, STEPS, STOP
from .optimizers import OPTIMIZERS
from .packing import Layout, aligned
from .trainer import Plan, Poll, State

Array = NDArray[Any]
KINDS = {"uint8": UINT8, "float32": FLOAT32, "float64": FLOAT64}

# Full-batch gradients are summed in this many parts at most, whatever the number of threads.
SHARDS = 16

# Compressing MNIST takes as long as a step saves, or two: 40 ms on two threads, a step 20 ms.
WORTH_COMPRESSING = 4


def rows_of(X: Array) -> Rows:
    """How kernels read X, which `inputs.features` has checked; X must live as long."""
    factor = 1 / 255 if X.dtype == np.uint8 else 1.0
    return Rows(X.ctypes.data, X.strides[0], KINDS[X.dtype.name], factor)


def data_of(X: Array, Y: Array, architecture: Architecture, dtype: np.dtype[Any]) -> Data:
    """X and Y, which `inputs` has checked, as kernels take them: labels or targets, the other empty."""
    softmax = architecture.output == "softmax"
    labels = Y if softmax else np.zeros(0, np.int64)
    targets = np.zeros(0, dtype) if softmax else Y.reshape(-1)
    return Data(rows_of(X), nothing_compressed(dtype), labels, targets, OUTPUTS.index(architecture.output))


def buffers_of(layout: Layout, B: int) -> Buffers:
    """Room for a block of B rows."""
    dtype, whole, N = layout.dtype, np.dtype(np.int64), int(layout.layers[-2, N_])
    return Buffers(
        values=aligned(B * layout.block, dtype),
        gradients=aligned(B * layout.block, dtype),
        numbers=aligned(B, whole),
        labels=aligned(B, whole),
        targets=aligned(B * N, dtype),
        losses=aligned(B, np.dtype(np.float64)),
    )


class Trainer:
    """Whole epochs inside one kernel in every thread; the State is packed at the start and unpacked by `finish`."""

    def __init__(self, architecture: Architecture, state: State, X: Array, Y: Array, plan: Plan) -> None:
        self.state, self.optimizer, self.X, self.m = state, plan.optimizer, X, len(X)
        self.full_batch = plan.batch_size is None
        self.batch_size = min(plan.batch_size or self.m, self.m)
        dtype = state.weights[0].dtype
        self.layout = Layout(architecture, dtype)
        self.network = self.layout.network(state.weights, state.biases)
        self.slots = [aligned(self.layout.params, dtype) for _ in state.slots]
        for flat, slot in zip(self.slots, state.slots, strict=True):
            self.layout.pack(flat, slot[: len(state.weights)], slot[len(state.weights) :])
        self.data = data_of(X, Y, architecture, dtype)
        if self.full_batch and plan.epochs >= WORTH_COMPRESSING:
            self.data = self.data._replace(compressed=compress(X, self.data.rows, dtype, BLOCK, plan.threads))
        self._allocate(plan.threads, dtype)
        self._call(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64), -1, 0, 1)  # compiles, in the main thread

    def _allocate(self, threads: int, dtype: np.dtype[Any]) -> None:
        """Buffers for as many threads as there are shards or tiles of rows to share, at most."""
        parts = min(SHARDS, -(-self.m // BLOCK)) if self.full_batch else 0
        self.threads = min(threads, parts or -(-self.batch_size // TILE_ROWS))
        size = self.layout.params
        self.shards = Shards(aligned(parts * size, dtype), np.zeros(parts), np.zeros(parts, np.int64), parts, size)
        blocks, rows = (self.threads, BLOCK) if self.full_batch else (1, self.batch_size)
        self.buffers = [buffers_of(self.layout, rows) for _ in range(blocks)]
        self.scratch = [aligned(STRIP * 2 * self.layout.lanes, dtype) for _ in range(self.threads)]
        self.right = np.zeros(8 * self.threads, np.int64)
        self._none = np.zeros(0, dtype)
        self.control = np.zeros(SLOTS, np.int64)

    def run(self, epochs: int, order: Array | None, poll: Poll) -> tuple[Array, Array]:
        """See trainer.Trainer."""
        before = [flat.copy() for flat in self._changing()]
        losses, right = np.zeros(epochs), np.zeros(epochs, np.int64)
        order = np.zeros(0, np.int64) if order is None else order
        batches = -(-self.m // self.batch_size)
        try:
            self._run(losses, right, order, -1, poll)
        finally:
            taken, diverged = int(self.control[STEPS]), bool(self.control[DIVERGED])
            good = self._keep_finite(before, order, epochs, taken)
            self.state.steps += good
            self.state.epochs += good // batches
        if diverged or good < taken:
            raise Diverged(self.state.epochs + 1, good % batches + 1, self.optimizer.learning_rate)
        return losses / self.m, right

    def _changing(self) -> list[Array]:
        return [self.network.params, self.network.transposed, *self.slots]

    def _run(self, losses: Array, right: Array, order: Array, limit: int, poll: Poll) -> None:
        self.control[:] = 0
        workers.run(
            lambda t: self._call(losses, right, order, limit, t, self.threads),
            self.threads,
            poll=lambda: poll(int(self.control[STEPS])),
            interrupt=lambda: self.control.__setitem__(STOP, 1),
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
        self._run(np.zeros(epochs), np.zeros(epochs, np.int64), order, steps, lambda steps: None)

    def _call(self, losses: Array, right: Array, order: Array, limit: int, t: int, threads: int) -> None:
        o = self.optimizer
        rule = Rule(OPTIMIZERS.index(o.name), o.learning_rate, o.momentum, o.rho, o.beta_1, o.beta_2, o.epsilon)
        first, second = (*self.slots, self._none, self._none)[:2]
        memory = Memory(first, second, self.state.steps)
        common = rule, o.weight_decay, memory, self.buffers[t if self.full_batch else 0], self.scratch[t]
        if self.full_batch:
            training.train_full_batch(
                t, threads, self.control, self.network, self.data, self.m, limit, *common, self.shards, losses, right
            )
        else:
            training.train_minibatches(
                t,
                threads,
                self.control,
                self.network,
                self.data,
                self.m,
                order,
                self.batch_size,
                limit,
                *common,
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


@contextmanager
def messages(tell: Callable[[str], None]) -> Iterator[None]:
    """See trainer.Backend."""

    told: list[str] = []

    def compiling(name: str) -> None:
        if not told:
            tell("compiling the kernels for this CPU, once: about 15 seconds ...")
        told.append(name)

    cache.listeners.append(compiling)
    try:
        yield
    finally:
        cache.listeners.remove(compiling)


def predict(architecture: Architecture, state: State, X: Array, output: str, threads: int) -> Array:
    """See trainer.Backend. Memory for one block of rows a thread, besides the result."""
    dtype, N = state.weights[0].dtype, architecture.sizes[-1]
    layout = Layout(architecture, dtype)
    network, rows, loss = layout.network(state.weights, state.biases), rows_of(X), OUTPUTS.index(output)
    threads = min(threads, -(-len(X) // BLOCK))
    buffers = [buffers_of(layout, min(BLOCK, len(X))) for _ in range(threads)]
    out = np.empty(len(X) * N, dtype)
    inference.predict(0, 1, network, rows, 0, loss, buffers[0], out)  # compiles, in the main thread
    workers.run(lambda t: inference.predict(t, threads, network, rows, len(X), loss, buffers[t], out), threads)
    return out.reshape(len(X), N)


def evaluate(architecture: Architecture, state: State, X: Array, Y: Array, threads: int) -> tuple[float, int]:
    """See trainer.Backend."""
    dtype = state.weights[0].dtype
    layout = Layout(architecture, dtype)
    network, data = layout.network(state.weights, state.biases), data_of(X, Y, architecture, dtype)
    blocks = -(-len(X) // BLOCK)
    threads = min(threads, blocks)
    buffers = [buffers_of(layout, min(BLOCK, len(X))) for _ in range(threads)]
    losses, right = np.zeros(blocks), np.zeros(blocks, np.int64)
    inference.evaluate(0, 1, network, data, 0, buffers[0], losses, right)  # compiles, in the main thread
    workers.run(lambda t: inference.evaluate(t, threads, network, data, len(X), buffers[t], losses, right), threads)
    return float(losses.sum() / len(X)), int(right.sum())
