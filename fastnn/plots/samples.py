"""Some rows of a data set as images, with their labels."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .display import Display
from .images import as_images, chosen_rows, contrast, draw_grid, equal_parts, grid_size, title_of


class SamplesDisplay(Display):
    """Images (m, height, width) with titles, `columns` in a row."""

    def __init__(self, images: ArrayLike, titles: list[str], *, columns: int = 10) -> None:
        self.images, self.titles, self.columns = np.asarray(images), titles, columns
        if len(titles) == 0:
            raise ValueError("There are no rows; expected at least one.")

    @classmethod
    def from_data(
        cls, X: ArrayLike, y: ArrayLike, *, count: int = 40, shape: tuple[int, int] | None = None, ax: Any = None
    ) -> Self:
        """The first `count` rows of X (m, K), titled with y (m,)."""
        images = as_images(chosen_rows(X, slice(count)), shape)
        return cls(images, [title_of(label) for label in np.asarray(y)[:count]]).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        count: int = 40,
        shape: tuple[int, int] | None = None,
        ax: Any = None,
    ) -> Self:
        """As from_data, and the prediction beside the label where it is another."""
        some = X.tocsr()[:count] if hasattr(X, "tocsr") else X[:count]
        pairs = zip(np.asarray(y)[:count], estimator.predict(some), strict=True)
        titles = [title_of(y) if y == found else f"{title_of(y)} → {title_of(found)}" for y, found in pairs]
        return cls(as_images(chosen_rows(some, slice(count)), shape), titles).plot(ax)

    def parts(self, count: int, *, columns: int) -> list[Self]:
        """So many displays instead of this one, for where there may be no room for it."""
        return [
            type(self)(self.images[part], self.titles[part], columns=columns)
            for part in equal_parts(len(self.images), count)
        ]

    def figure_size(self) -> tuple[float, float]:
        return grid_size(len(self.images), self.columns, 1)

    def draw(self, ax: Any) -> None:
        draw_grid(ax, self.images, self.titles, self.columns, **contrast(self.images))
