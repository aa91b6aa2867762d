"""A bar in a terminal, a line an epoch in a file or pipe, or nothing: see Progress in progress.py."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TextIO

from .history import History

# A terminal is written to at most this often, which takes 0.3 % of the time. Epochs may be far shorter: ten thousand a
# second, of which each would take 4 us to show.
REFRESH_SECONDS = 0.1

BESIDE = 37  # columns of the bar's line besides epoch and figures, with a bar of two


def unheard() -> suppress:
    """Training goes on where nobody can read how it goes: the pipe is closed, or the disk full."""
    return suppress(OSError, ValueError)


class Silent:
    """Shows nothing."""

    def message(self, text: str) -> None:
        pass

    def advance(self, rows: int, running: History | None) -> None:
        pass

    def epoch(self, history: History) -> None:
        pass

    def close(self) -> None:
        pass


class Lines(Silent):
    """Prints a line an epoch."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def message(self, text: str) -> None:
        with unheard():
            print(text, flush=True)

    def epoch(self, history: History) -> None:
        count = epoch_count(len(history), self.epochs)
        self.message(f"{count}  {figures_text(history)}  {history.seconds[-1]:.2f} s")


class Bar:
    """tqdm's bar over the rows of all epochs: their rate, the time left, and the figures of the running epoch."""

    def __init__(self, epochs: int, rows: int, done: int = 0, file: TextIO | None = None) -> None:
        from tqdm import tqdm  # here, for it is slow to import and most runs in scripts do without

        self.epochs, self.rows, self.history, self.waiting = epochs, rows, History(), True
        self.done, self.drawn_at = done * rows, -REFRESH_SECONDS
        self.running: History | None = None
        self.bar = tqdm(
            total=epochs * rows,
            initial=self.done,
            desc=epoch_count(min(done + 1, epochs), epochs),
            unit=" rows",
            unit_scale=True,
            file=file or sys.stderr,
            dynamic_ncols=True,
            mininterval=0.0,
            miniters=0,  # drawn whenever `redraw` says, also where a step takes long
            bar_format="{desc} {percentage:3.0f}%|{bar}| {rate_noinv_fmt}, {remaining} left{postfix}",
        )

    def message(self, text: str) -> None:
        with unheard():
            self.bar.set_postfix_str(text)

    def advance(self, rows: int, running: History | None) -> None:
        if self.waiting:
            self.waiting = False
            self.bar.unpause()  # the rate is of training, not of what had to be made ready
        self.done, self.running = rows, running
        if time.monotonic() - self.drawn_at >= REFRESH_SECONDS:
            with unheard():
                self.redraw()

    def epoch(self, history: History) -> None:
        self.history = history
        self.advance(len(history) * self.rows, None)

    def redraw(self) -> None:
        """Show how far training is."""
        self.drawn_at, running = time.monotonic(), self.running
        number = min(self.done // self.rows + 1, self.epochs)
        self.bar.set_description_str(epoch_count(number, self.epochs), refresh=False)
        if running is not None:
            running.val_loss, running.val_accuracy = self.history.val_loss[-1:], self.history.val_accuracy[-1:]
        self.bar.set_postfix_str(figures_text(running or self.history, self._room()), refresh=False)
        self.bar.update(self.done - self.bar.n)

    def _room(self) -> int:
        """Columns left for figures; those that do not fit are left out: tqdm would cut one in two."""
        return (self.bar.format_dict["ncols"] or 1 << 20) - len(self.bar.desc) - BESIDE

    def close(self) -> None:
        with unheard():
            if not self.waiting:
                self.redraw()
            self.bar.close()


def epoch_count(epoch: int, epochs: int) -> str:
    """Such as "epoch  3/20"."""
    return f"epoch {epoch:{len(str(epochs))}}/{epochs}"


def figures_text(history: History, room: int | None = None) -> str:
    """The last entries, such as "loss 0.0812  accuracy 97.61%"; only the first ones that fit into `room` letters."""
    texts: list[str] = []
    for name, values in history.as_dict().items():
        if values and name != "seconds":
            texts.append(f"{name} {values[-1]:.2%}" if "accuracy" in name else f"{name} {_loss(values[-1])}")
    while room is not None and len("  ".join(texts)) > room and len(texts) > 1:
        texts.pop()
    return "  ".join(texts)


def _loss(loss: float) -> str:
    return f"{loss:.4f}" if 1e-3 <= loss < 1e4 else f"{loss:.3e}"
