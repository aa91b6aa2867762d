"""The confusion matrix, in colours and counts."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..report import confusion_matrix
from .display import Display

MOST_NUMBERS = 20  # classes; the counts of more could not be read


class ConfusionMatrixDisplay(Display):
    """Counts (N, N): row = true class, column = predicted class. Colours are shares of a row, so mistakes show."""

    size = (5.6, 5.2)

    def __init__(self, matrix: ArrayLike) -> None:
        self.matrix = np.asarray(matrix)

    @classmethod
    def from_predictions(cls, y_true: ArrayLike, y_pred: ArrayLike, *, ax: Any = None) -> Self:
        """Labels (m,) from 0."""
        classes = int(max(np.max(y_true), np.max(y_pred))) + 1
        return cls(confusion_matrix(y_true, y_pred, classes)).plot(ax)

    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike, y: ArrayLike, *, ax: Any = None) -> Self:
        """What the estimator predicts for X (m, K), against y (m,)."""
        return cls.from_predictions(y, estimator.predict(X), ax=ax)

    def draw(self, ax: Any) -> None:
        N = len(self.matrix)
        shares = self.matrix / np.maximum(1, self.matrix.sum(axis=1, keepdims=True))
        shown = np.sqrt(shares)  # a mistake of 1 % has a tenth of the full colour
        ax.imshow(shown, cmap="Blues", vmin=0, vmax=1)
        if N <= MOST_NUMBERS:
            for i, j in np.ndindex(N, N):
                if self.matrix[i, j]:
                    color = "white" if shown[i, j] > 0.55 else "#202020"
                    ax.text(j, i, f"{self.matrix[i, j]}", ha="center", va="center", color=color, fontsize=8)
            ax.set_xticks(range(N))
            ax.set_yticks(range(N))
        ax.set(xlabel="predicted class", ylabel="true class")
