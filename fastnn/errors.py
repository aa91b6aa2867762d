"""What can go wrong in training that is no mistake of an argument's form."""

from __future__ import annotations


class Diverged(ArithmeticError):
    """The loss is no longer finite. The network keeps the weights from before the step that did it."""

    def __init__(self, epoch: int, batch: int, learning_rate: float) -> None:
        self.epoch, self.batch, self.learning_rate = epoch, batch, learning_rate
        super().__init__(
            f"The loss is no longer finite in epoch {epoch}, batch {batch}, with learning_rate {learning_rate:g}; "
            "a smaller one would be right. The last finite weights are kept."
        )
