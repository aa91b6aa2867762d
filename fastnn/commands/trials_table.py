"""The table of a tuning while it runs: redrawn in place on a terminal, elsewhere a line a training."""

from __future__ import annotations

import shutil
import sys

from ..progress import is_terminal
from .trials import Trial, TrialResult, choice_name, scores_of

UP, CLEAR = "\x1b[{}F", "\x1b[J"


class Table:
    """On a terminal it is there from the beginning."""

    def __init__(self, trials: list[Trial], quiet: bool) -> None:
        self.trials, self.quiet, self.lines = trials, quiet, 0
        self.width = max(len(choice_name(trial.choice)) for trial in trials)
        self.live = is_terminal(sys.stdout)
        if self.live and not self.quiet:
            self._redraw([])

    def show(self, results: list[TrialResult]) -> None:
        """The last of the results is new."""
        if self.quiet:
            return
        if self.live:
            self._redraw(results)
            return
        new = results[-1]
        (score,) = scores_of([new])
        name = choice_name(new.trial.choice)
        count = f"{len(results):{len(str(len(self.trials)))}}/{len(self.trials)}"
        print(f"{count}  {name:{self.width}}  seed {new.trial.settings.seed}  {score.text}", flush=True)

    def _redraw(self, results: list[TrialResult]) -> None:
        size = shutil.get_terminal_size()
        done = {choice_name(score.choice): score.text for score in scores_of(results)}
        waiting = dict.fromkeys(choice_name(trial.choice) for trial in self.trials)
        names = [*done, *(name for name in waiting if name not in done)][: max(1, size.lines - 3)]
        lines = [f"{name:{self.width}}  {done.get(name, '...')}"[: size.columns - 1] for name in names]
        lines.append(f"{len(results)} of {len(self.trials)} trainings")
        print((UP.format(self.lines) if self.lines else "") + CLEAR + "\n".join(lines), flush=True)
        self.lines = len(lines)
