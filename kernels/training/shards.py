"""The gradient of a layer's weights and biases as the sum of fixed shares'. Reference: `train_step` in
fastnn/reference.py; batch_weights.py has the same functions for a batch."""

from __future__ import annotations

from ..compiling.compile import Array, kernel
from ..network import BIAS, K_, WEIGHTS, Network
from ..simd.partial import load_first, store_first
from ..simd.vectors import lanes, prefetch
from .parts import Scratch, Shards, Tile

# So many numbers before their use gradients are asked for, which come from other cores: 64-100-10, 9.5 to 8 us.
AHEAD = 1024


@kernel
def sum_shards(shards: Shards, offset: int, count: int, out: Array) -> None:
    """Numbers offset.. of all shards' gradients, added in the shards' order."""
    width = lanes(out)
    for i in range(0, count, width):
        n = min(width, count - i)
        prefetch(shards.gradients, offset + i + AHEAD)
        x = load_first(shards.gradients, offset + i, n, 0.0, 1)
        for s in range(1, shards.parts):
            at = s * shards.size + offset + i
            prefetch(shards.gradients, at + AHEAD)
            x = x + load_first(shards.gradients, at, n, 0.0, 1)
        store_first(out, i, n, x)


@kernel
def shards_begin(
    network: Network, layer: int, source: Shards, begin: int, end: int, n: int, last: int, scratch: Scratch
) -> None:
    """Nothing to prepare."""


@kernel
def shards_strips(network: Network, layer: int, source: Shards, top: int, end: int, scratch: Scratch) -> int:
    """Nothing to bring together."""
    return end


@kernel
def shards_weights(network: Network, layer: int, source: Shards, tile: Tile, scratch: Scratch) -> int:
    """A tile of dW, summed over the shards."""
    at = network.layers[layer, WEIGHTS] + tile.n * network.layers[layer, K_] + tile.k * tile.wide
    sum_shards(source, at, tile.rows * tile.wide, scratch.tile)
    return 0


@kernel
def shards_bias(network: Network, layer: int, source: Shards, n: int, columns: int, scratch: Scratch) -> None:
    """Columns n.. of db, summed over the shards."""
    sum_shards(source, network.layers[layer, BIAS] + n, columns, scratch.tile)
