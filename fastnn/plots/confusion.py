"""The confusion matrix, in colours and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..mistakes import positions
from ..report import confusion_matrix
from .display import Display, whole_ticks
from .images import title_of

Array = NDArray[Any]

MOST_NUMBERS = 20  # classes whose counts there is room for
LARGEST, SMALLEST = 8.0, 4.0  # points of a count; smaller ones could not be read
POINTS, WIDTH = 72, 0.7  # points of an inch, and the width of a digit, with some room, to its height


class ConfusionMatrixDisplay(Display):
    """Counts (N, N): row = true class, column = predicted class. Colours are shares of a row, so mistakes show.

    names: of the classes (N,); without, they are numbers from 0.
    """

    size = (5.6, 5.2)

    def __init__(self, matrix: ArrayLike, names: Sequence[Any] | None = None) -> None:
        self.matrix, self.names = np.asarray(matrix), names

    @classmethod
    def from_predictions(cls, y_true: ArrayLike, y_pred: ArrayLike, *, ax: Any = None) -> Self:
        """Labels (m,): whole numbers from 0, or of any other kind."""
        true, predicted = np.asarray(y_true), np.asarray(y_pred)
        found = np.unique(np.concatenate([true.ravel(), predicted.ravel()]))
        if found.dtype.kind in "biuf" and bool((found.astype(np.uint64) == found).all()):
            return cls(confusion_matrix(true, predicted, int(found.max(initial=0)) + 1)).plot(ax)
        return cls._of_classes(found, true, predicted).plot(ax)

    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike, y: ArrayLike, *, ax: Any = None) -> Self:
        """What the estimator predicts for X (m, K), against y (m,). Its classes are `classes_`, if it has any."""
        predicted, classes = estimator.predict(X), getattr(estimator, "classes_", None)
        if classes is None:
            return cls.from_predictions(y, predicted, ax=ax)
        return cls._of_classes(np.asarray(classes), np.asarray(y), predicted).plot(ax)

    @classmethod
    def _of_classes(cls, classes: Array, y_true: Array, y_pred: Array) -> Self:
        true, predicted = positions("y", y_true, classes), positions("predictions", y_pred, classes)
        return cls(confusion_matrix(true, predicted, len(classes)), classes.tolist())

    def draw(self, ax: Any) -> None:
        N = len(self.matrix)
        shares = self.matrix / np.maximum(1, self.matrix.sum(axis=1, keepdims=True))
        shown = np.sqrt(shares)  # a mistake of 1 % has a tenth of the full colour
        ax.imshow(shown, cmap="Blues", vmin=0, vmax=1)
        cell = min(self.size) * 0.85 * POINTS / max(1, N)
        points = min(LARGEST, cell / (WIDTH * len(str(self.matrix.max(initial=0)))))
        if N <= MOST_NUMBERS and points >= SMALLEST:
            for i, j in np.ndindex(N, N):
                if self.matrix[i, j]:
                    color = "white" if shown[i, j] > 0.55 else "#202020"
                    ax.text(j, i, f"{self.matrix[i, j]}", ha="center", va="center", color=color, fontsize=points)
        if N <= MOST_NUMBERS:
            names = [title_of(name) for name in (range(N) if self.names is None else self.names)]
            ax.set_xticks(range(N), names, rotation=90 if max(map(len, names), default=0) > 3 else 0)
            ax.set_yticks(range(N), names)
        whole_ticks(ax.xaxis, ax.yaxis)
        ax.set(xlabel="predicted class", ylabel="true class")
