"""Predictions, and the loss over a data set."""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import team
from ..addresses import address_of
from ..architecture import Architecture
from ..csr import CSR
from ..features import lists_of, no_lists, rows_of
from ..kernels.network import Network
from ..kernels.training import inference
from ..kernels.training.rows import BLOCK, Batch, Data
from ..objective import LOSSES
from ..packing import Layout
from ..team import NOBODY
from ..trainer import State
from .memory import batch_of, data_of

Array = NDArray[Any]

# Up to so many rows are predicted without packing the weights.
FEW = 16

# Below so many multiply-adds (0.15 ms) a second thread does not pay; below so many (0.6 ms) only where the last call
# ended no longer ago than that: a thread that sleeps may need 0.3 ms to wake up.
WORTH_A_THREAD, WORTH_WAKING, AWAKE_SECONDS = 1 << 23, 1 << 25, 0.5e-3

# Numbers of memory that are kept from call to call, at most.
MOST_KEPT = 1 << 20


@functools.lru_cache(maxsize=64)
def layout_of(architecture: Architecture, dtype: np.dtype[Any]) -> tuple[Layout, list[int]]:
    """The layout, and the bytes of W and b of every layer in turn; once, as it takes longer than predicting a row."""
    return Layout(architecture, dtype), [n * dtype.itemsize for K, N in architecture.layers for n in (K * N, N)]


_kept = threading.local()

# The dtypes for which the kernel for dense features is compiled; to call it for nothing takes 15 us.
_compiled: set[np.dtype[Any]] = set()


@contextmanager
def _room(layout: Layout, state: State, m: int, threads: int) -> Iterator[tuple[Network, list[Batch]]]:
    """The packed network, and a block for each thread; the memory of the last call if that was alike.

    New memory takes longer to get than some thousand rows of a small network to predict. It is nobody else's until the
    call has ended well: one that is interrupted, or comes in between, does not leave or find it in use.
    """
    rows, kept = min(BLOCK, m), getattr(_kept, "room", None)
    _kept.room = None
    if kept is not None and kept[0] is layout and kept[1] >= rows and len(kept[3]) >= threads:
        layout.pack(kept[2].params, state.weights, state.biases)
    else:
        blocks = [batch_of(layout, rows) for _ in range(threads)]
        kept = layout, rows, layout.network(state.weights, state.biases), blocks
    yield kept[2], kept[3]
    if layout.params + len(kept[3]) * kept[1] * layout.block <= MOST_KEPT:
        _kept.room = kept
    _kept.ended = time.perf_counter()


def _threads(architecture: Architecture, m: int, threads: int) -> int:
    """How many of them have something to do that is worth it."""
    work = m * sum(K * N for K, N in architecture.layers)
    awake = time.perf_counter() - getattr(_kept, "ended", -math.inf) < AWAKE_SECONDS
    return min(threads, -(-m // BLOCK)) if work >= (WORTH_A_THREAD if awake else WORTH_WAKING) else 1


def _predict_few(architecture: Architecture, state: State, X: Array, output: str) -> Array:
    """From the weights where they are: packing them would take longer."""
    dtype, m = state.weights[0].dtype, len(X)
    layout, sizes = layout_of(architecture, dtype)
    parameters = [array for layer in zip(state.weights, state.biases, strict=True) for array in layer]
    if [array.nbytes for array in parameters] != sizes:
        raise ValueError("The network's weights or biases have been resized; expected the shapes they were made with.")
    addresses = np.array([address_of(array) for array in parameters], np.int64)
    values, room = np.empty(m * layout.block, dtype), np.empty(layout.room, dtype)
    out = np.empty(m * architecture.sizes[-1], dtype)
    inference.predict_few(layout.layers, addresses, rows_of(X), m, LOSSES.index(output), values, room, out)
    return out.reshape(m, -1)


def predict(
    architecture: Architecture,
    state: State,
    X: Array | CSR,
    output: str,
    threads: int,
    check: Callable[[], object] | None = None,
) -> Array:
    """See trainer.Backend. Memory for one block of rows a thread, besides the result."""
    if len(X) <= FEW and not isinstance(X, CSR):
        if check is not None:
            check()
        return _predict_few(architecture, state, X, output)
    dtype, N, m = state.weights[0].dtype, architecture.sizes[-1], len(X)
    nothing = no_lists(dtype)
    lists = lists_of(X, dtype) if isinstance(X, CSR) else nothing
    none = np.zeros(0, np.int64), nothing.values
    data = Data(rows_of(X), lists, nothing, *none, LOSSES.index(output), 0.0, np.zeros(0))
    out = np.empty(m * N, dtype)
    finite = _run(architecture, state, data, m, threads, out, np.zeros(0), none[0])
    if check is not None and not finite:
        check()
    return out.reshape(m, N)


def evaluate(architecture: Architecture, state: State, X: Array | CSR, Y: Array, threads: int) -> tuple[float, int]:
    """See trainer.Backend."""
    dtype, m = state.weights[0].dtype, len(X)
    data, blocks = data_of(X, Y, architecture, dtype), -(-m // BLOCK)
    losses, right = np.zeros(blocks), np.zeros(blocks, np.int64)
    _run(architecture, state, data, m, threads, np.empty(0, dtype), losses, right)
    return float(losses.sum() / m), int(right.sum())


def _run(
    architecture: Architecture,
    state: State,
    data: Data,
    m: int,
    threads: int,
    out: Array,
    losses: Array,
    right: Array,
) -> bool:
    """The kernel, in as many of so many threads as are worth it. Returns whether features were seen to be finite."""
    dtype, threads = state.weights[0].dtype, _threads(architecture, m, threads)
    with _room(layout_of(architecture, dtype)[0], state, m, threads) as (network, batches):
        finite = np.ones(threads, np.bool_)

        def part(t: int, threads: int, control: Array, m: int = m) -> None:
            inference.predict_or_evaluate(t, threads, control, network, data, m, batches[t], out, finite, losses, right)

        lists = len(data.lists.starts) > 0
        if threads > 1 and (lists or dtype not in _compiled):
            part(0, 1, NOBODY, 0)  # compiles, in the main thread
            if not lists:
                _compiled.add(dtype)
        team.run(part, threads)
    return bool(finite.all())
