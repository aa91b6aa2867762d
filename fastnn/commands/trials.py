"""Many trainings of the same rows, each in one of a few processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

import numpy as np

from ..bar import Silent
from ..errors import Diverged
from ..history import History
from ..progress import Progress
from ..recipes import Prepared
from .arguments import flag
from .processes import in_processes
from .settings import Settings
from .training import make_initializer, make_network, plan_of

FEW_ROWS = 64  # enough for kernels to be compiled


@dataclass(frozen=True)
class Trial:
    """A training. number: of its combination, whose settings that differ are `choice`."""

    number: int
    choice: dict[str, Any]
    settings: Settings


@dataclass(frozen=True)
class TrialResult:
    """What came of it; an empty history where it diverged. iterations: steps of an epoch."""

    trial: Trial
    history: History
    iterations: int = 1

    def as_dict(self) -> dict[str, Any]:
        """A line of tune.jsonl."""
        lists = {name: [v if isfinite(v) else None for v in values] for name, values in self.history.as_dict().items()}
        settings = self.trial.settings.as_dict()
        return {"choice": choice_dict(self.trial.choice), "seed": settings["seed"], "settings": settings, **lists}


@dataclass
class Score:
    """A combination over its seeds. metric: "val_accuracy", or "val_loss" where nothing is classified.

    values: of the last epoch, one a seed. curves: the metric after every epoch, one a seed. iterations: steps of one.
    """

    choice: dict[str, Any]
    metric: str
    values: list[float] = field(default_factory=list)
    curves: list[list[float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    diverged: int = 0
    iterations: int = 1

    @property
    def name(self) -> str:
        return choice_name(self.choice)

    @property
    def mean(self) -> float:
        return mean(self.values) if self.values else float("nan")

    @property
    def text(self) -> str:
        """Such as "val_accuracy 97.61% ± 0.12 (3 seeds)"."""
        if not self.values:
            return "diverged"
        percent = self.metric == "val_accuracy"
        figures = f"{self.metric} {self.mean:.2%}" if percent else f"{self.metric} {self.mean:.4g}"
        if len(self.values) + self.diverged == 1:
            return figures
        spread = f"{100 * pstdev(self.values):.2f}" if percent else f"{pstdev(self.values):.2g}"
        diverged = f", {self.diverged} diverged" if self.diverged else ""
        return f"{figures} ± {spread} ({len(self.values)} seeds{diverged})"

    @property
    def order(self) -> tuple[float, float, float]:
        """The better, the less: no divergence, then the metric, then the loss."""
        if not self.values:
            return float(self.diverged), np.inf, np.inf
        value = -self.mean if self.metric == "val_accuracy" else self.mean
        return float(self.diverged), value, mean(self.losses)

    def as_dict(self) -> dict[str, Any]:
        value = self.mean if self.values else None
        return {
            "choice": choice_dict(self.choice),
            self.metric: value,
            "values": self.values,
            "diverged": self.diverged,
        }


def choice_dict(choice: dict[str, Any]) -> dict[str, Any]:
    """The choice as JSON has it."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in choice.items()}


def choice_name(choice: dict[str, Any]) -> str:
    """Such as "lr 0.003, hidden 64-32"."""
    return ", ".join(f"{flag(name)[2:]} {_text(value)}" for name, value in choice.items())


def _text(value: Any) -> str:
    if value is None:
        return "full"
    return ("-".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)


def scores_of(results: list[TrialResult]) -> list[Score]:
    """Every combination that has a result, the best first."""
    scores: dict[int, Score] = {}
    classifies = any(result.history.val_accuracy for result in results)
    for result in sorted(results, key=lambda result: (result.trial.number, result.trial.settings.seed)):
        metric = "val_accuracy" if classifies else "val_loss"
        score = scores.setdefault(result.trial.number, Score(result.trial.choice, metric, iterations=result.iterations))
        curve = getattr(result.history, metric)
        if curve and isfinite(curve[-1]):
            score.values.append(curve[-1])
            score.curves.append(curve)
            score.losses.append(result.history.val_loss[-1])
        else:
            score.diverged += 1
    return sorted(scores.values(), key=lambda score: score.order)


def run_trials(trials: list[Trial], shared: Path, jobs: int) -> Iterator[TrialResult]:
    """Each result as soon as it is there. shared: where X, y, X_held and y_held are, as .npy."""
    _warm_up(list({trial.number: trial for trial in trials}.values()), shared)
    yield from in_processes(partial(_run, shared), trials, jobs, shared)


class _Telling(Silent):
    """Says what takes a while."""

    def message(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def _warm_up(trials: list[Trial], shared: Path) -> None:
    """Compile the kernels of all combinations, if need be, before every process would: a step of each."""
    rows = _rows(shared)
    for trial in trials:
        m = max(FEW_ROWS, trial.settings.batch_size or 0)
        few = Prepared(rows.X_train[:m], rows.y_train[:m], rows.X_evaluate[:m], rows.y_evaluate[:m], rows.evaluated)
        _fit(trial.settings.replace(epochs=1), rows, few, _Telling())


def _rows(shared: Path) -> Prepared:
    X, y, X_held, y_held = (np.load(shared / f"{name}.npy", mmap_mode="r") for name in ("X", "y", "X_held", "y_held"))
    return Prepared(X, y, X_held, y_held, "validation")


def _run(shared: Path, trial: Trial) -> TrialResult:
    rows, batch_size = _rows(shared), trial.settings.batch_size
    iterations = 1 if batch_size is None else -(-len(rows.X_train) // batch_size)
    return TrialResult(trial, _fit(trial.settings, rows, rows, Silent()), iterations)


def _fit(settings: Settings, rows: Prepared, used: Prepared, progress: Progress) -> History:
    net = make_network(settings, rows, make_initializer(settings))
    held = used.X_evaluate, used.y_evaluate
    try:
        return net.fit_plan(used.X_train, used.y_train, held, plan_of(settings), lambda rows: progress)
    except Diverged:
        return History()
