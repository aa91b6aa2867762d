"""The step on a layer's W where the matrix unit makes the gradient: a tile of dW after the other, and while the unit
makes one the step of the tile before is taken. Reference: `train_step` in fastnn/reference.py."""

from __future__ import annotations

from ..compiling.compile import Array, kernel
from ..matrix_unit.byte_features import as_bytes, bring_bytes
from ..matrix_unit.instructions import SIDE
from ..matrix_unit.products import DEEP, TALL, from_row
from ..matrix_unit.thirds import PRODUCT, begin_gradients, bring_inputs, brought_gradients, brought_inputs
from ..matrix_unit.waiting import Waiting, multiply_meanwhile, take_step
from ..network import K_, N_, PANEL, TERMS, WEIGHTS, Network
from ..optimizers import Memory, Move
from ..panels import Matrix, panel_width
from .batch_weights import Source


@kernel
def _panels_step(network: Network, layer: int, B: int, top: int, bottom: int, n: int, last: int, tile: Waiting) -> None:
    """Rows top..bottom, which were brought, and columns n..last of W. tile: of no parameters."""
    K, N, places = network.layers[layer, K_], network.layers[layer, N_], 2 * PRODUCT + TALL * DEEP
    inputs, words, terms = brought_inputs(network, layer, B), network.words, network.layers[layer, TERMS]
    while n < last:
        # A panel of dZ stays in L1 and W is taken as it lies, while the inputs pass by.
        wide = panel_width(network.params, N - n, network.layers[layer, PANEL])
        for k in range(top, bottom, TALL):
            rows, p = min(TALL, bottom - k), network.layers[layer, WEIGHTS] + n * K + k * wide
            g = places - tile.g
            A, dZ = from_row(inputs, k - top), brought_gradients(network, layer, B, n)
            multiply_meanwhile(rows, wide, terms, A, dZ, inputs.pairs, True, words, g, tile)
            tile = Waiting(tile.move, tile.params, tile.memory, tile.words, p, g, rows * wide // SIDE)
        n += wide
    take_step(tile, 0, tile.registers)


@kernel
def thirds_step(
    network: Network,
    layer: int,
    source: Source,
    A: Matrix,
    begin: int,
    end: int,
    n: int,
    last: int,
    move: Move,
    memory: Memory,
    room: Array,
) -> None:
    """Rows begin..end and columns n..last of a layer's W, over a batch whose A.T is given. room: for a tile, see
    digits_step.py; here tiles lie in `words`."""
    features, batch, B, top = source.data.rows, source.batch, source.B, begin
    tile = Waiting(move, network.params, memory, network.words, 0, PRODUCT, 0)
    begin_gradients(network, layer, batch.values, B, 0, B, n, last, features.factor)
    while top < end:
        if layer == 0 and as_bytes(network):
            bottom = bring_bytes(network, features, batch.numbers, batch.ahead, B, top, end)
        else:
            bottom = bring_inputs(network, layer, A, B, top, end)
        _panels_step(network, layer, B, top, bottom, n, last, tile)
        top = bottom
