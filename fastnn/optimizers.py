"""The optimizers' names and settings. Their formulas: `reference.update`; their kernels: `kernels/optimizers.py`."""

from __future__ import annotations

from dataclasses import dataclass

from .checks import number, one_of

OPTIMIZERS = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw")

# Those that have a momentum.
WITH_MOMENTUM = ("momentum", "nesterov")

# Arrays of the parameters' shape that an optimizer remembers between steps.
SLOTS = {"sgd": 0, "momentum": 1, "nesterov": 1, "rmsprop": 1, "adam": 2, "adamw": 2}


@dataclass(frozen=True)
class Optimizer:
    """How parameters follow their gradient.

    learning_rate: above 0. momentum: of "momentum" and "nesterov", in [0, 1). rho: "rmsprop"'s decay.
    beta_1, beta_2: "adam"'s and "adamw"'s decays. epsilon: added to the root of the second moment.
    scaled_epsilon: "adam"'s and "adamw"'s epsilon is added before the second moment is corrected for its bias, not
        after: the shorter form at the end of the paper's section 2, which scikit-learn has.
    weight_decay: times the weights (not the biases), added to the gradient; for "adamw" taken off the weights directly.
    """

    name: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    rho: float = 0.9
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    scaled_epsilon: bool = False

    def __post_init__(self) -> None:
        one_of("optimizer", self.name, OPTIMIZERS)
        # Kernels are compiled for floats: a whole number would have them compiled once more.
        object.__setattr__(self, "learning_rate", number("learning_rate", self.learning_rate, above=0.0))
        object.__setattr__(self, "momentum", number("momentum", self.momentum, least=0.0, below=1.0))
        object.__setattr__(self, "weight_decay", number("weight_decay", self.weight_decay, least=0.0))

    @property
    def slots(self) -> int:
        """How many arrays of the parameters' shape it remembers."""
        return SLOTS[self.name]
