"""Gradients of some rows of a batch, laid out as the parameters, to be added up: see Shards in parts.py. Reference:
`backward` in fastnn/reference.py."""

from __future__ import annotations

from ..compiling.compile import Array, kernel
from ..lists import Lists
from ..matrix_unit.byte_features import as_bytes
from ..matrix_unit.instructions import HAS_MATRIX_UNIT
from ..matrix_unit.layers import begin_gradients, bring_bytes, unit_gradient
from ..matrix_unit.products import TALL
from ..matrix_unit.thirds import bring_inputs, in_thirds
from ..network import BIAS, GRADIENT, INPUT, K_, N_, PANEL, WEIGHTS, Network
from ..panels import STRIP, Matrix, copy_strip, multiply_panel, pack, panel_width, sum_columns
from ..simd.vectors import lanes, load, prefetch, store
from ..sparse import add_columns
from .parts import Scratch
from .rows import Batch, Data, listed


@kernel
def add_on_unit(
    network: Network,
    data: Data,
    layer: int,
    batch: Batch,
    B: int,
    first: int,
    count: int,
    tile: Array,
    out: Array,
    dw: int,
    fresh: bool,
) -> None:
    """dW of a layer on the matrix unit over `count` places of a block of B from `first` on, from dw on; added to what
    is there unless `fresh`."""
    K, N, top = network.layers[layer, K_], network.layers[layer, N_], 0
    A = Matrix(batch.values, B * network.layers[layer, INPUT] + first * K, 1, K)
    while top < K:
        if layer == 0 and as_bytes(network):
            bottom = bring_bytes(network, data.rows, batch.numbers[first:], batch.ahead[first:], count, top, K)
        else:
            bottom = bring_inputs(network, layer, A, count, top, K)
        n = 0
        while n < N:
            wide = panel_width(out, N - n, network.layers[layer, PANEL])
            begin_gradients(network, layer, batch.values, B, first, count, n, min(n + wide, N), data.rows.factor)
            for k in range(top, bottom, TALL):
                some, to = min(TALL, bottom - k), dw + n * K + k * wide
                unit_gradient(network, layer, count, k - top, some, n, wide, tile, 0)
                for i in range(0, some * wide, lanes(out)):
                    x = load(tile, i, 1)
                    store(out, to + i, x if fresh else load(out, to + i, 1) + x)
            n += wide
        top = bottom


@kernel
def add_gradients(
    network: Network,
    data: Data,
    columns: Lists,
    first: int,
    batch: Batch,
    B: int,
    begin: int,
    end: int,
    scratch: Scratch,
    out: Array,
    out0: int,
    fresh: bool,
) -> None:
    """The gradient of rows begin..end of a batch of B, laid out as the parameters; added to what is there unless
    `fresh`. columns: these rows' features, if they are lists, by columns, from list `first` on."""
    layers, nothing, depth = network.layers, Matrix(network.zero, 0, 0, 1), end - begin
    for layer in range(len(layers) - 1):
        K, N, dw = layers[layer, K_], layers[layer, N_], out0 + layers[layer, WEIGHTS]
        dZ = Matrix(batch.values, B * layers[layer + 1, GRADIENT] + begin * N, N, 1)
        if HAS_MATRIX_UNIT and in_thirds(network, layer):
            add_on_unit(network, data, layer, batch, B, begin, depth, scratch.tile, out, dw, fresh)
        elif layer == 0 and listed(data):
            pack(depth, 0, N, N, layers[layer, PANEL], dZ, scratch.packed, 0)
            add_columns(network, columns, first, depth, scratch.packed, out, dw, fresh)
        else:
            A = B * layers[layer, INPUT] + begin * K
            pack(depth, 0, N, N, layers[layer, PANEL], dZ, scratch.packed, 0)
            for k in range(0, K, STRIP):
                rows, n = min(STRIP, K - k), 0
                copy_strip(rows, depth, Matrix(batch.values, A + k, 1, K), scratch.strips, 0)
                while n < N:
                    wide = panel_width(out, N - n, layers[layer, PANEL])
                    C, packed = Matrix(out, dw + n * K + k * wide, wide, 1), Matrix(scratch.packed, n * depth, wide, 1)
                    # The next panel's, meanwhile: 784-512-512, whose gradients come from L3, 3 to 9%.
                    for i in range(0, rows * wide, lanes(out)):
                        prefetch(out, C.offset + wide * K + i)
                    strip = Matrix(scratch.strips, 0, 1, STRIP)
                    multiply_panel(rows, wide, depth, strip, packed, nothing if fresh else C, C)
                    n += wide
        db = out0 + layers[layer, BIAS]
        sum_columns(depth, N, dZ, nothing if fresh else Matrix(out, db, 0, 1), out, db)
