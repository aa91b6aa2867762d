"""The gradient of a layer's weights and biases over a batch: dW = A.T @ dZ, a tile at a time.

Reference: `matmul_bias_backward` in fastnn/reference.py. shards.py has the same functions for what is summed.
"""

from __future__ import annotations

from typing import NamedTuple

from ..compiling.compile import kernel
from ..network import GRADIENT, INPUT, K_, N_, PANEL, Network
from ..panels import STRIP, Matrix, below, copy_strip, multiply_filled, pack, sum_columns
from ..sparse import multiply_lists, scatter_rows
from .parts import Parts, Scratch, Tile, scattered
from .rows import Batch, Data, listed

# Up to so many inputs of a layer, rows of A lie near enough to each other to be read where they are.
NARROW = 128

# Rows that are a multiple of so many bytes apart throw each other out of L1.
SAME_SETS = 256


class Source(NamedTuple):
    """What gradients are made of: a batch of B rows, and how threads share it."""

    data: Data
    batch: Batch
    B: int
    parts: Parts


@kernel
def read_in_place(network: Network, layer: int, data: Data) -> bool:
    """Whether a layer's dZ is read where it lies; else it is brought together first, in panels as wide as those of W,
    which takes 2.6 us of the 80 of a step of 64-100-10 in float64."""
    layers, size = network.layers, network.params.itemsize
    if layers[layer, K_] > NARROW or (layer == 0 and listed(data)):
        return False
    apart: bool = layers[layer, N_] * size % SAME_SETS > 0
    return apart


@kernel
def gradient_of_outputs(network: Network, layer: int, source: Source, n: int) -> Matrix:
    """dZ of a layer from column n on, where it lies in a batch."""
    at = source.B * network.layers[layer + 1, GRADIENT] + n
    return Matrix(source.batch.values, at, network.layers[layer, N_], 1)


@kernel
def layer_inputs(network: Network, layer: int, source: Source, scratch: Scratch) -> Matrix:
    """A.T of a layer, where its rows lie in a batch."""
    K = network.layers[layer, K_]
    if layer == 0 and source.parts.by_columns:
        return Matrix(scratch.inputs, 0, 1, K)
    return Matrix(source.batch.values, source.B * network.layers[layer, INPUT], 1, K)


@kernel
def batch_begin(
    network: Network, layer: int, source: Source, begin: int, end: int, n: int, last: int, scratch: Scratch
) -> None:
    """What rows begin..end and columns n..last of dW need: dZ packed, or dW itself if it is scattered."""
    data, B, wide = source.data, source.B, scattered(network, layer)
    if not read_in_place(network, layer, data):
        N, panel = network.layers[layer, N_], network.layers[layer, PANEL]
        pack(B, n, last, N, panel, gradient_of_outputs(network, layer, source, 0), scratch.packed, 0)
    if layer == 0 and listed(data) and wide > 0:
        scatter_rows(data.lists, source.batch.numbers, B, begin, end, wide, scratch.packed, scratch.tile, 0)


@kernel
def batch_strips(network: Network, layer: int, source: Source, top: int, end: int, scratch: Scratch) -> int:
    """Bring strips of A together for rows of dW from `top` on, as many as there is room for; returns the first without.

    Every panel reads them again, and rows of A lie K apart: 128 hidden units, 92 to 117 GFLOP/s. Where that is not far
    it is not worth it: 64-100-10, 58 to 53 us a step on two threads.
    """
    bottom, B, K = end, source.B, network.layers[layer, K_]
    if K <= NARROW or (layer == 0 and listed(source.data)):
        return bottom
    A = layer_inputs(network, layer, source, scratch)
    bottom = min(end, top + len(scratch.strips) // (B * STRIP) * STRIP)
    for k in range(top, bottom, STRIP):
        copy_strip(min(STRIP, bottom - k), B, below(A, k), scratch.strips, (k - top) * B)
    return bottom


@kernel
def batch_weights(network: Network, layer: int, source: Source, tile: Tile, scratch: Scratch) -> int:
    """A tile of dW = A.T @ dZ over a batch. Returns where in the scratch tile it lies."""
    data, _, B, parts = source
    zero, packed = Matrix(network.zero, 0, 0, 1), Matrix(scratch.packed, tile.n * B, tile.wide, 1)
    if layer == 0 and listed(data):
        if scattered(network, layer) > 0:
            return (tile.k - tile.begin) * tile.wide
        C = Matrix(scratch.tile, 0, tile.wide, 1)
        multiply_lists(parts.columns, scratch.cuts[:0], tile.k + tile.part, tile.rows, packed, zero, tile.wide, C)
        return 0
    strip, dZ = Matrix(scratch.strips, (tile.k - tile.top) * B, 1, STRIP), packed
    if network.layers[layer, K_] <= NARROW:
        strip = below(layer_inputs(network, layer, source, scratch), tile.k)
    if read_in_place(network, layer, data):
        dZ = gradient_of_outputs(network, layer, source, tile.n)
    columns = min(tile.wide, network.layers[layer, N_] - tile.n)
    multiply_filled(tile.rows, columns, tile.wide, B, strip, dZ, zero, scratch.tile)
    return 0


@kernel
def batch_bias(network: Network, layer: int, source: Source, n: int, columns: int, scratch: Scratch) -> None:
    """Columns n.. of db, the sum of dZ over a batch."""
    zero = Matrix(network.zero, 0, 0, 1)
    sum_columns(source.B, columns, gradient_of_outputs(network, layer, source, n), zero, scratch.tile, 0)
