"""The rows that a network is most wrong about."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Mistake(NamedTuple):
    """A row, from 0; its class and the one predicted, with the probability that each was given."""

    row: int
    true: Any
    predicted: Any
    probability_of_true: float
    probability: float


def class_probabilities(outputs: Array) -> Array:
    """(m, N) for N classes: one output of yes or no becomes two."""
    return np.column_stack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs


def positions(argument: str, labels: Array, classes: Array) -> Array:
    """Where each of the labels (m,) is among the classes (N,), which may be of any kind. Raises ValueError."""
    if labels.ndim != 1:
        raise ValueError(f"{argument} has shape {labels.shape}; expected one label for each row.")
    places = {name: place for place, name in enumerate(classes.tolist())}
    for label in labels.tolist():
        if label not in places:
            raise ValueError(f"{argument} holds {label!r}; expected one of the classes {classes.tolist()}.")
    return np.array([places[label] for label in labels.tolist()], np.int64)


def worst_mistakes(probabilities: Array, predictions: Array, y: Array, count: int) -> list[Mistake]:
    """Wrong rows, the least probability for the true class first, at most `count`.

    probabilities: (m, N). predictions, y: (m,) classes.
    """
    wrong = np.flatnonzero(predictions != y)
    of_true = probabilities[wrong, y[wrong].astype(np.int64)]
    of_predicted = probabilities[wrong, predictions[wrong].astype(np.int64)]
    return [
        Mistake(int(wrong[i]), int(y[wrong[i]]), int(predictions[wrong[i]]), float(of_true[i]), float(of_predicted[i]))
        for i in np.lexsort((-of_predicted, of_true))[:count]
    ]


def worst_misses(predictions: Array, y: Array, count: int) -> list[tuple[int, float, float]]:
    """(row, target, prediction) where numbers are predicted, the farthest off first, at most `count`."""
    distance = np.abs(predictions.astype(np.float64) - y)
    return [(int(i), float(y[i]), float(predictions[i])) for i in np.argsort(-distance, kind="stable")[:count]]


def format_mistakes(mistakes: list[Mistake]) -> str:
    """A line for each in aligned columns."""
    lines = ["     row  true  predicted  p(true)  p(predicted)"]
    for m in mistakes:
        shares = f"{_percent(m.probability_of_true):>7}  {_percent(m.probability):>12}"
        lines.append(f"{m.row:8}  {m.true:4}  {m.predicted:9}  {shares}")
    return "\n".join(lines)


def _percent(probability: float) -> str:
    return f"{probability:.1%}" if probability == 0 or probability >= 0.0005 else f"{probability:.0e}"
