"""What a metric did over the iterations, setting by setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from .display import COLORS, LINES, Display

MOST_NAMES = 12


class TuningDisplay(Display):
    """curves: a name, such as "lr 0.001", to the metric after every epoch, a list a seed. The best come first.
    iterations: a name to the steps of its epochs, without which epochs are drawn.

    A line is the mean over the seeds, and the band around it goes from the least to the greatest.
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
        for i, ((line, color), (name, seeds)) in enumerate(
            zip(product(LINES, COLORS), self.curves.items(), strict=False)
        ):
            values = np.array(seeds)
            ends = np.arange(1, values.shape[1] + 1) * (self.iterations[name] if self.iterations else 1)
            label = name if i < MOST_NAMES else None
            marker = "o" if values.shape[1] <= 30 else None
            ax.plot(ends, values.mean(axis=0), line, color=color, marker=marker, markersize=3, label=label)
            ax.fill_between(ends, values.min(axis=0), values.max(axis=0), color=color, alpha=0.15, linewidth=0)
        percent = self.metric == "val_accuracy"
        ax.set(
            xlabel="iteration" if self.iterations else "epoch",
            ylabel="validation accuracy" if percent else "validation loss",
        )
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.25)
        if percent:
            ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
        if self.curves:
            ax.legend(frameon=False, fontsize=8, title="best first" if len(self.curves) > 1 else None)
