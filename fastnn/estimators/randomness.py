"""The random numbers of an estimator, in the order in which scikit-learn draws them, and kept for the next call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass
class Randomness:
    """generator: drawn from by first weights, the held-out rows, and every epoch's shuffle.

    order: the rows' order in the last epoch, which the next one shuffles. splitting: the generator's state when rows
    were first held out, so that later calls hold out the same. dropout: the seed of its masks.
    """

    generator: np.random.RandomState
    order: Array | None = None
    splitting: Any = None
    dropout: int | None = None

    def next_order(self, m: int, shuffle: bool) -> Array:
        """The order of m rows in the next epoch."""
        if self.order is None or len(self.order) != m:
            self.order = np.arange(m)
        if shuffle:
            permutation = np.arange(m)
            self.generator.shuffle(permutation)
            self.order = self.order[permutation]
        return self.order

    def split_generator(self) -> np.random.RandomState:
        """The generator to hold out rows with."""
        if self.splitting is None:
            self.splitting = self.generator.get_state()
            return self.generator
        again = np.random.RandomState()
        again.set_state(self.splitting)
        return again

    def dropout_seed(self) -> int:
        """Drawn once; masks differ from step to step."""
        if self.dropout is None:
            self.dropout = int(self.generator.randint(2**31))
        return self.dropout

    def __getstate__(self) -> dict[str, Any]:
        """Row numbers in four bytes where they fit."""
        state = dict(vars(self))
        if self.order is not None and len(self.order) < 2**31:
            state["order"] = self.order.astype(np.int32)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self.order is not None:
            self.order = self.order.astype(np.int64)
