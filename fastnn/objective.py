"""What training minimises, besides the plain mean loss of the rows."""

from __future__ import annotations

from dataclasses import dataclass

from .architecture import OUTPUTS

# The first three are named after the output they belong to; the others are of output "identity".
LOSSES = (*OUTPUTS, "poisson", "absolute_error", "huber")


@dataclass(frozen=True)
class Objective:
    """The mean loss of a batch's rows, and what is added to it.

    loss: one of LOSSES, or None for the one named after the network's output.
    parameter: label smoothing in [0, 1) of "softmax" and "sigmoid"; where "huber" turns from squares to lines, above 0.
    penalty: half of it times the sum of all squared weights (not biases) is added to a batch's summed loss, and so
        divided by its rows, or by the sum of their weights.
    dropout: the share of each hidden layer's values that a step leaves out, in [0, 1); none where empty.
    seed: of dropout.
    divisor: of the loss in the objective's value, though not in its gradient: scikit-learn reports the mean over the
        outputs and descends along their sum.
    """

    loss: str | None = None
    parameter: float = 0.0
    penalty: float = 0.0
    dropout: tuple[float, ...] = ()
    seed: int = 0
    divisor: int = 1
