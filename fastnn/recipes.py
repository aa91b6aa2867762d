"""Networks whose results are known, each with its data, its training, and the figures its source reports.

All are trained on MNIST by plain gradient descent over the full batch, with pixels from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]


class Prepared(NamedTuple):
    """Rows to train on, rows to measure on, and what the latter are: "test", "held-out", "validation",
    "training" or "given"."""

    X_train: Array
    y_train: Array
    X_evaluate: Array
    y_evaluate: Array
    evaluated: str


@dataclass(frozen=True)
class Recipe:
    """A network, its data and its training.

    hidden, activation, init, init_biases, learning_rate, epochs: as for `MLP` and `fit`.
    zero: whether the question is "is it a 0?" rather than which digit it is.
    rows: how many of the training rows to use, chosen at random; None for all. held_out: how many of these to measure
    on instead of training on them. figures: what the source reports, by the names that `fastnn.train --json` uses.
    """

    hidden: tuple[int, ...]
    init: str
    learning_rate: float
    epochs: int
    figures: Mapping[str, float]
    activation: str = "relu"
    init_biases: bool = False
    zero: bool = False
    rows: int | None = None
    held_out: int = 0

    def settings(self) -> dict[str, Any]:
        """The recipe as settings of `fastnn.train`; batch_size None is the full batch."""
        names = ("hidden", "activation", "init", "init_biases", "learning_rate", "epochs")
        own = {name: getattr(self, name) for name in names}
        return own | {"output": "sigmoid" if self.zero else "softmax", "optimizer": "sgd", "batch_size": None}

    def prepare(
        self, X_train: Array, y_train: Array, X_test: Array | None, y_test: Array | None, seed: int
    ) -> Prepared:
        """The rows of the data that the recipe trains and measures on.

        Held-out rows are measured on, if there are any; else the test rows; else, without those, the training rows.
        Raises ValueError if there are too few rows.
        """
        y_train, y_test = self.labels(y_train), None if y_test is None else self.labels(y_test)
        X, y, X_held, y_held = hold_out(X_train, y_train, self.held_out, seed, rows=self.rows)
        if self.held_out:
            return Prepared(X, y, X_held, y_held, "held-out")
        if X_test is None or y_test is None:
            return Prepared(X, y, X, y, "training")
        return Prepared(X, y, X_test, y_test, "test")

    def labels(self, y: Array) -> Array:
        """The answers to the recipe's question, from the digits' labels."""
        return np.asarray(y == 0, dtype=np.uint8) if self.zero else y


def hold_out(
    X: Array, y: Array, held_out: int, seed: int, *, rows: int | None = None
) -> tuple[Array, Array, Array, Array]:
    """X and y without `held_out` of their rows, then X and y of only those: a random choice that depends on the seed.

    rows: take so many of the rows altogether; None for all. Copies each chosen row once, and nothing if all are kept.
    Raises ValueError if no row would be left to train on.
    """
    rows = len(X) if rows is None else rows
    if rows > len(X) or held_out >= rows:
        least = max(rows, held_out + 1)
        raise ValueError(f"The data has {len(X)} training rows; expected at least {least}, to hold out {held_out}.")
    if rows == len(X) and held_out == 0:
        return X, y, X[:0], y[:0]
    chosen = np.random.default_rng(seed).permutation(len(X))[:rows]
    held, kept = np.sort(chosen[:held_out]), np.sort(chosen[held_out:])  # in order, as memory is read
    return X[kept], y[kept], X[held], y[held]


RECIPES = {
    "zero-logistic": Recipe(
        hidden=(),
        init="normal:0.01",
        learning_rate=1.0,
        epochs=2000,
        zero=True,
        figures={"final_loss": 0.0251, "test_accuracy": 1 - (33 + 40) / 10000},
    ),
    "zero-sigmoid64": Recipe(
        hidden=(64,),
        activation="sigmoid",
        init="normal:1",
        learning_rate=1.0,
        epochs=2000,
        zero=True,
        figures={"final_loss": 0.0242, "test_accuracy": 1 - (36 + 36) / 10000},
    ),
    "digits-sigmoid64": Recipe(
        hidden=(64,),
        activation="sigmoid",
        init="normal:1",
        learning_rate=1.0,
        epochs=2000,
        figures={"final_loss": 0.2407, "test_accuracy": 0.92},
    ),
    "digits-relu10": Recipe(
        hidden=(10,),
        init="uniform:0.5",
        init_biases=True,
        learning_rate=0.1,
        epochs=500,
        held_out=1000,
        figures={"test_accuracy": 0.864},
    ),
    "digits-relu10-41k": Recipe(
        hidden=(10,),
        init="uniform:0.5",
        init_biases=True,
        learning_rate=0.1,
        epochs=500,
        rows=42000,
        held_out=1000,
        figures={"train_accuracy": 0.85, "test_accuracy": 0.84},
    ),
    "digits-relu10-long": Recipe(
        hidden=(10,),
        init="uniform:1",
        init_biases=True,
        learning_rate=0.25,
        epochs=3000,
        figures={"test_accuracy": 0.90},
    ),
}
