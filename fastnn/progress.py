"""What a person sees while `fit` runs."""

from __future__ import annotations

import os
import sys
from typing import Any, Protocol

from .bar import Bar, Lines, Silent
from .history import History


class Progress(Protocol):
    """What `fit` tells while it runs, always from the main thread."""

    def message(self, text: str) -> None:
        """Something that takes a while has begun, such as compiling the kernels."""

    def advance(self, rows: int, running: History | None) -> None:
        """rows: trained so far, over all epochs. running: an entry of the running epoch's figures, where known."""

    def epoch(self, history: History) -> None:
        """An epoch ended, and its figures are history's last entries."""

    def close(self) -> None:
        """Training ended, or failed."""


def make_progress(epochs: int, rows: int, verbose: bool, *, done: int = 0, live: bool = False) -> Progress:
    """A bar on stderr if that is a terminal, else lines on stdout; silent unless verbose.

    rows: those of one epoch. done: epochs that were trained before. live: curves above the bar.
    """
    if not verbose:
        return Silent()
    if not is_terminal(sys.stderr):
        return Lines(epochs)
    try:
        if live:
            from .live import Live  # here, for it needs a package of its own

            return Live(epochs, rows, done)
        return Bar(epochs, rows, done)
    except OSError:  # nobody reads what is written there
        return Silent()


def is_terminal(file: Any) -> bool:
    """Whether lines can be drawn over in it, whatever somebody has put in its place."""
    try:
        return bool(file.isatty()) and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):  # None, something else, or closed
        return False


def counted(number: int, noun: str) -> str:
    """Such as "1 epoch" or "20 epochs"."""
    return f"{number} {noun}" + "s" * (number != 1)
