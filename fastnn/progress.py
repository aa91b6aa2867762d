"""What a person sees while `fit` runs: a bar in a terminal, lines in a file or pipe, or nothing."""

from __future__ import annotations

import sys
from typing import Protocol

from .history import History

# Up to MOST_LINES epochs have a line each; longer runs have LINES, evenly spaced, the last epoch's among them.
MOST_LINES = 100
LINES = 50


class Progress(Protocol):
    """What `fit` tells while it runs, always from the main thread."""

    def message(self, text: str) -> None:
        """Something that takes a while has begun, such as compiling the kernels."""

    def advance(self, rows: int) -> None:
        """rows: trained so far in this call of fit, over all its epochs."""

    def epoch(self, history: History) -> None:
        """An epoch ended, and its figures are history's last entries."""

    def close(self) -> None:
        """Training ended, or failed."""


def make_progress(epochs: int, rows: int, verbose: bool) -> Progress:
    """A bar on stderr if that is a terminal, else lines on stdout; silent unless verbose. rows: those of one epoch."""
    if not verbose:
        return Silent()
    if sys.stderr is not None and sys.stderr.isatty():
        return Bar(epochs, rows)
    return Lines(epochs)


class Silent:
    """Shows nothing."""

    def message(self, text: str) -> None:
        pass

    def advance(self, rows: int) -> None:
        pass

    def epoch(self, history: History) -> None:
        pass

    def close(self) -> None:
        pass


class Lines(Silent):
    """Prints a line an epoch, or LINES in all when there are more than MOST_LINES epochs."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.lines = epochs if epochs <= MOST_LINES else LINES

    def message(self, text: str) -> None:
        print(text, flush=True)

    def epoch(self, history: History) -> None:
        done = len(history)
        if done * self.lines // self.epochs > (done - 1) * self.lines // self.epochs:
            print(f"{_count(done, self.epochs)}  {_figures(history)}  {history.seconds[-1]:.2f} s", flush=True)


class Bar:
    """tqdm's bar over the rows of all epochs: their rate, the time left, and the last epoch's figures."""

    def __init__(self, epochs: int, rows: int) -> None:
        from tqdm import tqdm  # here, for it is slow to import and most runs in scripts do without

        self.epochs, self.rows = epochs, rows
        self.bar = tqdm(
            total=epochs * rows,
            desc=_count(1, epochs),
            unit=" rows",
            unit_scale=True,
            file=sys.stderr,
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {rate_noinv_fmt}, {remaining} left{postfix}",
        )

    def message(self, text: str) -> None:
        self.bar.set_postfix_str(text)

    def advance(self, rows: int) -> None:
        running = min(rows // self.rows + 1, self.epochs)
        self.bar.set_description_str(_count(running, self.epochs), refresh=False)
        self.bar.update(rows - self.bar.n)

    def epoch(self, history: History) -> None:
        self.bar.set_postfix_str(_figures(history), refresh=False)
        self.advance(len(history) * self.rows)

    def close(self) -> None:
        self.bar.close()


def _count(epoch: int, epochs: int) -> str:
    return f"epoch {epoch:{len(str(epochs))}}/{epochs}"


def _figures(history: History) -> str:
    """The last entries, such as "loss 0.0812  accuracy 97.61%"."""
    texts = []
    for name, values in history.as_dict().items():
        if values and name != "seconds":
            texts.append(f"{name} {values[-1]:.2%}" if "accuracy" in name else f"{name} {_loss(values[-1])}")
    return "  ".join(texts)


def _loss(loss: float) -> str:
    return f"{loss:.4f}" if 1e-3 <= loss < 1e4 else f"{loss:.3e}"
