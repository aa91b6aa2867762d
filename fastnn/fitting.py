"""The loop around a trainer: epochs and their shuffles, measurements, progress."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .architecture import Architecture
from .csr import CSR
from .history import History
from .progress import Progress
from .trainer import Backend, Plan, Poll, State

Array = NDArray[Any]

# Short epochs go to the trainer several at a time, so that starting threads (0.1 ms) costs nothing: as many as fill
# this time, so that progress is seen, and no more row numbers than this.
CHUNK_SECONDS = 0.1
CHUNK_ROWS = 1 << 22


def fit_epochs(
    backend: Backend,
    architecture: Architecture,
    state: State,
    data: tuple[Array | CSR, Array],
    validation: tuple[Array | CSR, Array] | None,
    plan: Plan,
    progress: Progress,
) -> History:
    """Train `state` for plan.epochs more epochs on data that has been checked. See MLP.fit."""
    history, started, m = History(), time.perf_counter(), len(data[0])
    state.begin(plan.optimizer)
    with backend.messages(progress.message):
        trainer = backend.Trainer(architecture, state, *data, plan)
        try:
            while len(history) < plan.epochs:
                count = 1 if validation else _next_epochs(history, plan, m)
                order = None if plan.batch_size is None else _order(state.epochs, count, m, plan.seed)
                losses, right = trainer.run(count, order, _advance(progress, len(history) * m, plan.batch_size or m))
                if validation:
                    trainer.finish()
                    figures = backend.evaluate(architecture, state, *validation, plan.threads)
                    _validate(history, *figures, len(validation[0]), architecture)
                accuracies = right / m if architecture.classifies else None
                _record(history, losses, accuracies, time.perf_counter() - started, progress)
        finally:
            trainer.finish()
    return history


def _advance(progress: Progress, done: int, step_rows: int) -> Poll:
    return lambda steps: progress.advance(done + steps * step_rows)


def _next_epochs(history: History, plan: Plan, m: int) -> int:
    if not history.seconds:
        return 1
    last = history.seconds[-1] - (history.seconds[-2] if len(history) > 1 else 0.0)
    fitting = int(min(CHUNK_SECONDS / max(last, 1e-9), CHUNK_ROWS / m))
    return max(1, min(fitting, plan.epochs - len(history)))


def _order(first: int, epochs: int, m: int, seed: int) -> Array:
    """The rows' order in `epochs` epochs. It depends on the seed and on how many epochs the network has seen, so that
    k epochs and then n - k are the same as n."""
    return np.concatenate([np.random.default_rng((seed, first + epoch)).permutation(m) for epoch in range(epochs)])


def _validate(history: History, loss: float, right: int, rows: int, architecture: Architecture) -> None:
    history.val_loss.append(loss)
    if architecture.classifies:
        history.val_accuracy.append(right / rows)


def _record(history: History, losses: Array, accuracies: Array | None, now: float, progress: Progress) -> None:
    """An entry for every epoch; epochs that ran in one go share its time evenly."""
    before = history.seconds[-1] if history.seconds else 0.0
    for epoch, loss in enumerate(losses):
        history.loss.append(float(loss))
        if accuracies is not None:
            history.accuracy.append(float(accuracies[epoch]))
        history.seconds.append(before + (now - before) * (epoch + 1) / len(losses))
        progress.epoch(history)
