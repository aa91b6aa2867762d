"""A network of one hidden layer in parts, narrower networks of some of its units: see kernels/training/slices.py."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .architecture import Architecture
from .kernels.network import BIAS, TRANSPOSED, WEIGHTS, Network
from .packing import Layout, aligned

Array = NDArray[Any]

# Hidden units of a slice at least, and slices at most: two of 16 make 784-32-10 a third slower on one thread.
LEAST, MOST = 32, 8


def slices_of(hidden: int, outputs: int) -> int:
    """In how many slices a hidden layer is cut, whatever the number of threads: a power of two. None has fewer units
    than there are outputs, or less would go from core to core if it were not cut."""
    count = 1
    while 2 * count <= min(MOST, hidden // max(LEAST, outputs)):
        count *= 2
    return count


def bounds_of(hidden: int, outputs: int, lanes: int) -> Array:
    """Where slices of a hidden layer begin, and where the last one ends: (count + 1,); each begins a register."""
    count = slices_of(hidden, outputs)
    bounds = np.arange(count + 1) * hidden // count
    bounds[1:-1] = (bounds[1:-1] + lanes // 2) // lanes * lanes
    return bounds


class SlicedLayout:
    """As packing.Layout, for a network whose hidden layer is cut at `cuts` (parts + 1,): a Layout for each part."""

    def __init__(
        self,
        architecture: Architecture,
        dtype: np.dtype[Any],
        first_panel: int,
        cuts: Array,
        *,
        thirds: Collection[int],
        as_bytes: bool,
    ) -> None:
        K, _, N = architecture.sizes
        self.dtype, self.cuts = dtype, cuts
        narrow = [
            Architecture((K, int(width), N), architecture.activations, architecture.output) for width in np.diff(cuts)
        ]
        self.parts = [Layout(each, dtype, first_panel, thirds=thirds, as_bytes=as_bytes) for each in narrow]
        self.params = self.transposed = 0
        for part in self.parts:
            part.layers[:, [WEIGHTS, BIAS]] += self.params
            part.layers[:, TRANSPOSED] += self.transposed
            self.params += part.params
            self.transposed += part.transposed

    def _parts(self, weights: list[Array], biases: list[Array]) -> Iterator[tuple[Layout, list[Array], list[Array]]]:
        """Every part's layout, weights and biases, which are views. All have the last bias."""
        for part, begin, end in zip(self.parts, self.cuts[:-1], self.cuts[1:], strict=True):
            yield part, [weights[0][:, begin:end], weights[1][begin:end]], [biases[0][begin:end], biases[1]]

    def pack(self, flat: Array, weights: list[Array], biases: list[Array]) -> None:
        """See Layout.pack."""
        for part, its_weights, its_biases in self._parts(weights, biases):
            part.pack(flat, its_weights, its_biases)

    def unpack(self, flat: Array, weights: list[Array], biases: list[Array]) -> None:
        """See Layout.unpack."""
        for part, its_weights, its_biases in self._parts(weights, biases):
            part.unpack(flat, its_weights, its_biases)

    def is_finite(self, flat: Array) -> bool:
        """See Layout.is_finite."""
        return all(part.is_finite(flat) for part in self.parts)

    def pack_transposed(self, flat: Array, weights: list[Array]) -> None:
        """See Layout.pack_transposed."""
        for part, its_weights, _ in self._parts(weights, [weights[0][0], weights[1][0]]):
            part.pack_transposed(flat, its_weights)

    def network(self, weights: list[Array], biases: list[Array]) -> Network:
        """See Layout.network. layers: the parts' tables, one after the other."""
        params, transposed = aligned(self.params, self.dtype), aligned(self.transposed, self.dtype)
        self.pack(params, weights, biases)
        self.pack_transposed(transposed, weights)
        zero = aligned(max(*weights[0].shape, *weights[1].shape), self.dtype)
        layers = np.concatenate([part.layers for part in self.parts])
        return Network(layers, params, transposed, zero, np.zeros(0), 0, aligned(0, self.dtype))
