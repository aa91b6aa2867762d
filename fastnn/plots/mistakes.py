"""The rows that a network is most wrong about, with the probabilities it gave."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..checks import integer
from ..mistakes import Mistake, class_probabilities, positions, worst_mistakes
from .display import Display
from .images import as_images, chosen_rows, contrast, draw_grid, equal_parts, grid_size, title_of


class MistakesDisplay(Display):
    """Images (m, height, width), each with its mistake; `columns` in a row."""

    def __init__(self, images: ArrayLike, mistakes: list[Mistake], *, columns: int = 8) -> None:
        self.images, self.mistakes, self.columns = np.asarray(images), mistakes, columns

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        count: int = 24,
        shape: tuple[int, int] | None = None,
        ax: Any = None,
    ) -> Self:
        """The worst `count` of the rows X (m, K) whose class y (m,) the estimator gets wrong. Its classes are
        `classes_`, if it has any, else whole numbers from 0."""
        integer("count", count, least=1)
        probabilities = class_probabilities(np.asarray(estimator.predict_proba(X)))
        classes = np.asarray(getattr(estimator, "classes_", range(probabilities.shape[1])))
        predicted = positions("predictions", np.asarray(estimator.predict(X)), classes)
        true, names = positions("y", np.asarray(y), classes), classes.tolist()
        mistakes = [
            mistake._replace(true=names[mistake.true], predicted=names[mistake.predicted])
            for mistake in worst_mistakes(probabilities, predicted, true, count)
        ]
        return cls(as_images(chosen_rows(X, [mistake.row for mistake in mistakes]), shape), mistakes).plot(ax)

    def parts(self, count: int, *, columns: int) -> list[Self]:
        """So many displays instead of this one, for where there may be no room for it."""
        return [
            type(self)(self.images[part], self.mistakes[part], columns=columns)
            for part in equal_parts(len(self.mistakes), count)
        ]

    def figure_size(self) -> tuple[float, float]:
        return grid_size(max(1, len(self.images)), self.columns, 2)

    def draw(self, ax: Any) -> None:
        if not self.mistakes:
            ax.text(0.5, 0.5, "no mistakes", ha="center", va="center")
            ax.axis("off")
            return
        titles = [
            f"{title_of(m.predicted)}  {m.probability:.0%}\nis {title_of(m.true)}  {m.probability_of_true:.0%}"
            for m in self.mistakes
        ]
        draw_grid(ax, self.images, titles, self.columns, **contrast(self.images))
