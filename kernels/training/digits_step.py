"""The step on the first layer's W where its gradient is made of digits, see fixed_point.py: a tile of dW after the
other, which stays in L1. Reference: `train_step` in fastnn/reference.py."""

from __future__ import annotations

from ..compiling.compile import Array, noinline
from ..matrix_unit.fixed_point import begin_gradients, bring_bytes, bytes_gradient
from ..matrix_unit.instructions import SIDE
from ..matrix_unit.products import TALL
from ..network import K_, N_, PANEL, WEIGHTS, Network
from ..optimizers import Memory, Move, update
from ..panels import Matrix, panel_width
from .batch_weights import Source


@noinline
def digits_step(
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
    tile: Array,
) -> None:
    """As thirds_step. tile: room for one."""
    params, K, N, top = network.params, network.layers[0, K_], network.layers[0, N_], begin
    features, batch, B = source.data.rows, source.batch, source.B
    while top < end:
        bottom = bring_bytes(network, features, batch.numbers, batch.ahead, B, top, end)
        for panel in range(n, last, SIDE):
            wide = panel_width(params, N - panel, network.layers[0, PANEL])
            begin_gradients(network, 0, batch.values, B, 0, B, panel, min(panel + SIDE, last), features.factor)
            for k in range(top, bottom, TALL):
                rows, p = min(TALL, bottom - k), network.layers[0, WEIGHTS] + panel * K + k * wide
                bytes_gradient(network, 0, B, k - top, rows, panel, wide, tile, 0)
                update(move, params, p, tile, 0, memory, rows * wide)
        top = bottom
