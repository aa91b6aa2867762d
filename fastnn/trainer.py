"""What a backend does for `MLP`: the compiled one in compiled/, the one to read and to compare with in plain.py."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .architecture import Architecture
from .csr import CSR
from .objective import Objective
from .optimizers import Optimizer

Array = NDArray[Any]
Poll = Callable[[int], None]  # called now and then with the steps taken since the run began


@dataclass
class Unfinished:
    """An epoch that was stopped before its end. steps: those taken of it; loss, right: sums over their rows."""

    steps: int = 0
    loss: float = 0.0
    right: int = 0
    seconds: float = 0.0


@dataclass
class State:
    """All that training changes. weights (K, N) and biases (N,), changed in place; epochs: those completed.

    slots: what the optimizer named remembers, each shaped as weights + biases; steps: those it has taken.
    unfinished: of the epoch after those completed.
    """

    weights: list[Array]
    biases: list[Array]
    epochs: int = 0
    optimizer: str = ""
    steps: int = 0
    slots: list[list[Array]] = field(default_factory=list)
    unfinished: Unfinished = field(default_factory=Unfinished)

    def copy(self) -> State:
        """With arrays of its own."""
        slots = [[P.copy() for P in slot] for slot in self.slots]
        return replace(
            self,
            weights=[W.copy() for W in self.weights],
            biases=[b.copy() for b in self.biases],
            slots=slots,
            unfinished=replace(self.unfinished),
        )

    def begin(self, optimizer: Optimizer) -> None:
        """Remember nothing of another optimizer; and copy what cannot be written to, as in a file of joblib's."""
        for arrays in (self.weights, self.biases, *self.slots):
            arrays[:] = [P if P.flags.writeable else np.array(P) for P in arrays]
        if self.optimizer != optimizer.name:
            # Named last: kernels write to as many slots as the name says, and memory may not suffice, or Ctrl-C come.
            slots = [[np.zeros_like(P) for P in self.weights + self.biases] for _ in range(optimizer.slots)]
            self.optimizer, self.steps, self.slots = "", 0, slots
            self.optimizer = optimizer.name


@dataclass(frozen=True)
class Plan:
    """How a network is to be trained. batch_size None: all rows in one step, in their own order. sparse: whether zeros
    of the features are left out; "auto" where that is faster."""

    epochs: int
    batch_size: int | None
    optimizer: Optimizer
    seed: int
    threads: int
    sparse: bool | str = "auto"
    objective: Objective = field(default_factory=Objective)

    def rows_of_a_step(self, m: int) -> int:
        """Of a data set of m rows."""
        return min(self.batch_size or m, m)


class Trainer(Protocol):
    """Trains one State on one data set. optimizer: may be replaced by one of the same name between runs."""

    optimizer: Optimizer

    def run(self, losses: Array, right: Array, order: Array | None, poll: Poll | None) -> None:
        """Train for len(losses) epochs, their rows in `order` (epochs * rows,), or None for the full batch.
        Without poll the calling thread takes part, and Ctrl-C is heard up to 50 ms later.

        Adds each epoch's losses, summed, with the objective's penalty for every row, and its right rows to what the
        arrays hold. Raises Diverged, with the state as before the step that it names, or what `poll` raised, as after a
        whole step; an epoch that was cut short does not count.
        """

    def finish(self) -> None:
        """Bring what was learnt into the State."""


class Gradient(Protocol):
    """The objective and its gradient over all rows of one data set."""

    def __call__(self, parameters: list[Array]) -> tuple[float, list[Array]]:
        """Its value at these weights and then biases, and its derivative by each of them, in their shapes."""


class Backend(Protocol):
    """A module with these functions and classes. sample_weight: (m,) float64, not negative, or None. Where a plan's
    batch_size is None there is none, and its objective is the output's own loss and nothing more."""

    def Trainer(
        self,
        architecture: Architecture,
        state: State,
        X: Array | CSR,
        Y: Array,
        plan: Plan,
        sample_weight: Array | None = None,
    ) -> Trainer: ...

    def row_order(self, seed: int, first: int, epochs: int, m: int) -> Array:
        """The rows' order in so many epochs from the first on, one after the other (epochs * m,)."""

    def Gradient(
        self,
        architecture: Architecture,
        X: Array | CSR,
        Y: Array,
        objective: Objective,
        sample_weight: Array | None,
        dtype: np.dtype[Any],
        threads: int,
    ) -> Gradient: ...

    def messages(self, tell: Callable[[str], None]) -> AbstractContextManager[None]:
        """Within it, `tell` is told what takes long, such as compiling."""

    def predict(
        self,
        architecture: Architecture,
        state: State,
        X: Array | CSR,
        output: str,
        threads: int,
        check: Callable[[], object] | None = None,
    ) -> Array:
        """What this output makes of the logits (m, N): probabilities, or the logits themselves for "identity".

        check: of an X that nobody has looked at yet; raises if it is not finite. Called unless that is seen on the way.
        """

    def evaluate(
        self, architecture: Architecture, state: State, X: Array | CSR, Y: Array, threads: int
    ) -> tuple[float, int]:
        """The mean loss, and the number of right rows."""
