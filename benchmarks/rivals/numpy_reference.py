"""Plain NumPy: fastnn/reference.py, step after step."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.workloads import Workload
from fastnn import MLP, reference
from fastnn.optimizers import Optimizer


class Trainer:
    """See rivals.Trainer."""

    def __init__(self, workload: Workload, dtype: str, threads: int | None) -> None:
        self.workload, self.dtype = workload, dtype
        self.X, self.y = workload.load_real(dtype)
        self.architecture = MLP(workload.sizes, activation=workload.activation).architecture
        self.optimizer = Optimizer(workload.optimizer, workload.learning_rate)

    def fit(self, epochs: int) -> tuple[float, list[float]]:
        weights, biases = self.workload.initial(self.dtype)
        rng, m = np.random.default_rng(0), len(self.X)
        B, activations, output = self.workload.batch_size, self.architecture.activations, self.architecture.output
        start, losses, step = time.perf_counter(), [], 0
        state = [[np.zeros_like(P) for _ in range(self.optimizer.slots)] for P in weights + biases]
        for _ in range(epochs):
            order, total = rng.permutation(m) if B else None, 0.0
            for begin in range(0, m, B or m):
                rows = slice(begin, begin + (B or m)) if order is None else order[begin : begin + (B or m)]
                X, y, step = self.X[rows], self.y[rows], step + 1
                total += reference.train_step(X, y, weights, biases, state, step, activations, output, self.optimizer)[
                    0
                ]
            losses.append(total / m)
        return time.perf_counter() - start, losses
