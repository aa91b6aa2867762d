"""What a metric did over the iterations, setting by setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from .display import COLORS, LINES, OTHERS, Display, whole_ticks

MARKERS = ("o", "s", "^", "D")  # one a kind of line, to tell settings of a single epoch apart

# Settings that have a colour and a name; all others are thin and grey.
MOST_NAMES = 12
MOST_INSIDE = 6  # names among the curves; more stand beside them


class TuningDisplay(Display):
    """curves: a name, such as "lr 0.001", to the metric after every epoch, a list a seed. The best come first.
    iterations: a name to the steps of its epochs, without which epochs are drawn.

    A line is the mean over the seeds, and the band around it goes from the least to the greatest. Only the best
    MOST_NAMES are named.
    """

    size = (8.0, 5.0)

    def __init__(
        self,
        curves: Mapping[str, Sequence[Sequence[float]]],
        metric: str,
        iterations: Mapping[str, int] | None = None,
    ) -> None:
        self.curves, self.metric, self.iterations = curves, metric, iterations

    def draw(self, ax: Any) -> None:
        looks = list(product(zip(LINES, MARKERS, strict=True), COLORS))
        for i, (name, seeds) in enumerate(self.curves.items()):
            values = np.array(seeds)
            ends = np.arange(1, values.shape[1] + 1) * (self.iterations[name] if self.iterations else 1)
            few = values.shape[1] <= 30
            if i >= MOST_NAMES:
                ax.plot(ends, values.mean(axis=0), marker="." if few else None, color=OTHERS, linewidth=0.7, zorder=1)
                continue
            (line, marker), color = looks[i]
            shown = marker if few else None
            ax.plot(ends, values.mean(axis=0), line, color=color, marker=shown, markersize=3, label=name)
            ax.fill_between(ends, values.min(axis=0), values.max(axis=0), color=color, alpha=0.15, linewidth=0)
        percent = self.metric == "val_accuracy"
        ax.set(
            xlabel="iteration" if self.iterations else "epoch",
            ylabel="validation accuracy" if percent else "validation loss",
        )
        whole_ticks(ax.xaxis)
        ax.grid(alpha=0.25)
        if percent:
            ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
        if self.curves:
            where = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if len(self.curves) > MOST_INSIDE else {}
            ax.legend(frameon=False, fontsize=8, title=self._title(), **where)

    def _title(self) -> str | None:
        count = len(self.curves)
        if count > MOST_NAMES:
            return f"the best {MOST_NAMES} of {count}"
        return "best first" if count > 1 else None
