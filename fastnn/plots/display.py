"""What all displays have in common: where they draw, and how they become a file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from .. import files
from ..extras import needed
from ..files import StrPath

# Of the Okabe-Ito palette, which people with any colour vision tell apart, those that show on white and on black.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")
LINES = ("-", "--", ":", "-.")
OTHERS = "#b0b0b0"

# Replaced by the page's own text colour, so that a picture follows its theme.
_TEXT = "#010203"
_STYLE = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",
}
_THEMED = dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _TEXT)


def whole_ticks(*axes: Any) -> None:
    """Ticks of matplotlib's axes at whole numbers only, even if there is but one; none are moved on other scales."""
    for axis in axes:
        locator = axis.get_major_locator()
        if isinstance(locator, needed("matplotlib.ticker", "plot", "drawing").MaxNLocator):
            locator.set_params(integer=True, min_n_ticks=1)


class Display:
    """A picture. size: inches of a figure of its own."""

    size: ClassVar[tuple[float, float]] = (6.0, 4.0)
    ax_: Any
    figure_: Any

    def draw(self, ax: Any) -> None:
        """Draw into matplotlib's axes."""
        raise NotImplementedError

    def figure_size(self) -> tuple[float, float]:
        """Inches; a display whose content decides says more."""
        return self.size

    def plot(self, ax: Any = None) -> Self:
        """Draw into `ax`, or into a new figure of pyplot's. Returns itself, with `ax_` and `figure_`."""
        if ax is None:
            pyplot = needed("matplotlib.pyplot", "plot", "drawing")
            _, ax = pyplot.subplots(figsize=self.figure_size(), layout="constrained")
        self.draw(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def save(self, path: StrPath) -> Path:
        """Write a picture of the kind that the name ends with, such as .png, .svg or .pdf. Raises OSError.

        It is drawn anew: what was changed in `ax_` is written by `figure_.savefig`.
        """
        return save([self], path)

    def svg(self) -> str:
        """An <svg> element without a background, in the text's colour of the page around it."""
        text = _content([self], "svg", _THEMED, transparent=True).decode()
        return text[text.index("<svg") :].replace(_TEXT, "currentColor")


def save(displays: Sequence[Display], path: StrPath) -> Path:
    """Write the displays side by side. See Display.save."""
    files.replace(path, _content(displays, Path(path).suffix[1:].lower() or "png", {}, dpi=150))
    return Path(path)


def _content(displays: Sequence[Display], kind: str, style: dict[str, Any], **how: Any) -> bytes:
    """Drawn on a figure that no window system knows of."""
    matplotlib = needed("matplotlib", "plot", "drawing")
    Figure = needed("matplotlib.figure", "plot", "drawing").Figure
    sizes = [display.figure_size() for display in displays]
    size = sum(width for width, _ in sizes), max(height for _, height in sizes)
    unchanging = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    content = io.BytesIO()
    with matplotlib.rc_context({**_STYLE, **style, "svg.hashsalt": type(displays[0]).__name__}):
        figure = Figure(figsize=size)
        for display, ax in zip(displays, figure.subplots(1, len(displays), squeeze=False)[0], strict=True):
            display.draw(ax)
        figure.savefig(content, format=kind, metadata=unchanging, **how)
    return content.getvalue()
