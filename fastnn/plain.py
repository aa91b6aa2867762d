"""Training and prediction by the NumPy reference, for `backend="numpy"`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import reference
from .architecture import Architecture
from .csr import CSR
from .errors import Diverged
from .kernels.compiling import interrupts
from .objective import Objective
from .trainer import Plan, Poll, State

Array = NDArray[Any]

# Rows that are predicted together, so that memory stays bounded.
BLOCK = 4096


def _real(X: Array, dtype: np.dtype[Any]) -> Array:
    """Features as the network's dtype; uint8 means x / 255."""
    return X.astype(dtype) / dtype.type(255) if X.dtype == np.uint8 else X.astype(dtype, copy=False)


class Trainer:
    """`reference.train_step`, batch after batch."""

    def __init__(
        self,
        architecture: Architecture,
        state: State,
        X: Array | CSR,
        Y: Array,
        plan: Plan,
        sample_weight: Array | None = None,
    ) -> None:
        self.sample_weight, self.objective = sample_weight, plan.objective
        self.architecture, self.state, self.optimizer = architecture, state, plan.optimizer
        dtype = state.weights[0].dtype
        self.X, self.Y = X if isinstance(X, CSR) else _real(X, dtype), Y
        self.batch_size = plan.rows_of_a_step(len(X))
        parameters = range(len(state.weights + state.biases))
        self.slots = [[slot[p] for slot in state.slots] for p in parameters]

    def run(self, losses: Array, right: Array, order: Array | None, poll: Poll | None) -> None:
        """See trainer.Trainer."""
        rows, steps = len(self.X) if order is None else len(order) // len(losses), 0
        for epoch in range(len(losses)):
            for start in range(0, rows, self.batch_size):
                batch = slice(start, start + self.batch_size)
                chosen = batch if order is None else order[epoch * rows : (epoch + 1) * rows][batch]
                loss, count = self._step(chosen)
                if not np.isfinite(loss):
                    number = self.state.unfinished.steps + start // self.batch_size + 1
                    raise Diverged(self.state.epochs + 1, number, self.optimizer.learning_rate)
                losses[epoch] += loss
                right[epoch] += count
                steps += 1
                self.state.epochs += start + self.batch_size >= rows  # before what may raise
                interrupts.hear()
                if poll is not None:
                    poll(steps)

    def _step(self, rows: Array | slice) -> tuple[float, int]:
        state, a = self.state, self.architecture
        sample_weight = None if self.sample_weight is None else self.sample_weight[rows]
        parameters = state.weights + state.biases
        changing = [*parameters, *(remembered for slot in state.slots for remembered in slot)]
        before = [P.copy() for P in changing]
        with np.errstate(all="ignore"):
            loss, right = reference.train_step(
                _real(self.X[rows], parameters[0].dtype),
                self.Y[rows],
                state.weights,
                state.biases,
                self.slots,
                state.steps + 1,
                a.activations,
                a.output,
                self.optimizer,
                self.objective,
                sample_weight,
            )
        if not all(np.isfinite(P).all() for P in parameters):
            for P, saved in zip(changing, before, strict=True):
                P[...] = saved
            return np.nan, right
        state.steps += int(np.isfinite(loss))
        return loss, right

    def finish(self) -> None:
        """See trainer.Trainer: the State's own arrays have changed all along."""


class Gradient:
    """`reference.loss_and_gradient` of all rows."""

    def __init__(
        self,
        architecture: Architecture,
        X: Array | CSR,
        Y: Array,
        objective: Objective,
        sample_weight: Array | None,
        dtype: np.dtype[Any],
        threads: int,
    ) -> None:
        self.architecture, self.objective, self.sample_weight = architecture, objective, sample_weight
        self.X, self.Y = _real(X[:], dtype), Y

    def __call__(self, parameters: list[Array]) -> tuple[float, list[Array]]:
        """See trainer.Gradient."""
        a, layers = self.architecture, len(parameters) // 2
        with np.errstate(all="ignore"):
            value, dW, db, _ = reference.loss_and_gradient(
                self.X,
                self.Y,
                self.sample_weight,
                parameters[:layers],
                parameters[layers:],
                a.activations,
                a.output,
                self.objective,
            )
        return value, dW + db


def _logits(architecture: Architecture, state: State, X: Array) -> Array:
    real = _real(X, state.weights[0].dtype)
    with np.errstate(all="ignore"):
        return reference.forward(real, state.weights, state.biases, architecture.activations)[-1]


row_order = reference.row_order


def messages(tell: Callable[[str], None]) -> AbstractContextManager[None]:
    """See trainer.Backend: nothing here takes long to begin."""
    return nullcontext()


def predict(
    architecture: Architecture,
    state: State,
    X: Array | CSR,
    output: str,
    threads: int,
    check: Callable[[], object] | None = None,
) -> Array:
    """See trainer.Backend."""
    if check is not None:
        check()
    with np.errstate(all="ignore"):
        logits = (_logits(architecture, state, X[i : i + BLOCK]) for i in range(0, len(X), BLOCK))
        blocks = [reference.OUTPUT[output](Z) for Z in logits]
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def evaluate(architecture: Architecture, state: State, X: Array | CSR, Y: Array, threads: int) -> tuple[float, int]:
    """See trainer.Backend."""
    loss, right = 0.0, 0
    for i in range(0, len(X), BLOCK):
        Z, block = _logits(architecture, state, X[i : i + BLOCK]), Y[i : i + BLOCK]
        loss += float(reference.losses(Z, block, architecture.output).sum())
        right += reference.correct(Z, block, architecture.output)
    return loss / len(X), right
