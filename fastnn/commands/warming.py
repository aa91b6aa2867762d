"""What `fastnn warmup` does: train and predict on a few rows of every kind, which compiles and keeps the kernels; not
those for lists of more than csr.MOST_SHORT columns, which few need and which would take as long again."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..architecture import ACTIVATIONS, OUTPUTS
from ..backends import backend_of
from ..cpus import thread_count
from ..finite import MANY, all_finite
from ..kernels.compiling import cache
from ..kernels.simd.bits import CHUNK
from ..mlp import DTYPES, MLP
from ..objective import LOSSES, Objective
from ..optimizers import OPTIMIZERS, Optimizer
from ..slicing import LEAST
from ..trainer import Plan
from ..whole_numbers import encode
from .processes import in_processes

ROWS, FEATURES = 200, 20  # more rows than are predicted without packing, and enough for the parts of a batch


def run(given: Mapping[str, Any]) -> None:
    """The command, from its flags."""
    began, folder, jobs = time.perf_counter(), cache.directory(), thread_count(None)
    if folder and jobs > 1:
        list(in_processes(_compile, DTYPES, jobs))  # 75 seconds, not 103
    else:
        list(map(_compile, DTYPES))
    seconds = time.perf_counter() - began
    if "json" in given:
        print(json.dumps({"seconds": round(seconds, 2), "folder": folder and str(folder)}))
    else:
        where = f"in {folder}" if folder else "nowhere, because no folder can be written"
        print(f"The kernels were compiled, or found compiled, in {seconds:.1f} s; they are kept {where}.")


def _compile(dtype: str) -> None:
    _train(dtype)
    _estimate(dtype)
    _operate(np.ones((2, 2), dtype))


def _train(dtype: str) -> None:
    """Mini-batches, small, large and of a hidden layer in slices, and the full batch; features as they are, and without
    their zeros as bytes and as numbers; and numbers into bytes."""
    y = np.arange(ROWS) % 3
    for kind in ("uint8", "float32", "float64"):
        X = np.eye(ROWS, FEATURES, dtype=kind)
        for hidden, batch_size in ((4, 10), (4, ROWS), (4, None), (2 * LEAST, 10)):
            net = MLP([FEATURES, hidden, 3], dtype=dtype)
            net.fit(X, y, epochs=1, batch_size=batch_size, sparse=True, validation=(X, y), verbose=False)
        net.predict(X)
        net.predict(X[:1])
    for kind in ("float32", "float64"):
        all_finite(np.ones(MANY, kind))
        encode(np.ones((ROWS, CHUNK), kind), np.dtype(dtype), 1)


def _estimate(dtype: str) -> None:
    """What estimators use beyond that, which need not be installed: every loss, activation and optimizer, with weights
    of rows, a penalty and dropout; and the gradient over all rows, which is of float64 whatever the network's dtype."""
    backend, weights = backend_of("numba"), np.ones(ROWS)
    for loss, optimizer in zip(LOSSES, map(Optimizer, OPTIMIZERS), strict=True):  # there are as many of them
        output = loss if loss in OUTPUTS else "identity"
        net = MLP([FEATURES, *[3] * len(ACTIVATIONS), 3], activation=ACTIVATIONS, output=output, dtype=dtype)
        net._state.begin(optimizer)
        X, Y = np.eye(ROWS, FEATURES, dtype=dtype), np.ones((ROWS, 3), dtype)
        y = np.arange(ROWS) % 3 if output == "softmax" else Y
        objective = Objective(loss, parameter=0.1, penalty=0.1)
        dropping = replace(objective, dropout=(0.1,) * len(ACTIVATIONS))
        plan = Plan(1, 10, optimizer, seed=0, threads=1, objective=dropping)
        trainer = backend.Trainer(net.architecture, net._state, X, y, plan, weights)
        trainer.run(np.zeros(1), np.zeros(1, np.int64), np.arange(ROWS), None)
        double = y if output == "softmax" else y.astype(np.float64)
        gradient = backend.Gradient(net.architecture, X, double, objective, weights, np.dtype(np.float64), 1)
        gradient([P.astype(np.float64) for P in net.weights + net.biases])


def _operate(x: NDArray[Any]) -> None:
    """Every function of `ops`; products that are small, and such as a matrix unit makes."""
    for square in (x, np.ones((ops.LEAST_ON_UNIT, ops.LEAST_ON_UNIT), x.dtype)):
        ops.matmul_bias(square, square, square[0])
        ops.matmul_bias_backward(square, square, square)
    for name in ("relu", "sigmoid", "tanh", "softmax"):
        getattr(ops, name)(x)
        getattr(ops, f"{name}_backward")(x, x)
    ops.softmax_cross_entropy(x, [0, 1])
    ops.binary_cross_entropy(x, x)
    ops.squared_error(x, x)
