"""Curves of loss and accuracy on a terminal, drawn in place above the bar while training runs. Extra `plot`."""

from __future__ import annotations

import io
import shutil
import sys
import time
from math import isfinite

from .bar import Bar
from .extras import needed
from .history import History

# Drawing the curves takes 5 ms, here: as often as that makes this share of the time, so about once a second.
SHARE = 0.005
DOTS = 2  # that a column of a curve has beside each other: more epochs than these cannot be told apart
HEIGHT, MARGIN, NARROWEST = 12, 16, 20  # of a curve in lines, of its labels and the least curve in columns
AROUND, LOWEST = 6, 3  # lines around a curve, the bar's among them, and the least of its own
UP, CLEAR = "\x1b[{}F", "\x1b[J"


class Live(Bar):
    """Keeps the last lines of the terminal: curves, then the bar."""

    def __init__(self, epochs: int, rows: int, done: int = 0) -> None:
        self.plotille = needed("plotille", "plot", "--live")
        super().__init__(epochs, rows, done, file=io.StringIO())
        self.bar.dynamic_ncols = False  # of a terminal, which `file` is not
        self.chart: list[str] = []
        self.next_curves = 0.0  # when they may be drawn again

    def redraw(self) -> None:
        super().redraw()
        self._draw(self.chart)

    def epoch(self, history: History) -> None:
        super().epoch(history)
        began = time.monotonic()
        if began >= self.next_curves:
            self._draw(self.curves(history, shutil.get_terminal_size().columns))
            self.next_curves = began + (time.monotonic() - began) / SHARE

    def message(self, text: str) -> None:
        super().message(text)
        self._draw(self.chart)

    def close(self) -> None:
        self._draw(self.curves(self.history, shutil.get_terminal_size().columns))
        super().close()
        print(file=sys.stderr)

    def curves(self, history: History, columns: int) -> list[str]:
        """The lines of the loss's figure, and of the accuracy's beside it where there is one and there is room."""
        pairs = [(history.loss, history.val_loss, "loss"), (history.accuracy, history.val_accuracy, "accuracy")]
        if shutil.get_terminal_size().lines < LOWEST + AROUND:  # what is above the screen cannot be drawn over
            return []
        pairs = [pair for pair in pairs if len(pair[0]) > 1]
        if len(pairs) * (NARROWEST + MARGIN) > columns:
            pairs = pairs[:1]
        width = max(NARROWEST, columns // max(1, len(pairs)) - MARGIN)
        figures = [self._figure(*pair, width).splitlines() for pair in pairs]
        whole = width + MARGIN
        return ["".join(f"{line:{whole}}" for line in lines)[: columns - 1] for lines in zip(*figures, strict=True)]

    def _figure(self, training: list[float], validation: list[float], name: str, width: int) -> str:
        figure = self.plotille.Figure()
        lines = min(HEIGHT, shutil.get_terminal_size().lines - AROUND)
        figure.width, figure.height, figure.with_colors, figure.origin = width, lines, False, False
        figure.x_label, figure.y_label = "", name + (", dotted: validation" if validation else "")
        figure.register_label_formatter(float, _percent_label if "accuracy" in name else _label)
        last, step = len(training), -(-len(training) // (DOTS * width))
        shown = [epoch for epoch in range(1, last + 1) if (last - epoch) % step == 0]
        figure.set_x_limits(min_=1, max_=max(2, last))
        finite = [value for value in (*training, *validation) if isfinite(value)]
        if finite and min(finite) < max(finite):  # else plotille chooses: it needs some distance
            figure.set_y_limits(min_=min(finite), max_=max(finite))
        figure.plot(shown, [training[epoch - 1] for epoch in shown])
        if validation:
            shown = [epoch for epoch in shown if epoch <= len(validation)]
            figure.scatter(shown, [validation[epoch - 1] for epoch in shown])
        return str(figure.show()).replace("-> ()", "")  # the name of the other axis needs no room

    def _draw(self, chart: list[str]) -> None:
        up = UP.format(len(self.chart)) if self.chart else "\r"
        columns = shutil.get_terminal_size().columns - 1
        self.bar.ncols, self.bar.ascii = columns, False
        sys.stderr.write(up + CLEAR + "".join(line + "\n" for line in chart) + str(self.bar)[:columns])
        sys.stderr.flush()
        self.chart = chart


def _label(value: float, chars: int, delta: float, left: bool = False) -> str:
    """left: below the figure, where epochs are counted."""
    return f"{value:.0f}".ljust(chars) if left else f"{value:.4g}".rjust(chars)


def _percent_label(value: float, chars: int, delta: float, left: bool = False) -> str:
    return _label(value, chars, delta, left) if left else f"{value:.2%}".rjust(chars)
