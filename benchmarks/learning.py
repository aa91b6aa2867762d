"""Training with a learning rate that falls in three stages: the settings of a run, and the run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastnn import MLP, load_mnist

HELD_OUT = 10000  # of the training rows, for choosing settings
SPLIT_SEED = 0


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
    """MNIST in memory: the training rows and the test set, or the training rows but for those held out, and these.

    rows: the first so many of the training rows.
    """

    def __init__(self, rows: int | None = None, *, validation: bool = False) -> None:
        X, y, X_test, y_test = load_mnist()
        if validation:
            chosen = np.random.default_rng(SPLIT_SEED).permutation(len(X))
            X, y, X_test, y_test = (part[rows] for rows in (chosen[HELD_OUT:], chosen[:HELD_OUT]) for part in (X, y))
        self.X, self.y, self.X_other, self.y_other = X[:rows], y[:rows], X_test, y_test

    def train(self, settings: Settings, seed: int) -> Learnt:
        """A new network, stage after stage."""
        start = time.perf_counter()
        net = MLP([784, *settings.hidden, 10], seed=seed)
        for learning_rate, epochs in settings.stages:
            net.fit(
                self.X,
                self.y,
                epochs=epochs,
                batch_size=settings.batch_size,
                optimizer=settings.optimizer,
                learning_rate=learning_rate,
                weight_decay=settings.weight_decay,
                seed=seed,
                verbose=False,
            )
        seconds = time.perf_counter() - start
        return Learnt(net.score(self.X_other, self.y_other), seconds)
