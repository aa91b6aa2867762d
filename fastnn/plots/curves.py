"""Loss or accuracy over the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from ..checks import one_of
from ..history import History
from .display import COLORS, Display, whole_ticks

METRICS = ("loss", "accuracy")


class CurvesDisplay(Display):
    """A metric after every epoch, of the training rows and of the validation rows; the latter may be empty."""

    size = (4.75, 3.2)

    def __init__(self, training: Sequence[float], validation: Sequence[float], *, metric: str = "loss") -> None:
        self.training, self.validation, self.metric = training, validation, metric

    @classmethod
    def from_history(cls, history: History, *, metric: str = "loss", ax: Any = None) -> Self:
        """metric: "loss" or "accuracy", which only networks of classes have. Raises ValueError."""
        one_of("metric", metric, METRICS)
        lists = history.as_dict()
        if len(lists["loss"]) > len(lists[metric]):
            raise ValueError(f'metric is "{metric}", of which the history knows nothing; expected "loss".')
        return cls(lists[metric], lists[f"val_{metric}"], metric=metric).plot(ax)

    def draw(self, ax: Any) -> None:
        curves = [("training", self.training, "-"), ("validation", self.validation, "--")]
        for color, (name, values, line) in zip(COLORS, curves, strict=False):
            if len(values) > 0:
                marker = "o" if len(values) <= 30 else None
                epochs = range(1, len(values) + 1)
                ax.plot(epochs, values, line, color=color, marker=marker, markersize=3, label=name)
        ax.set(xlabel="epoch", ylabel=self.metric)
        whole_ticks(ax.xaxis)
        ax.grid(alpha=0.25)
        if len(self.training) > 0 or len(self.validation) > 0:
            ax.legend(frameon=False)
        if self.metric == "accuracy":
            ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
