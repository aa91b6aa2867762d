"""What the libraries are compared on: networks, how they are trained, and the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import MLP, load_mnist

Array = NDArray[Any]
DIGITS, WITHOUT_ZERO, TABLE = "MNIST", "MNIST without a zero", "table 20000x24"


@dataclass(frozen=True)
class Workload:
    """A network and how it is trained on which data.

    batch_size None: an epoch is one iteration on all rows. rows: the first so many of the data, None for all of them.
    floor: fastnn should be at least so many times as fast as the best of its peers.
    """

    name: str
    sizes: tuple[int, ...]
    batch_size: int | None
    optimizer: str  # "sgd" or "adam"
    floor: float
    activation: str = "relu"
    data: str = DIGITS
    rows: int | None = None

    @property
    def learning_rate(self) -> float:
        """Usual for the optimizer; how long a step takes does not depend on it."""
        return {"sgd": 0.1, "adam": 1e-3}[self.optimizer]

    @property
    def unit(self) -> str:
        """What a time is of."""
        return "iteration" if self.batch_size is None else "epoch"

    def initial(self, dtype: str) -> tuple[list[Array], list[Array]]:
        """The weights and biases that every library begins with."""
        net = MLP(self.sizes, activation=self.activation, dtype=dtype)
        return net.weights, net.biases

    def load(self) -> tuple[Array, Array]:
        """X (m, K), uint8 pixels or float32, and labels (m,)."""
        X, y = DATA[self.data]()
        return X[: self.rows], y[: self.rows]

    def load_real(self, dtype: str) -> tuple[Array, Array]:
        """The same with X as floating-point numbers; a pixel p is p / 255."""
        X, y = self.load()
        return (X / X.dtype.type(255) if X.dtype == np.uint8 else X).astype(dtype), y

    def on_rows(self, rows: int) -> Workload:
        """The same on the first rows only."""
        return replace(self, rows=rows)


@cache
def digits() -> tuple[Array, Array]:
    """MNIST's 60000 training digits, of whose pixels 81% are zero."""
    X, y, _, _ = load_mnist()
    return X, y


def digits_without_zero() -> tuple[Array, Array]:
    """The same with every 0 replaced by 1, so that nothing can be skipped."""
    X, y = digits()
    return np.maximum(X, 1), y


@cache
def table() -> tuple[Array, Array]:
    """20000 rows of 24 normal numbers, and which of 8 random linear functions is largest, with noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20000, 24))
    scores = X @ rng.normal(size=(24, 8)) + rng.normal(size=(20000, 8))
    return X.astype(np.float32), scores.argmax(axis=1)


DATA: dict[str, Callable[[], tuple[Array, Array]]] = {DIGITS: digits, WITHOUT_ZERO: digits_without_zero, TABLE: table}

WORKLOADS = [
    Workload("full-10", (784, 10, 10), None, "sgd", 3.5),
    Workload("full-64", (784, 64, 10), None, "sgd", 2.8, "sigmoid"),
    Workload("full-64-dense", (784, 64, 10), None, "sgd", 1.4, "sigmoid", WITHOUT_ZERO),
    Workload("batch-128", (784, 128, 10), 64, "sgd", 2.5),
    Workload("batch-128-dense", (784, 128, 10), 64, "sgd", 1.4, "relu", WITHOUT_ZERO),
    Workload("batch-10", (784, 10, 10), 64, "sgd", 2.8),
    Workload("batch-512-512", (784, 512, 512, 10), 128, "adam", 1.4),
    Workload("table-64", (24, 64, 8), 32, "adam", 1.6, data=TABLE),
    Workload("table-100-100", (24, 100, 100, 8), 200, "adam", 1.8, data=TABLE),
]
BY_NAME = {workload.name: workload for workload in WORKLOADS}


def describe(workload: Workload) -> str:
    """Such as "784-64-10 sigmoid, full batch, SGD, MNIST"."""
    sizes = "-".join(map(str, workload.sizes))
    batch = "full batch" if workload.batch_size is None else f"B={workload.batch_size}"
    rows = "" if workload.rows is None else f", first {workload.rows} rows"
    optimizer = {"sgd": "SGD", "adam": "Adam"}[workload.optimizer]
    return f"{sizes} {workload.activation}, {batch}, {optimizer}, {workload.data}{rows}"
