"""fastnn as people call it: `fit` with everything it does, on the pixels or numbers as they were loaded."""

from __future__ import annotations

import os
import time
from contextlib import redirect_stdout

from benchmarks.workloads import Workload
from fastnn import MLP

FEW_ROWS = 256


class Trainer:
    """See rivals.Trainer."""

    def __init__(self, workload: Workload, dtype: str, threads: int | None) -> None:
        self.workload, self.dtype, self.threads = workload, dtype, threads
        self.X, self.y = workload.load()
        self._fit(self._net(), FEW_ROWS, 1)  # compiles, where nothing is cached: 20 s would pass for a slow first fit
        self.net = self._net()

    def fit(self, epochs: int) -> tuple[float, list[float]]:
        self.net.weights, self.net.biases = self.workload.initial(self.net.dtype.name)
        return self._fit(self.net, len(self.X), epochs)

    def _net(self) -> MLP:
        return MLP(self.workload.sizes, activation=self.workload.activation, dtype=self.dtype)

    def _fit(self, net: MLP, rows: int, epochs: int) -> tuple[float, list[float]]:
        X, y = self.X[:rows], self.y[:rows]
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):  # progress is shown, unseen
            start = time.perf_counter()
            history = net.fit(
                X,
                y,
                epochs=epochs,
                batch_size=self.workload.batch_size,
                optimizer=self.workload.optimizer,
                learning_rate=self.workload.learning_rate,
                threads=self.threads,
            )
            return time.perf_counter() - start, history.loss
