"""What a network is: the sizes of its layers and the functions between them. Names only; no arrays, no numba."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from dataclasses import dataclass

from .checks import one_of

ACTIVATIONS = ("relu", "sigmoid", "tanh", "identity", "leaky_relu", "elu", "gelu", "silu")
OUTPUTS = ("softmax", "sigmoid", "identity")

# Activations whose derivative cannot be told from their value: what goes into them has to be kept.
FROM_INPUT = ("gelu", "silu")

# Of one layer: 4 TiB of float32. Of more NumPy says that a dimension is too large, not which.
MOST_WEIGHTS = 1 << 40


@dataclass(frozen=True)
class Architecture:
    """A dense network: sizes[0] features, hidden layers, sizes[-1] outputs.

    sizes: at least two positive integers.
    activations: one name for each hidden layer, so len(sizes) - 2 of them.
    output: "softmax" (classes), "sigmoid" (yes or no for each output) or "identity" (squared error).
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    output: str

    @classmethod
    def of(cls, sizes: Sequence[int], activation: str | Sequence[str], output: str | None) -> Architecture:
        """Check what a person wrote and fill in what was left out. Raises TypeError or ValueError."""
        checked_sizes = _sizes(sizes)
        return cls(checked_sizes, _activations(activation, len(checked_sizes) - 2), _output(output, checked_sizes[-1]))

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(K, N) of every layer's weights."""
        return list(zip(self.sizes[:-1], self.sizes[1:], strict=True))

    @property
    def classifies(self) -> bool:
        """Whether the outputs are probabilities, so that an accuracy can be counted."""
        return self.output != "identity"


def usual_init(activations: Sequence[str]) -> str:
    """The name of the first weights' distribution where none is asked for."""
    return "he" if "relu" in activations else "glorot"


def _sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    if isinstance(sizes, str) or not isinstance(sizes, Sequence):
        raise TypeError(f"sizes is {sizes!r}; expected a sequence of integers such as [784, 128, 10].")
    try:
        checked = tuple(operator.index(size) for size in sizes if not isinstance(size, bool))
        if len(checked) < len(sizes):
            raise TypeError
    except TypeError:
        raise TypeError(f"sizes is {list(sizes)!r}; every size must be an integer.") from None
    if len(checked) < 2 or min(checked) < 1:
        raise ValueError(
            f"sizes is {list(checked)}; expected at least two sizes (features and outputs), each at least 1."
        )
    if any(K * N > MOST_WEIGHTS for K, N in itertools.pairwise(checked)):
        raise ValueError(f"sizes is {list(checked)}; expected at most 2**40 weights between two layers.")
    return checked


def _activations(activation: str | Sequence[str], hidden: int) -> tuple[str, ...]:
    if not isinstance(activation, str | Sequence):
        raise TypeError(f"activation is {activation!r}; expected a name, or one for each hidden layer.")
    names = (activation,) * hidden if isinstance(activation, str) else tuple(activation)
    for name in (activation,) if isinstance(activation, str) else names:
        one_of("activation", name, ACTIVATIONS)
    if len(names) != hidden:
        raise ValueError(
            f"activation names {len(names)} functions; expected one, or one for each of the {hidden} hidden layers."
        )
    return names


def _output(output: str | None, outputs: int) -> str:
    if output is None:
        return "softmax" if outputs > 1 else "sigmoid"
    one_of("output", output, OUTPUTS)
    if output == "softmax" and outputs == 1:
        raise ValueError(
            'output is "softmax" with one output, whose probability is always 1; use output="sigmoid" for two classes.'
        )
    return output
