"""What kernels work on: data as they take it, and room for what they make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from ..architecture import Architecture
from ..csr import CSR
from ..features import lists_of, no_lists, rows_of
from ..kernels.matrix_unit.products import DEEP, TALL
from ..kernels.network import K_, N_
from ..kernels.panels import STRIP
from ..kernels.sparse import WIDEST
from ..kernels.training.parts import Scratch
from ..kernels.training.rows import Batch, Data
from ..objective import LOSSES, Objective
from ..packing import Layout, aligned

Array = NDArray[Any]
PLAIN = Objective()

# Numbers of strips, see kernels/training/batch_weights.py: 64 KB of float32, which stay in L2 beside a layer's dZ.
STRIPS = 1 << 14


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
        cuts=aligned(2 * B, whole),
        ahead=aligned(0, whole),
    )


def scratch_of(layout: Layout, B: int, inputs: int) -> Scratch:
    """A thread's own, for batches of B rows, of so many inputs."""
    tile = max(STRIP * WIDEST, 8 * layout.lanes, 2 * int(layout.layers[0, K_])) * layout.lanes
    return Scratch(
        tile=aligned(max(tile, layout.room, TALL * DEEP), layout.dtype),
        strips=aligned(max(STRIPS // (B * STRIP), 1) * B * STRIP, layout.dtype),
        packed=aligned(B * layout.widest, layout.dtype),
        inputs=aligned(B * inputs, layout.dtype),
        cuts=np.zeros(2 * B, np.int64),
        words=aligned(layout.words(B), layout.dtype),
    )
