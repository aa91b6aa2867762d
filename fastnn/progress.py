"""What a person sees while `fit` runs."""

from __future__ import annotations

import sys
from typing import Protocol

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
    if sys.stderr is None or not sys.stderr.isatty():
        return Lines(epochs)
    if live:
        from .live import Live  # here, for it needs a package of its own

        return Live(epochs, rows, done)
    return Bar(epochs, rows, done)


def counted(number: int, noun: str) -> str:
    """Such as "1 epoch" or "20 epochs"."""
    return f"{number} {noun}" + "s" * (number != 1)
