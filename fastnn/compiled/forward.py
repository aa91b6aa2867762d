"""Predictions, and the loss over a data set."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import workers
from ..architecture import Architecture
from ..csr import CSR
from ..features import lists_of, no_lists, rows_of
from ..kernels import inference
from ..kernels.rows import BLOCK, Data
from ..objective import LOSSES
from ..packing import Layout
from ..trainer import State
from .memory import batch_of, data_of

Array = NDArray[Any]

# Up to so many rows are predicted without packing the weights.
FEW = 16


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
