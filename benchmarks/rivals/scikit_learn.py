"""scikit-learn's MLPClassifier."""

from __future__ import annotations

import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks.workloads import Workload

ACTIVATIONS = {"relu": "relu", "sigmoid": "logistic"}


class Trainer:
    """See rivals.Trainer. With warm_start the next `fit` begins with the weights that lie in coefs_ by then."""

    def __init__(self, workload: Workload, dtype: str, threads: int | None) -> None:
        self.workload, self.dtype = workload, dtype
        self.X, self.y = workload.load_real(dtype)
        self.model = MLPClassifier(
            workload.sizes[1:-1],
            activation=ACTIVATIONS[workload.activation],
            solver=workload.optimizer,
            alpha=0.0,
            batch_size=workload.batch_size or len(self.X),
            learning_rate_init=workload.learning_rate,
            max_iter=1,
            momentum=0.0,
            nesterovs_momentum=False,
            shuffle=workload.batch_size is not None,
            random_state=0,
            n_iter_no_change=1 << 30,  # all epochs, whatever the loss does
            tol=0.0,
            warm_start=True,
        )
        self._fit()

    def fit(self, epochs: int) -> tuple[float, list[float]]:
        weights, biases = self.workload.initial(self.dtype)
        for mine, initial in zip(self.model.coefs_ + self.model.intercepts_, weights + biases, strict=True):
            np.copyto(mine, initial)
        self.model.set_params(max_iter=epochs)
        start = time.perf_counter()
        self._fit()
        return time.perf_counter() - start, self.model.loss_curve_[-epochs:]

    def _fit(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.fit(self.X, self.y)
