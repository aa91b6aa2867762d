"""The loop around a trainer: epochs and their shuffles, measurements, progress, and pauses in which all is kept."""

from __future__ import annotations

import time
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .architecture import Architecture
from .csr import CSR
from .errors import Diverged
from .history import History
from .kernels.compiling import interrupts
from .progress import Progress
from .trainer import Backend, Plan, Poll, State, Trainer, Unfinished

Array = NDArray[Any]

# Short epochs go to the trainer several at a time, so that starting threads (0.1 ms) costs nothing: as many as fill
# this time, so that progress is seen, and no more row numbers than this.
CHUNK_SECONDS = 0.1
CHUNK_ROWS = 1 << 22


class Keeper(Protocol):
    """Whoever keeps the State while it is trained. It is asked in the main thread, and may raise to end training."""

    def due(self) -> bool:
        """Whether training should pause after the current step."""

    def paused(self, history: History) -> None:
        """Training pauses: the State is as after a whole step."""

    def epoch(self, history: History) -> None:
        """The State is as after a whole epoch, whose figures are history's last."""


class _Paused(Exception):
    """What ends a trainer's run when the keeper asks for a pause."""


def fit_epochs(
    backend: Backend,
    architecture: Architecture,
    state: State,
    data: tuple[Array | CSR, Array],
    validation: tuple[Array | CSR, Array] | None,
    plan: Plan,
    progress: Progress,
    history: History | None = None,
    keeper: Keeper | None = None,
) -> History:
    """Train `state` on data that has been checked until the history has plan.epochs entries. See MLP.fit.

    history: of the run that is resumed, with an epoch that it may have left unfinished; None for a new one.
    """
    if history is None:
        history, state.unfinished = History(), Unfinished()
    check_unfinished(state, plan, len(data[0]))
    state.begin(plan.optimizer)
    with backend.messages(progress.message):
        trainer = backend.Trainer(architecture, state, *data, plan)
        interrupts.hear()
        loop = _Loop(backend, trainer, state, plan, len(data[0]), history, progress, keeper, architecture.classifies)
        try:
            while len(history) < plan.epochs:
                ended = loop.run(1 if validation or keeper else loop.next_epochs())
                if validation or keeper:
                    trainer.finish()
                if ended is not None and validation:
                    figures = backend.evaluate(architecture, state, *validation, plan.threads)
                    _validate(history, *figures, len(validation[0]), architecture)
                loop.record(ended)
                interrupts.hear()
        finally:
            trainer.finish()
    return history


class _Loop:
    """What goes from one run of the trainer to the next. m: rows of an epoch."""

    def __init__(
        self,
        backend: Backend,
        trainer: Trainer,
        state: State,
        plan: Plan,
        m: int,
        history: History,
        progress: Progress,
        keeper: Keeper | None,
        classifies: bool,
    ) -> None:
        self.row_order, self.trainer, self.state, self.plan, self.m = backend.row_order, trainer, state, plan, m
        self.history, self.progress, self.keeper, self.classifies = history, progress, keeper, classifies
        self.batch_size = plan.rows_of_a_step(m)
        self.batches = -(-m // self.batch_size)
        self.began = time.perf_counter() - _last(history.seconds) - state.unfinished.seconds

    def next_epochs(self) -> int:
        """How many epochs to run in one go."""
        seconds = self.history.seconds
        if not seconds or self.state.unfinished.steps:
            return 1
        last = seconds[-1] - _last(seconds[:-1])
        fitting = int(min(CHUNK_SECONDS / max(last, 1e-9), CHUNK_ROWS / self.m))
        return max(1, min(fitting, self.plan.epochs - len(self.history)))

    def run(self, epochs: int) -> tuple[Array, Array] | None:
        """Train for so many epochs, the first of which may have been begun: their losses, summed, and right rows.

        None after a pause, when the epoch is left unfinished, as it is if Diverged is raised.
        """
        state, begun, before = self.state, self.state.unfinished, self.state.steps
        losses, right = np.zeros(epochs), np.zeros(epochs, np.int64)
        losses[0], right[0] = begun.loss, begun.right
        order = None
        if self.plan.batch_size is not None:
            order = self.row_order(self.plan.seed, state.epochs, epochs, self.m)[begun.steps * self.batch_size :]
        try:
            self.trainer.run(losses, right, order, self._poll(losses, right))
        except (_Paused, Diverged) as stopped:
            epoch, steps = divmod(begun.steps + state.steps - before, self.batches)
            if epoch < epochs:
                seconds = time.perf_counter() - self.began - _last(self.history.seconds)
                state.unfinished = Unfinished(steps, float(losses[epoch]), int(right[epoch]), seconds)
                if isinstance(stopped, Diverged):
                    raise
                return None
        state.unfinished = Unfinished()
        return losses, right

    def _poll(self, losses: Array, right: Array) -> Poll:
        begun, done = self.state.unfinished.steps, len(self.history)

        def poll(steps: int) -> None:
            epoch, batch = divmod(begun + steps, self.batches)
            rows = batch * self.batch_size
            running = self._entry(losses[epoch] / rows, right[epoch] / rows) if batch else None
            self.progress.advance((done + epoch) * self.m + rows, running)
            if steps and self.keeper is not None and self.keeper.due():  # a step may take longer than saves are apart
                raise _Paused

        return poll

    def _entry(self, loss: float, accuracy: float) -> History:
        return History([float(loss)], [float(accuracy)] if self.classifies else [])

    def record(self, ended: tuple[Array, Array] | None) -> None:
        """An entry for every epoch that ended; those that ran in one go share its time evenly."""
        if ended is not None:
            before, now = _last(self.history.seconds), time.perf_counter() - self.began
            for epoch, (loss, right) in enumerate(zip(*ended, strict=True)):
                entry = self._entry(loss / self.m, right / self.m)
                self.history.loss += entry.loss
                self.history.accuracy += entry.accuracy
                self.history.seconds.append(before + (now - before) * (epoch + 1) / len(ended[0]))
                self.progress.epoch(self.history)
        if self.keeper is not None:
            (self.keeper.paused if ended is None else self.keeper.epoch)(self.history)


def _last(values: list[float]) -> float:
    return values[-1] if values else 0.0


def check_unfinished(state: State, plan: Plan, m: int) -> None:
    """Raise ValueError if the state was left after more steps of an epoch than one of m rows has."""
    steps, batches = state.unfinished.steps, -(-m // plan.rows_of_a_step(m))
    if steps and steps >= batches:
        raise ValueError(f"Training stopped after {steps} steps of an epoch; expected less than {batches}, its steps.")


def _validate(history: History, loss: float, right: int, rows: int, architecture: Architecture) -> None:
    history.val_loss.append(loss)
    if architecture.classifies:
        history.val_accuracy.append(right / rows)
