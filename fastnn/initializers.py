"""Where training starts: random weights from a seed. Glorot and Bengio (2010); He et al. (2015)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .checks import number, one_of

INITIALIZERS = ("he", "glorot", "uniform", "normal")
LARGEST = 8e307  # of a scale: NumPy draws from no range that is wider than the largest float64


@dataclass(frozen=True)
class Initializer:
    """How first weights are drawn, for a layer of K inputs and N outputs.

    he       normal, standard deviation sqrt(2 / K)           (scale must be None)
    glorot   uniform, half-width sqrt(6 / (K + N))            (scale must be None)
    uniform  uniform, half-width `scale`
    normal   normal, standard deviation `scale`
    biases: draw the biases the same way; they are zero otherwise.
    """

    name: str
    scale: float | None = None
    biases: bool = False

    def __post_init__(self) -> None:
        one_of("init", self.name, INITIALIZERS)
        if self.name in ("he", "glorot"):
            if self.scale is not None:
                raise ValueError(f"init {self.name!r} takes no scale, and was given {self.scale!r}.")
        elif self.scale is None:
            raise ValueError(f'init is {self.name!r} without a scale; expected one, such as "{self.name}:0.1".')
        else:
            number("the scale of init", self.scale, least=0.0, below=LARGEST)

    @classmethod
    def of(cls, init: str | Initializer) -> Initializer:
        """From "he", "glorot", "uniform:0.5" or "normal:0.01". Raises TypeError or ValueError."""
        if isinstance(init, Initializer):
            return init
        if not isinstance(init, str):
            raise TypeError(f'init is {init!r}; expected a name such as "he" or "uniform:0.5", or an Initializer.')
        name, _, scale = init.partition(":")
        one_of("init", name, INITIALIZERS)
        try:
            return cls(name, float(scale) if scale else None)
        except ValueError as error:
            if "could not convert" in str(error):
                raise ValueError(f"init is {init!r}; expected a number after the colon.") from None
            raise

    def draw(self, rng: np.random.Generator, K: int, N: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """W (K, N) and b (N,)."""
        W = self._sample(rng, (K, N), K, N)
        b = self._sample(rng, (N,), K, N) if self.biases else np.zeros(N)
        return W, b

    def _sample(self, rng: np.random.Generator, shape: tuple[int, ...], K: int, N: int) -> NDArray[np.float64]:
        if self.name == "he":
            return rng.normal(0.0, math.sqrt(2.0 / K), shape)
        if self.name == "glorot":
            width = math.sqrt(6.0 / (K + N))
            return rng.uniform(-width, width, shape)
        assert self.scale is not None  # __post_init__ has seen to it
        if self.name == "uniform":
            return rng.uniform(-self.scale, self.scale, shape)
        return rng.normal(0.0, self.scale, shape)
