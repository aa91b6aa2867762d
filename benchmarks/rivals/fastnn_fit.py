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
        self.workload, self.threads = workload, threads
        self.X, self.y = workload.load()
        self.net = MLP(workload.sizes, activation=workload.activation, dtype=dtype)
        self._fit(FEW_ROWS, 1)  # compiles, where nothing is cached: 20 s, which would pass for a slow first fit

    def fit(self, epochs: int) -> tuple[float, list[float]]:
        return self._fit(len(self.X), epochs)

    def _fit(self, rows: int, epochs: int) -> tuple[float, list[float]]:
        self.net.weights, self.net.biases = self.workload.initial(self.net.dtype.name)
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):  # progress is shown, unseen
            start = time.perf_counter()
            history = self.net.fit(
                self.X[:rows],
                self.y[:rows],
                epochs=epochs,
                batch_size=self.workload.batch_size,
                optimizer=self.workload.optimizer,
                learning_rate=self.workload.learning_rate,
                threads=self.threads,
            )
            return time.perf_counter() - start, history.loss
