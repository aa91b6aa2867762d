"""How good predictions are, class by class: the confusion matrix, and precision, recall and F1 from it.

N is the number of classes. The definitions: van Rijsbergen, Information Retrieval (1979), chapter 7.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class ClassRow(NamedTuple):
    """One class: precision = right / predicted, recall = right / support, f1 = their harmonic mean; 0/0 counts as 0."""

    precision: float
    recall: float
    f1: float
    support: int


def confusion_matrix(y_true: ArrayLike, y_pred: ArrayLike, classes: int) -> NDArray[np.int64]:
    """(N, N) counts: row = true class, column = predicted class.

    y_true, y_pred: (m,) labels from 0 to classes - 1. Raises ValueError for other shapes or labels.
    """
    true, predicted = _labels("y_true", y_true, classes), _labels("y_pred", y_pred, classes)
    if len(true) != len(predicted):
        raise ValueError(f"y_pred has {len(predicted)} labels; expected {len(true)}, as many as y_true.")
    return np.bincount(true * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def _labels(argument: str, labels: ArrayLike, classes: int) -> NDArray[np.int64]:
    given = np.asarray(labels)
    checked = given.astype(np.int64)
    if given.ndim != 1:
        raise ValueError(f"{argument} has shape {given.shape}; expected one label for each row.")
    strange = given[(checked != given) | (checked < 0) | (checked >= classes)]
    if len(strange):
        raise ValueError(f"{argument} holds {strange[0]}; expected labels from 0 to {classes - 1}.")
    return checked


def class_report(matrix: NDArray[np.int64]) -> list[ClassRow]:
    """Every class's figures, from a confusion matrix (N, N)."""
    rows = []
    for label in range(len(matrix)):
        right, support, predicted = int(matrix[label, label]), int(matrix[label].sum()), int(matrix[:, label].sum())
        f1 = _share(2 * right, support + predicted)
        rows.append(ClassRow(_share(right, predicted), _share(right, support), f1, support))
    return rows


class RestRow(NamedTuple):
    """One class against all others: its rows found and missed, and the others' rows taken for it and not."""

    true_positives: int
    false_negatives: int
    false_positives: int
    true_negatives: int


def one_against_rest(matrix: NDArray[np.int64]) -> list[RestRow]:
    """Every class's confusion matrix of two, from the one of all (N, N)."""
    found, support, predicted, m = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0), matrix.sum()
    columns = (found, support - found, predicted - found, m - support - predicted + found)
    return [RestRow(*map(int, row)) for row in zip(*columns, strict=True)]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def format_matrix(matrix: NDArray[np.int64]) -> str:
    """The matrix in aligned columns, a dot where nothing was counted, so that the mistakes stand out."""
    classes = [str(label) for label in range(len(matrix))]
    cells = [[str(count) if count else "." for count in row] for row in matrix.tolist()]
    first = max(len("true"), len(classes[-1]))
    widths = [max(map(len, column)) for column in zip(classes, *cells, strict=True)]
    lines = [_line("true", first, classes, widths)]
    lines += [_line(label, first, row, widths) for label, row in zip(classes, cells, strict=True)]
    return "\n".join(lines)


def _line(head: str, first: int, cells: list[str], widths: list[int]) -> str:
    return f"{head:>{first}} | " + " ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def format_report(rows: list[ClassRow]) -> str:
    """A line for each class in aligned columns."""
    lines = ["class  precision  recall      F1  support"]
    for label, (precision, recall, f1, support) in enumerate(rows):
        lines.append(f"{label:5}  {precision:9.4f}  {recall:6.4f}  {f1:6.4f}  {support:7}")
    return "\n".join(lines)


def format_rest(rows: list[RestRow]) -> str:
    """A line for each class in aligned columns."""
    lines = ["class       TP       FN       FP       TN"]
    lines += [f"{label:5} " + " ".join(f"{count:8}" for count in row) for label, row in enumerate(rows)]
    return "\n".join(lines)
