"""Rows as images, side by side in one pair of axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
SMALLEST = 16  # features that are taken for an image
LONGEST = 12  # letters above one
GAP, LINE = 0.15, 0.25  # between images, and for a line of text above one, in widths of an image


def image_shape(K: int, shape: tuple[int, int] | None = None) -> tuple[int, int]:
    """(height, width) of the image that a row of K pixels is: square unless `shape` says else. Raises ValueError."""
    height, width = shape or (math.isqrt(K), math.isqrt(K))
    if height * width != K or (shape is None and K < SMALLEST):
        raise ValueError(f"Rows have {K} features; expected a square from {SMALLEST}, or the shape of their images.")
    return height, width


def as_images(X: ArrayLike, shape: tuple[int, int] | None = None) -> Array:
    """(m, height, width) from rows (m, K)."""
    rows = np.asarray(X)
    return rows.reshape(len(rows), *image_shape(rows.shape[1], shape))


def chosen_rows(X: Any, chosen: slice | list[int]) -> Array:
    """Some rows of an array, a table or a sparse matrix (m, K), as an array."""
    if hasattr(X, "tocsr"):
        dense: Array = X.tocsr()[chosen].toarray()
        return dense
    return np.asarray(X)[chosen]


def title_of(label: Any) -> str:
    """A label or a number, as there is room for it above an image."""
    text = f"{label:.4g}" if isinstance(label, float | np.floating) else str(label)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def contrast(images: Array) -> dict[str, Any]:
    """imshow's arguments for grey images, black and white where the least and the greatest number of all are; those of
    bytes where 0 and 255 are."""
    if images.dtype == np.uint8:
        return {"cmap": "gray", "vmin": 0, "vmax": 255}
    least, greatest = (float(extreme(images, initial=0)) for extreme in (np.nanmin, np.nanmax))
    return {"cmap": "gray", "vmin": least, "vmax": greatest if greatest > least else 1.0}


def grid_size(count: int, columns: int, lines: int) -> tuple[float, float]:
    """Inches of `count` images in rows of `columns`, each with so many lines of text above it."""
    columns = min(columns, count)
    return 0.85 * columns * (1 + GAP) + 0.3, 0.85 * math.ceil(count / columns) * (1 + GAP + LINE * lines) + 0.35


def equal_parts(total: int, count: int) -> list[slice]:
    """`total` things in `count` parts, or in one where there are fewer things."""
    count = count if total >= count else 1
    ends = [total * part // count for part in range(count + 1)]
    return [slice(begin, end) for begin, end in itertools.pairwise(ends)]


def draw_grid(ax: Any, images: Array, titles: Sequence[str], columns: int, **how: Any) -> None:
    """Images (m, height, width) in rows of `columns`, a title above each; `how` is imshow's."""
    columns = min(columns, len(images))
    lines = max((title.count("\n") + 1 for title in titles if title), default=0)
    step = 1 + GAP, 1 + GAP + LINE * lines
    for i, (image, title) in enumerate(zip(images, titles, strict=True)):
        left, top = i % columns * step[0], i // columns * step[1] + LINE * lines
        ax.imshow(image, extent=(left, left + 1, top + 1, top), interpolation="nearest", **how)
        ax.text(left + 0.5, top - 0.04, title, ha="center", va="bottom", fontsize=9, linespacing=1.1, parse_math=False)
    ax.set_xlim(-0.05, columns * step[0] - GAP + 0.05)
    ax.set_ylim(math.ceil(len(images) / columns) * step[1] - GAP + 0.05, -0.05)
    ax.set_aspect("equal")
    ax.axis("off")
