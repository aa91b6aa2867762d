"""What can go wrong in training that is no mistake of an argument's form."""

from __future__ import annotations


class Diverged(ArithmeticError):
    """The loss is no longer finite. The network keeps the weights from before the step that did it.

    reason: the message without that, for those who do not keep the network.
    """

    def __init__(self, epoch: int, batch: int, learning_rate: float) -> None:
        self.epoch, self.batch, self.learning_rate = epoch, batch, learning_rate
        self.reason = (
            f"The loss is no longer finite in epoch {epoch}, batch {batch}, with learning_rate {learning_rate:g}; "
            "a smaller one would be right."
        )
        super().__init__(f"{self.reason} The last finite weights are kept.")
