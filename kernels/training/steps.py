"""The second half of a step: the optimizer's step on every weight, as soon as a tile of its gradient is made.

Reference: `train_step` in fastnn/reference.py. rows.py is the first half; minibatches.py, replicas.py, slices.py
and full_batch.py make whole epochs of both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..compiling.compile import kernel, kernel_by_dtype
from ..matrix_unit.instructions import HAS_MATRIX_UNIT
from ..matrix_unit.thirds import in_thirds
from ..network import BIAS, K_, N_, PANEL, WEIGHTS, Network
from ..optimizers import Memory, Move, undecayed, update
from ..panels import STRIP, panel_width
from ..simd.vectors import lanes
from ..sync import share
from .batch_weights import (
    NARROW,
    Source,
    batch_begin,
    batch_bias,
    batch_strips,
    batch_weights,
    layer_inputs,
)
from .digits_step import digits_step
from .parts import Parts, Scratch, Shards, Tile, own_columns, own_rows, scattered
from .passes import transpose_rows
from .shards import shards_begin, shards_bias, shards_strips, shards_weights
from .thirds_step import thirds_step


def _make_weights_step(
    begin_layer: Callable[..., None], bring_strips: Callable[..., int], weights_gradient: Callable[..., int]
) -> Callable[..., None]:
    @kernel
    def weights_step(
        network: Network,
        layer: int,
        source: Any,
        parts: Parts,
        move: Move,
        memory: Memory,
        t: int,
        threads: int,
        scratch: Scratch,
    ) -> None:
        """Thread t's part of a layer's W: a tile's gradient, which stays in L1, then its step."""
        params, tile = network.params, scratch.tile
        K, N, widest = network.layers[layer, K_], network.layers[layer, N_], network.layers[layer, PANEL]
        first_column, last_column = own_columns(network, parts, layer, t, threads)
        first_part, last_part, regions = t, t + 1, threads
        if layer == 0 and parts.by_columns and scattered(network, layer) == 0:  # all rows of some columns
            first_part, last_part, regions = 0, parts.regions, parts.regions
        tall, most = STRIP, 2 * lanes(tile)
        if K <= NARROW and widest == most:  # dW.T is then made a whole tile wide, see multiply_filled
            tall = most
        begin, end = own_rows(network, layer, t, threads)
        if first_column < last_column:
            begin_layer(network, layer, source, begin, end, first_column, last_column, scratch)
        for part in range(first_part, last_part):
            begin, end = own_rows(network, layer, part, regions)
            top = begin
            while top < end:
                bottom, n = bring_strips(network, layer, source, top, end, scratch), first_column
                while n < last_column:
                    # A panel of dZ stays in L1 and W is taken as it lies, while the strips pass by.
                    wide = panel_width(tile, N - n, widest)
                    for k in range(top, bottom, tall):
                        rows, p = min(tall, bottom - k), network.layers[layer, WEIGHTS] + n * K + k * wide
                        here = Tile(part, begin, top, k, rows, n, wide)
                        g = weights_gradient(network, layer, source, here, scratch)
                        update(move, params, p, tile, g, memory, rows * wide)
                        if layer > 0 and not (HAS_MATRIX_UNIT and in_thirds(network, layer)):
                            transpose_rows(network, layer, k, k + rows, n)
                    n += wide
                top = bottom

    return weights_step


def _make_bias_step(bias_gradient: Callable[..., None]) -> Callable[..., None]:
    @kernel
    def bias_step(
        network: Network, layer: int, source: Any, move: Move, memory: Memory, t: int, threads: int, scratch: Scratch
    ) -> None:
        """Thread t's part of a layer's b."""
        tile = scratch.tile
        wide = STRIP * lanes(tile)
        begin, end = share(network.layers[layer, N_], wide, t, threads)
        for n in range(begin, end, wide):
            count = min(wide, end - n)
            bias_gradient(network, layer, source, n, count, scratch)
            update(undecayed(move), network.params, network.layers[layer, BIAS] + n, tile, 0, memory, count)

    return bias_step


_batch_weights_step = _make_weights_step(batch_begin, batch_strips, batch_weights)
_shards_weights_step = _make_weights_step(shards_begin, shards_strips, shards_weights)
_batch_bias_step, _shards_bias_step = _make_bias_step(batch_bias), _make_bias_step(shards_bias)
_step_on_unit = kernel_by_dtype(thirds_step, digits_step)


@kernel
def batch_step(
    network: Network, layer: int, source: Source, move: Move, memory: Memory, t: int, threads: int, scratch: Scratch
) -> None:
    """Thread t's part of a layer's W and b, along the gradient of a batch."""
    if HAS_MATRIX_UNIT and in_thirds(network, layer):
        n, last = own_columns(network, source.parts, layer, t, threads)
        begin, end = own_rows(network, layer, t, threads)
        if layer == 0 and source.parts.by_columns:
            begin, end = 0, network.layers[layer, K_]
        A = layer_inputs(network, layer, source, scratch)
        _step_on_unit(network, layer, source, A, begin, end, n, last, move, memory, scratch.tile)
    else:
        _batch_weights_step(network, layer, source, source.parts, move, memory, t, threads, scratch)
    _batch_bias_step(network, layer, source, move, memory, t, threads, scratch)


@kernel
def shards_step(
    network: Network, shards: Shards, parts: Parts, move: Move, memory: Memory, t: int, threads: int, scratch: Scratch
) -> None:
    """Thread t's part of all layers, along the sum of the shards' gradients."""
    for layer in range(len(network.layers) - 1):
        _shards_weights_step(network, layer, shards, parts, move, memory, t, threads, scratch)
        _shards_bias_step(network, layer, shards, move, memory, t, threads, scratch)
