"""How good a network is on some rows, in text and in figures."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cpus import thread_count
from ..history import History
from ..mistakes import Mistake, class_probabilities, worst_mistakes
from ..mlp import MLP
from ..recipes import Array, Prepared
from ..report import class_report, confusion_matrix, format_matrix, format_report
from .settings import Settings

TEST_ROWS = ("test", "held-out")  # what rows are called that nothing was learnt from
WIDEST_MATRIX = 40  # classes; a wider matrix would wrap in any terminal


@dataclass(frozen=True)
class Result:
    """How well the trained network does on the rows it is measured on. score: accuracy, or R2 for identity outputs.

    confusion: `confusion_matrix`, None for identity outputs.
    """

    loss: float
    score: float
    predictions: Array
    confusion: NDArray[np.int64] | None


def measure(net: MLP, rows: Prepared, threads: int) -> Result:
    """The network's loss, score and predictions on the rows to measure on."""
    X, y = rows.X_evaluate, rows.y_evaluate
    predictions = net.predict(X, threads=threads)
    confusion = confusion_matrix(y, predictions, classes_of(net)) if net.architecture.classifies else None
    return Result(net.loss(X, y, threads=threads), net.score(X, y, threads=threads), predictions, confusion)


def classes_of(net: MLP) -> int:
    """How many classes a network of one softmax or sigmoid output tells apart."""
    return max(2, net.architecture.sizes[-1])


def mistakes_of(net: MLP, rows: Prepared, predictions: Array, count: int, threads: int) -> list[Mistake]:
    """The worst mistakes among the rows that are measured on, at most `count`."""
    probabilities = class_probabilities(net.predict_proba(rows.X_evaluate, threads=threads))
    return worst_mistakes(probabilities, predictions, rows.y_evaluate, count)


def print_report(net: MLP, rows: Prepared, result: Result) -> None:
    """Score and loss, then confusion matrix and report by class where there are classes."""
    what = rows.evaluated
    score = f"accuracy {result.score:.2%}" if net.architecture.classifies else f"R2 {result.score:.4f}"
    note = "" if what in (*TEST_ROWS, "given") else "; the data has no test rows"
    print(f"\n{what} {score}  ({len(rows.X_evaluate)} {what} rows{note})\n{what} loss {result.loss:.4f}")
    if result.confusion is not None:
        if len(result.confusion) <= WIDEST_MATRIX:
            print(f"\nconfusion matrix (rows: true class, columns: predicted class)\n{format_matrix(result.confusion)}")
        print(f"\n{format_report(class_report(result.confusion))}")


def finite(value: float | None) -> float | None:
    """None for what is no finite number, for JSON has no NaN."""
    return value if value is not None and isfinite(value) else None


def summary(settings: Settings, net: MLP, rows: Prepared, history: History, result: Result) -> dict[str, Any]:
    """The figures of --json: of the rows that were measured on, and the same as of test rows if they are.

    What is not a finite number is None, for JSON has no NaN.
    """
    classifies, tested = net.architecture.classifies, rows.evaluated in TEST_ROWS
    figures = {
        "accuracy" if classifies else "r2": result.score,
        "loss": result.loss,
        "test_accuracy": result.score if classifies and tested else None,
        "test_r2": result.score if tested and not classifies else None,
        "test_loss": result.loss if tested else None,
        "train_accuracy": history.accuracy[-1] if history.accuracy else None,
        "final_loss": history.loss[-1],
        "train_seconds": history.seconds[-1],
    }
    kept = ("recipe", "epochs", "seed", "dtype", "backend", "out")
    return {
        **{name: finite(value) for name, value in figures.items()},
        "evaluated": rows.evaluated,
        "sizes": list(net.architecture.sizes),
        "threads": thread_count(settings.threads),
        **{name: getattr(settings, name) for name in kept},
    }
