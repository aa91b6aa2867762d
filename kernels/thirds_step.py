"""The step on a layer's W where the matrix unit makes the gradient: a tile of dW after the other, and while the unit
makes one the step of the tile before is taken. Reference: `train_step` in fastnn/reference.py."""

from __future__ import annotations

from typing import NamedTuple

from .bytes import as_bytes, bring_bytes
from .compile import Array, kernel, noinline
from .matrix_unit import SIDE
from .network import K_, N_, PANEL, TERMS, WEIGHTS, Network
from .optimizers import Move, update
from .panels import Matrix, panel_width
from .products import DEEP, TALL, from_row, make_multiply
from .rows import Batch, Data
from .thirds import PRODUCT, begin_gradients, bring_inputs, brought_gradients, brought_inputs


class Waiting(NamedTuple):
    """A tile that waits for its step: so many registers of parameters, from p on, and their gradient in `words`, from
    g on."""

    move: Move
    decay: float
    params: Array
    first: Array
    second: Array
    words: Array
    p: int
    g: int
    registers: int


@kernel
def _take_step(tile: Waiting, done: int, each: int) -> None:
    """On so many registers of a tile when `done` are done."""
    p, g = tile.p + done * SIDE, tile.g + done * SIDE
    update(tile.move, tile.decay, tile.params, p, tile.words, g, tile.first, tile.second, p, each * SIDE)


_multiply = make_multiply(_take_step)


@noinline
def _next_tile(
    network: Network, layer: int, B: int, k: int, rows: int, n: int, wide: int, to: int, tile: Waiting
) -> None:
    """As thirds_gradient, to `words`, while the step of the tile before is taken."""
    inputs, dZ, words = brought_inputs(network, layer, B), brought_gradients(network, layer, B, n), network.words
    terms = network.layers[layer, TERMS]
    _multiply(rows, wide, terms, from_row(inputs, k), dZ, inputs.pairs, True, words, to, tile, tile.registers)


@kernel
def _panels_step(network: Network, layer: int, B: int, top: int, bottom: int, n: int, last: int, tile: Waiting) -> None:
    """Rows top..bottom, which were brought, and columns n..last of W. tile: of no parameters."""
    K, N, places = network.layers[layer, K_], network.layers[layer, N_], 2 * PRODUCT + TALL * DEEP
    while n < last:
        # A panel of dZ stays in L1 and W is taken as it lies, while the inputs pass by.
        wide = panel_width(network.params, N - n, network.layers[layer, PANEL])
        for k in range(top, bottom, TALL):
            rows, p = min(TALL, bottom - k), network.layers[layer, WEIGHTS] + n * K + k * wide
            g = places - tile.g
            _next_tile(network, layer, B, k - top, rows, n, wide, g, tile)
            tile = Waiting(
                tile.move, tile.decay, tile.params, tile.first, tile.second, tile.words, p, g, rows * wide // SIDE
            )
        n += wide
    _take_step(tile, 0, tile.registers)


@kernel
def thirds_step(
    network: Network,
    layer: int,
    data: Data,
    batch: Batch,
    B: int,
    A: Matrix,
    begin: int,
    end: int,
    n: int,
    last: int,
    move: Move,
    decay: float,
    first: Array,
    second: Array,
    room: Array,
) -> None:
    """Rows begin..end and columns n..last of a layer's W, over a batch of B whose A.T is given. room: for a tile, see
    digits_step.py; here tiles lie in `words`."""
    tile, top = Waiting(move, decay, network.params, first, second, network.words, 0, PRODUCT, 0), begin
    begin_gradients(network, layer, batch.values, B, 0, B, n, last, data.rows.factor)
    while top < end:
        if layer == 0 and as_bytes(network):
            bottom = bring_bytes(network, data.rows, batch.numbers, batch.ahead, B, top, end)
        else:
            bottom = bring_inputs(network, layer, A, B, top, end)
        _panels_step(network, layer, B, top, bottom, n, last, tile)
        top = bottom
