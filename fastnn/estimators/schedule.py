"""The learning rate from epoch to epoch, and all else of an optimizer that outlives a call of fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]

# "adaptive" ends training instead of going below it.
LEAST_RATE = 1e-6


@dataclass(frozen=True)
class Schedule:
    """constant: `initial`. invscaling: initial / (t + 1)**power_t after t rows. adaptive: a fifth at every plateau.

    solver: whose rate it is; a new one begins anew.
    """

    solver: str
    kind: str
    initial: float
    power_t: float

    def after_epoch(self, learning_rate: float, t: int) -> float:
        """The rate of the next epoch, t rows having been trained on."""
        return self.initial / (t + 1) ** self.power_t if self.kind == "invscaling" else learning_rate

    def has_ended(self, learning_rate: float) -> bool:
        """Whether it is one that ended training."""
        return self.kind == "adaptive" and learning_rate <= LEAST_RATE

    def after_plateau(self, learning_rate: float) -> float | None:
        """The rate to go on with when nothing improves any more, or None for stopping."""
        return learning_rate / 5 if self.kind == "adaptive" and not self.has_ended(learning_rate) else None


@dataclass
class OptimizerState:
    """What the next call goes on from. slots, steps: as in trainer.State."""

    schedule: Schedule
    learning_rate: float
    steps: int = 0
    slots: list[list[Array]] = field(default_factory=list)

    def fits(self, parameters: list[Array]) -> bool:
        """Whether it remembers steps of parameters of these shapes."""
        shapes = [P.shape for P in parameters]
        return self.steps > 0 and all([P.shape for P in slot] == shapes for slot in self.slots)
