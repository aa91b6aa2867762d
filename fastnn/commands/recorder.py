"""What a run keeps while it trains: a line an epoch, and checkpoints, whatever signals and disks do."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from .. import files, storage
from ..bar import unheard
from ..errors import Diverged
from ..history import History
from ..kernels.compiling.interrupts import in_main_thread
from ..mlp import MLP
from .arguments import Stopped
from .run import BEST, LAST, METRICS, append_metrics, begin, best_epoch, rewrite_metrics
from .settings import Settings


class Signals:
    """Within it, Ctrl-C and SIGTERM are noted, and `received` is their number; a second one interrupts at once."""

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if in_main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) != signal.SIG_IGN:  # as Ctrl-C is for what a script runs with &
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = number


class Recorder:
    """The `fitting.Keeper` of a run in the folder `out`. data: what is known of the rows.

    What cannot be written is told on stderr and tried again the next time. problem: the last such error, None since all
    could be written.
    """

    def __init__(self, out: Path, net: MLP, settings: Settings, data: dict[str, Any], signals: Signals) -> None:
        self.out, self.net, self.settings, self.data, self.signals = out, net, settings, data, signals
        self.epochs, self.seconds = settings.make_interval()
        self.saved_at = time.monotonic()
        self.recorded = 0  # lines of metrics
        self.best: storage.Checkpoint | None = None  # not on the disk yet
        self.problem: OSError | None = None
        self.told: set[str] = set()

    def check(self) -> None:
        """Raise ValueError for a network that no checkpoint can hold, before anything is removed or trained."""
        storage.content_of(self._checkpoint(History()))

    def begin(self, history: History) -> None:
        """The first checkpoint, so that a run can be resumed from its very beginning. Raises OSError."""
        for name in (LAST, BEST, METRICS):
            files.remove_leftovers(self.out, name)
        rewrite_metrics(self.out, history)
        self.recorded = len(history)
        storage.save(self.out / LAST, self._checkpoint(history))

    # --- while training

    def due(self) -> bool:
        """See fitting.Keeper."""
        late = self.seconds is not None and time.monotonic() - self.saved_at >= self.seconds
        return late or bool(self.signals.received)

    def paused(self, history: History) -> None:
        """See fitting.Keeper."""
        self.save(history)
        if self.signals.received:
            raise Stopped(self.signals.received, self._farewell(history))

    def epoch(self, history: History) -> None:
        """See fitting.Keeper."""
        if best_epoch(history) == len(history):
            self.best = self._checkpoint(History.of(history.as_dict()))
            self.best.state = self.net._state.copy()
        self._try(self._append, history)
        if self.due() or (self.epochs is not None and len(history) % self.epochs == 0):
            self.paused(history)

    def save(self, history: History) -> None:
        """Write the checkpoints, if that can be done."""
        self.saved_at = time.monotonic()
        self._try(self._save, history)

    # --- how

    def _checkpoint(self, history: History) -> storage.Checkpoint:
        settings = self.settings.resolved().as_dict()
        return storage.Checkpoint(self.net.architecture, self.net._state, history, settings, self.data)

    def _append(self, history: History) -> None:
        if self.recorded < 0:
            rewrite_metrics(self.out, history)
        else:
            first, self.recorded = self.recorded, -1  # a line may have been written in part, if what follows fails
            append_metrics(self.out, history, first)
        self.recorded = len(history)

    def _save(self, history: History) -> None:
        """The best first, so that the last never knows of a better one that is not there."""
        if not self.out.is_dir():
            begin(self.out, self.settings, sys.argv)
            rewrite_metrics(self.out, history)
        if self.best is not None:
            storage.save(self.out / BEST, self.best)
            self.best = None
        storage.save(self.out / LAST, self._checkpoint(history))

    def _try(self, write: Callable[[History], None], history: History) -> None:
        try:
            write(history)
        except OSError as error:
            if str(error) not in self.told:  # and not in every epoch
                self.told.add(str(error))
                kept = "the checkpoint before is kept, and " if (self.out / LAST).exists() else ""
                said = f"{_said(error)}; {kept}training goes on"
                with unheard():
                    print(f"\nfastnn.train: warning: {said}.", file=sys.stderr, flush=True)
            self.problem = error
        else:
            self.problem = None

    def last_words(self, error: Diverged) -> str:
        """The error with the place of the last finite weights, which have just been saved."""
        if self.problem is not None:
            return f"{error.reason} The checkpoint in {self.out} is an earlier one: {_said(self.problem)}."
        return f"{error.reason} The last finite weights are kept in {self.out / LAST}."

    def unkept(self) -> OSError | None:
        """Why the end of training is not on the disk, and what can be done; None if it is."""
        if self.problem is None:
            return None
        if not (self.out / LAST).exists():
            return OSError(f"{_said(self.problem)}; nothing of the run is kept.")
        return OSError(f"{_said(self.problem)}; the checkpoint before is kept; {self._hint()}")

    def _farewell(self, history: History) -> str:
        steps = self.net._state.unfinished.steps
        where = f"after step {steps} of epoch {len(history) + 1}" if steps else f"after epoch {len(history)}"
        if self.problem is not None:
            return f"stopped {where}; the checkpoint in {self.out} is an earlier one: {_said(self.problem)}."
        return f"stopped {where}; {self._hint()}"

    def _hint(self) -> str:
        out = str(self.out)
        return f"to go on: python -m fastnn.train --resume{'=' if out.startswith('-') else ' '}{shlex.quote(out)}"


def _said(error: OSError) -> str:
    """Such as "runs/a/last.safetensors: No space left on device"."""
    return f"{error.filename}: {error.strerror}"
