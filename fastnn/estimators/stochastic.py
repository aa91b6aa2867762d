"""Solvers that go by mini-batches: epoch after epoch, until max_iter, or until nothing improves."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from ..architecture import Architecture
from ..backends import backend_of
from ..cpus import thread_count
from ..errors import Diverged
from ..kernels.compiling import interrupts
from ..objective import Objective
from ..optimizers import Optimizer
from ..trainer import Plan, State
from .callbacks import Notifier
from .parameters import optimizer_name
from .rows import HeldOut, Rows
from .schedule import OptimizerState, Schedule
from .warning import warn

Array = NDArray[Any]

AUTO_BATCH = 200  # rows of a batch where batch_size is "auto"

# Of epochs that run in one go: their order is kept, eight bytes a row.
ROWS_AT_ONCE = 200_000

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)


class Epochs:
    """Trains an estimator's network and keeps the estimator's attributes up to date, epoch by epoch."""

    def __init__(
        self,
        estimator: Any,
        architecture: Architecture,
        objective: Objective,
        rows: Rows,
        held_out: HeldOut | None,
        notifier: Notifier,
    ) -> None:
        self.estimator, self.rows, self.held_out, self.notifier = estimator, rows, held_out, notifier
        self.optimizer = optimizer_of(estimator)
        self.memory = memory_of(estimator, self.optimizer)
        self.state = self._resume()
        batch_size = batch_size_of(estimator.batch_size, len(rows.X))
        threads = thread_count(estimator.n_threads)
        plan = Plan(estimator.max_iter, batch_size, self.optimizer, 0, threads, objective=objective)
        backend = backend_of(estimator._backend)
        self.trainer = backend.Trainer(architecture, self.state, rows.X, rows.Y, plan, rows.sample_weight)
        self.best: State | None = None

    def _resume(self) -> State:
        """The network, and what the optimizer remembers if that is of this network's shapes."""
        estimator, memory = self.estimator, self.memory
        name = self.optimizer.name if memory.fits(estimator.coefs_ + estimator.intercepts_) else ""
        state = State(estimator.coefs_, estimator.intercepts_, 0, name, memory.steps, memory.slots)
        state.begin(self.optimizer)
        return state

    def run(self, epochs: int, once: bool) -> None:
        """At most so many epochs. Warns if that was not enough, unless `once`; Ctrl-C ends them with a warning."""
        estimator, stop, memory = self.estimator, False, self.memory
        estimator.n_iter_ = 0
        if not once and memory.schedule.has_ended(memory.learning_rate):  # an earlier fit, which it was too small for
            memory.learning_rate = memory.schedule.initial
        try:
            while not stop and estimator.n_iter_ < epochs:
                interrupts.hear()
                stop = self._some_epochs(epochs - estimator.n_iter_)
                if not stop and not once and estimator.n_iter_ == estimator.max_iter:
                    warn_not_converged(estimator.max_iter)
        except KeyboardInterrupt:
            warn("Training interrupted by user.")
        finally:
            self._bring_home()

    def _epochs_at_once(self, left: int) -> int:
        """How many epochs cannot be the last but for their number, with nothing to be done between them.

        Threads then begin once for all of them, which takes 0.1 ms: a fifth of an epoch of 1800 rows.
        """
        estimator, m = self.estimator, len(self.rows.X)
        if self.held_out or self.notifier.listens or estimator.verbose or self.memory.schedule.kind == "invscaling":
            return 1
        patience = estimator.n_iter_no_change - estimator._no_improvement_count + 1
        return int(max(1, min(left, patience, ROWS_AT_ONCE // m)))

    def _some_epochs(self, left: int) -> bool:
        """At most `left` passes over the rows and what follows them; returns whether to stop."""
        estimator, memory, m = self.estimator, self.memory, len(self.rows.X)
        epochs, before = self._epochs_at_once(left), self.state.epochs
        self.notifier.epoch_begins()
        if self.trainer.optimizer.learning_rate != memory.learning_rate:
            self.trainer.optimizer = replace(self.optimizer, learning_rate=memory.learning_rate)
        order = np.concatenate([estimator._random.next_order(m, estimator.shuffle) for _ in range(epochs)])
        losses, diverged = np.zeros(epochs), False
        try:
            self.trainer.run(losses, np.zeros(epochs, np.int64), order, None)
        except Diverged:
            diverged = True
        finally:
            for loss in losses[: self.state.epochs - before]:
                self._record(float(loss / m))
        if diverged:
            return self._diverged()
        memory.learning_rate = memory.schedule.after_epoch(memory.learning_rate, estimator.t_)
        plateau = self._plateau()
        return self.notifier.epoch_ends(self._fitted_so_far) or plateau

    def _record(self, loss: float) -> None:
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.t_ += len(self.rows.X)
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        if self.held_out is None:
            worse = loss > estimator.best_loss_ - estimator.tol
            estimator.best_loss_ = min(estimator.best_loss_, loss)
        else:
            worse = self._validate(self.held_out)
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if worse else 0

    def _validate(self, held_out: HeldOut) -> bool:
        """Measure on the held-out rows; returns whether that is no improvement. Keeps the best weights."""
        estimator = self.estimator
        self.trainer.finish()
        score, loss = held_out.measure(estimator)
        estimator.validation_scores_.append(score)
        estimator.validation_loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        worse: bool = score < estimator.best_validation_score_ + estimator.tol
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            self.best = copy.deepcopy(self.state)
        return worse

    def _plateau(self) -> bool:
        """Whether to stop because nothing has improved for too long; lowers the rate first where the schedule says."""
        estimator, memory = self.estimator, self.memory
        if estimator._no_improvement_count <= estimator.n_iter_no_change:
            return False
        what = "Training loss" if self.held_out is None else "Validation score"
        text = f"{what} did not improve by more than tol={estimator.tol:f} in {estimator.n_iter_no_change} epochs."
        rate = memory.schedule.after_plateau(memory.learning_rate)
        if rate is not None:
            memory.learning_rate = rate
            estimator._no_improvement_count = 0
        if estimator.verbose:
            print(text, "Stopping." if rate is None else f"Setting the learning rate to {rate:g}.")
        return rate is None

    def _diverged(self) -> bool:
        """Weights are as before the step that did it. Without held-out rows there is nothing worth keeping."""
        if self.held_out is None:
            raise ValueError(NOT_FINITE)
        self.estimator.n_iter_ += 1
        self.estimator.loss_curve_.append(np.nan)
        self.estimator.validation_scores_.append(np.nan)
        self.estimator.validation_loss_curve_.append(np.nan)
        kept = "last finite" if self.best is None else "best"
        warn(
            f"The loss is no longer finite in iteration {self.estimator.n_iter_}; the {kept} weights so far are kept.",
            ConvergenceWarning,
        )
        return True

    def _fitted_so_far(self) -> dict[str, Any]:
        self.trainer.finish()
        return {"coefs_": [W.copy() for W in self.state.weights], "intercepts_": [b.copy() for b in self.state.biases]}

    def _bring_home(self) -> None:
        """Everything learnt into the estimator: the best of it where rows were held out."""
        self.trainer.finish()
        state = self.state if self.best is None else self.best
        self.estimator.coefs_, self.estimator.intercepts_ = state.weights, state.biases
        self.memory.steps, self.memory.slots = state.steps, state.slots


def optimizer_of(estimator: Any) -> Optimizer:
    """The optimizer that the parameters describe."""
    return Optimizer(
        optimizer_name(estimator.solver, estimator.momentum, estimator.nesterovs_momentum),
        float(estimator.learning_rate_init),
        # 1 is allowed here; in float32 this is 1, and in float64 the last number before it.
        momentum=min(float(estimator.momentum), float(np.nextafter(1.0, 0.0))),
        beta_1=float(estimator.beta_1),
        beta_2=float(estimator.beta_2),
        epsilon=float(estimator.epsilon),
        scaled_epsilon=True,
        weight_decay=float(estimator.alpha) if estimator.solver == "adamw" else 0.0,
    )


def memory_of(estimator: Any, optimizer: Optimizer) -> OptimizerState:
    """What earlier calls left, if it is of this optimizer; their learning rate if its parameters are the same."""
    kind = "constant" if estimator.solver == "adam" else estimator.learning_rate
    schedule = Schedule(optimizer.name, kind, float(estimator.learning_rate_init), float(estimator.power_t))
    memory: OptimizerState | None = getattr(estimator, "_optimizer", None)
    if memory is None or memory.schedule.solver != optimizer.name:
        memory = OptimizerState(schedule, schedule.initial)
    elif memory.schedule != schedule:
        memory.schedule, memory.learning_rate = schedule, schedule.initial
    estimator._optimizer = memory
    return memory


def batch_size_of(batch_size: Any, m: int) -> int:
    """Rows of a batch, at most as many as there are."""
    if batch_size == "auto":
        return min(AUTO_BATCH, m)
    if batch_size > m:
        warn(f"batch_size is {batch_size}; it is clipped to the {m} rows there are.")
    return min(int(batch_size), m)


def warn_not_converged(max_iter: int) -> None:
    """Said at the end of max_iter epochs, unless training was stopping anyway."""
    warn(
        f"Stochastic Optimizer: Maximum iterations ({max_iter}) reached and the optimization hasn't converged yet.",
        ConvergenceWarning,
    )
