"""Training with a learning rate that falls in three stages: the settings of a run, and the run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn import MLP, load_mnist

Array = NDArray[Any]
HELD_OUT = 6000  # of the training rows, for choosing settings: a tenth, so that nearly as much is learnt as from all


@dataclass(frozen=True)
class Settings:
    """A network of these hidden layers, and how it is trained."""

    hidden: tuple[int, ...]
    optimizer: str
    learning_rate: float
    batch_size: int
    epochs: int
    weight_decay: float = 0.0

    @property
    def stages(self) -> list[tuple[float, int]]:
        """(learning rate, epochs): most at the full rate, then a fifth at a quarter of it, a fifth at a twentieth."""
        last = max(1, self.epochs // 5)
        stages = [(1.0, self.epochs - 2 * last), (1 / 4, last), (1 / 20, last)]
        return [(share * self.learning_rate, epochs) for share, epochs in stages if epochs > 0]

    def describe(self) -> str:
        """Such as "784-128-10, nesterov 0.2, B=128, 5 epochs"."""
        decay = f", weight decay {self.weight_decay:g}" if self.weight_decay else ""
        sizes = "-".join(map(str, (784, *self.hidden, 10)))
        return f"{sizes}, {self.optimizer} {self.learning_rate:g}{decay}, B={self.batch_size}, {self.epochs} epochs"


class Learnt(NamedTuple):
    """accuracy: the share of the other rows that are right; seconds: of making and training the network."""

    accuracy: float
    seconds: float


class Learner:
    """MNIST in memory. For choosing settings the test set is left alone, and every seed holds out other training rows.

    rows: the first so many of the training rows.
    """

    def __init__(self, rows: int | None = None, *, validation: bool = False) -> None:
        self.X, self.y, self.X_test, self.y_test = load_mnist()
        self.rows, self.validation = rows, validation

    def split(self, seed: int) -> tuple[Array, Array, Array, Array]:
        """X and y to learn from, and other X and y to measure the accuracy on."""
        if not self.validation:
            return self.X[: self.rows], self.y[: self.rows], self.X_test, self.y_test
        order = np.random.default_rng(seed).permutation(len(self.X))
        learnt, other = order[HELD_OUT:][: self.rows], order[:HELD_OUT]
        return self.X[learnt], self.y[learnt], self.X[other], self.y[other]

    def train(self, settings: Settings, seed: int) -> Learnt:
        """A new network, stage after stage."""
        X, y, X_other, y_other = self.split(seed)
        start = time.perf_counter()
        net = MLP([784, *settings.hidden, 10], seed=seed)
        for learning_rate, epochs in settings.stages:
            net.fit(
                X,
                y,
                epochs=epochs,
                batch_size=settings.batch_size,
                optimizer=settings.optimizer,
                learning_rate=learning_rate,
                weight_decay=settings.weight_decay,
                seed=seed,
                verbose=False,
            )
        seconds = time.perf_counter() - start
        return Learnt(net.score(X_other, y_other), seconds)
