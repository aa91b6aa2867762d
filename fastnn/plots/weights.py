"""The weights of the first layer: what each of its units looks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .display import Display, whole_ticks
from .images import SMALLEST, as_images, draw_grid, equal_parts, grid_size


class WeightsDisplay(Display):
    """W (K, N): an image a unit where a row of K features is an image, else a table of coloured cells.

    units: the columns of W that are drawn.
    """

    def __init__(
        self, W: ArrayLike, units: Sequence[int], *, shape: tuple[int, int] | None = None, columns: int = 8
    ) -> None:
        self.W, self.units, self.shape, self.columns = np.asarray(W), list(units), shape, columns

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, shape: tuple[int, int] | None = None, count: int = 64, ax: Any = None
    ) -> Self:
        """The estimator's first layer, of which `count` units are drawn: those with the largest weights."""
        W = (getattr(estimator, "weights", None) or estimator.coefs_)[0]
        return cls(W, largest_units(W, count), shape=shape).plot(ax)

    @property
    def are_images(self) -> bool:
        K = self.W.shape[0]
        return self.shape is not None or (K >= SMALLEST and math.isqrt(K) ** 2 == K)

    def parts(self, count: int, *, columns: int) -> list[Self]:
        """So many displays instead of this one, for where there may be no room for it."""
        if not self.are_images:
            return [self]
        return [
            type(self)(self.W, self.units[part], shape=self.shape, columns=columns)
            for part in equal_parts(len(self.units), count)
        ]

    def figure_size(self) -> tuple[float, float]:
        return grid_size(len(self.units), self.columns, 1) if self.are_images else self.size

    def draw(self, ax: Any) -> None:
        limit = float(np.quantile(np.abs(self.W), 0.995)) or 1.0
        how = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
        W, names = self.W[:, self.units], [str(unit) for unit in self.units]
        if self.are_images:
            draw_grid(ax, as_images(W.T, self.shape), names, self.columns, **how)
            return
        ax.imshow(W, aspect="auto", interpolation="nearest", **how)
        ax.set(xlabel="unit", ylabel="feature")
        whole_ticks(ax.yaxis)
        ax.set_xticks(range(len(names)), names, fontsize=7, rotation=90 if len(names) > 20 else 0)


def largest_units(W: ArrayLike, count: int) -> list[int]:
    """The `count` columns of W (K, N) with the largest sums of squares, the largest first."""
    with np.errstate(over="ignore"):  # of weights that have grown beyond all bounds
        sizes = np.linalg.norm(np.asarray(W), axis=0)
    return [int(unit) for unit in np.argsort(-sizes, kind="stable")[:count]]
