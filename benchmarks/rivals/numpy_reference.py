"""Plain NumPy: fastnn/reference.py, step after step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.workloads import Workload
from fastnn import MLP, reference
from fastnn.architecture import Architecture
from fastnn.optimizers import Optimizer

Array = NDArray[Any]


def train(
    architecture: Architecture,
    parameters: tuple[list[Array], list[Array]],
    X: Array,
    y: Array,
    batch_size: int | None,
    optimizer: Optimizer,
) -> Iterator[float]:
    """Every epoch's mean loss, in the order of rows that fastnn takes; ends when nobody asks for another epoch."""
    (weights, biases), m, epoch, step = parameters, len(X), 0, 0
    state = [[np.zeros_like(P) for _ in range(optimizer.slots)] for P in weights + biases]
    activations, output, B = architecture.activations, architecture.output, batch_size or m
    while True:
        order, total = reference.row_order(0, epoch, 1, m) if batch_size else None, 0.0
        for begin in range(0, m, B):
            rows = slice(begin, begin + B) if order is None else order[begin : begin + B]
            step += 1
            loss, _ = reference.train_step(
                X[rows], y[rows], weights, biases, state, step, activations, output, optimizer
            )
            total += loss
        epoch += 1
        yield total / m


class Trainer:
    """See rivals.Trainer."""

    def __init__(self, workload: Workload, dtype: str, threads: int | None) -> None:
        self.workload, self.dtype = workload, dtype
        self.X, self.y = workload.load_real(dtype)
        self.architecture = MLP(workload.sizes, activation=workload.activation).architecture
        self.optimizer = Optimizer(workload.optimizer, workload.learning_rate)

    def fit(self, epochs: int) -> tuple[float, list[float]]:
        start, losses = time.perf_counter(), []
        parameters = self.workload.initial(self.dtype)
        for loss in train(self.architecture, parameters, self.X, self.y, self.workload.batch_size, self.optimizer):
            losses.append(loss)
            if len(losses) == epochs:
                break
        return time.perf_counter() - start, losses
