"""How many threads, and how many steps at a time: whatever turns out to be fastest here and now.

Two threads can be slower than one: where a step is a few microseconds long, or another program keeps a core busy, so
that a thread waits for its turn while the other one waits for it. The weights do not depend on it, not by a bit.
"""

from __future__ import annotations

# A run of steps lasts about so long, and so long when it is only to find out how fast another number of threads is.
RUN_SECONDS, TRIAL_SECONDS = 0.05, 0.004
# How often that is tried again.
AGAIN_SECONDS = 1.0


class Pace:
    """`next` says how to go on, `measured` learns from it. threads: those there are."""

    def __init__(self, threads: int) -> None:
        self.best, self.other = threads, 1
        self.step_seconds: dict[int, float] = {}
        self.runs, self.until_trial = 0, 0.0

    def next(self) -> tuple[int, int]:
        """Threads, and how many steps to take with them."""
        if self.runs == 0:  # the first step, with cold caches, only shows the order of magnitude
            return self.best, 1
        known = self.step_seconds[self.best]
        if self.runs > 1 and self.other != self.best and self.until_trial <= 0 and known < TRIAL_SECONDS:
            return self.other, max(1, int(TRIAL_SECONDS / self.step_seconds.get(self.other, known)))
        return self.best, max(1, int((RUN_SECONDS if self.runs > 1 else TRIAL_SECONDS) / known))

    def measured(self, threads: int, steps: int, seconds: float) -> None:
        """So many steps took so long."""
        self.step_seconds[threads] = seconds / steps
        self.runs += 1
        self.until_trial -= seconds
        if threads == self.other:
            self.until_trial = AGAIN_SECONDS
        if self.step_seconds.get(self.other, float("inf")) < self.step_seconds[self.best]:
            self.best, self.other = self.other, self.best
