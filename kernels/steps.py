"""The second half of a step: gradients of every weight over a batch, and the optimizer's step on it.

Reference: `train_step` in fastnn/reference.py. rows.py is the first half, training.py makes whole epochs of both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .bytes import as_bytes
from .compile import Array, kernel, kernel_by_dtype
from .digits_step import digits_step
from .lists import Lists, flip
from .matrix_unit import HAS_MATRIX_UNIT
from .network import (
    BIAS,
    GRADIENT,
    INPUT,
    K_,
    N_,
    PANEL,
    WEIGHTS,
    Network,
)
from .optimizers import Move, Rule, update
from .panels import STRIP, Matrix, below, copy_strip, multiply_filled, pack, panel_width, sum_columns
from .partial import load_first, store_first
from .passes import transpose_rows
from .penalty import Terms
from .rows import Batch, Data, listed, prefetch_rows
from .simd import lanes, prefetch
from .sparse import multiply_lists, scatter_rows
from .sync import share
from .thirds import in_thirds
from .thirds_step import thirds_step

# So many numbers before their use gradients are asked for, which come from other cores: 64-100-10, 9.5 to 8 us.
AHEAD = 1024

# Up to so many inputs of a layer, rows of A lie near enough to each other to be read where they are.
NARROW = 128

# Rows that are a multiple of so many bytes apart throw each other out of L1.
SAME_SETS = 256


class Scratch(NamedTuple):
    """A thread's own: a strip of dW; strips of A and all of dZ of one layer, brought together; features of the batch.

    tile (STRIP * PANEL,), or two squares of two registers a row, or all rows of a dW that is scattered, or what the
    outputs need, see softmax.py; strips (B * STRIP or some times that,); packed (B * N padded,); inputs (B * K,), if
    threads share the first layer by its columns; cuts (2 * B,) int64; words for the matrix unit, see thirds.py.
    """

    tile: Array
    strips: Array
    packed: Array
    inputs: Array
    cuts: Array
    words: Array


class Parts(NamedTuple):
    """How the first layer of a batch is shared: by columns of W, or by rows of the batch and of W.

    By columns a thread's part of W stays in its own cache: what it writes is read by nobody else, 45 us a step less for
    784 x 128. columns: the batch's features by columns, if they are lists, in regions: one for each thread's rows of W.
    middle: layers 1 to this one go backward by columns, for the same reason: a thread then reads no rows of W.T but
    those it writes, 298 us for 512 x 512 and 128 rows on two threads, now 242.
    """

    by_columns: bool
    columns: Lists
    regions: int
    middle: int


class Shards(NamedTuple):
    """Gradients of each fixed share of the rows (parts * size,), their losses (float64) and right rows.

    Of the full batch a share is some grains of so many rows; `block` of them pass through the network together.
    """

    gradients: Array
    losses: Array
    right: Array
    parts: int
    size: int
    grain: int
    block: int


class Memory(NamedTuple):
    """What the optimizer remembers, laid out as the parameters, and the number of steps taken before."""

    first: Array
    second: Array
    steps: int


class Steps(NamedTuple):
    """Steps first..last of epochs of mini-batches of m rows, those of each in its part of `order` (epochs * m,), and
    how they are taken."""

    m: int
    order: Array
    batch_size: int
    first: int
    last: int
    rule: Rule
    decay: float
    terms: Terms
    memory: Memory


@kernel
def rows_of_step(steps: Steps, step: int) -> tuple[int, int, int]:
    """Its epoch, where its rows begin in the order, and how many there are."""
    batches = (steps.m + steps.batch_size - 1) // steps.batch_size
    epoch, start = step // batches, step % batches * steps.batch_size
    return epoch, epoch * steps.m + start, min(steps.batch_size, steps.m - start)


@kernel
def batch_of_step(steps: Steps, at: int, B: int, batch: Batch, scratch: Scratch) -> Batch:
    """A batch that holds the B rows from `at` on in the order; what is scratch in it is the thread's own."""
    numbers, labels, targets, losses = steps.order[at : at + B], batch.labels, batch.targets, batch.losses
    ahead = steps.order[at + B : at + 2 * B]
    return Batch(batch.values, numbers, labels, targets, losses, scratch.tile, scratch.cuts, ahead)


@kernel
def prefetch_next(network: Network, data: Data, steps: Steps, at: int, B: int, begin: int, end: int) -> None:
    """Ask for rows begin..end of the batch after the one of B rows at `at`; they come from memory meanwhile."""
    if HAS_MATRIX_UNIT and as_bytes(network):  # which does so by itself, see bring_bytes
        return
    order, after = steps.order, at + B
    prefetch_rows(network, data, order, min(after + begin, len(order)), min(after + end, len(order)))


@kernel
def read_in_place(network: Network, data: Data, layer: int) -> bool:
    """Whether a layer's dZ is read where it lies; else it is brought together first, in panels as wide as those of W,
    which takes 2.6 us of the 80 of a step of 64-100-10 in float64."""
    layers, size = network.layers, network.params.itemsize
    if layers[layer, K_] > NARROW or (layer == 0 and listed(data)):
        return False
    apart: bool = layers[layer, N_] * size % SAME_SETS > 0
    return apart


@kernel
def pack_dz(network: Network, batch: Batch, B: int, layer: int, begin: int, end: int, scratch: Scratch) -> None:
    """Bring columns begin..end of dZ together."""
    N = network.layers[layer, N_]
    dZ = Matrix(batch.values, B * network.layers[layer + 1, GRADIENT], N, 1)
    pack(B, begin, end, N, network.layers[layer, PANEL], dZ, scratch.packed, 0)


@kernel
def panel_of_dz(network: Network, source: Any, layer: int, n: int, wide: int, scratch: Scratch) -> Matrix:
    """Columns n.. of dZ."""
    data, batch, B, _ = source
    if read_in_place(network, data, layer):
        N = network.layers[layer, N_]
        return Matrix(batch.values, B * network.layers[layer + 1, GRADIENT] + n, N, 1)
    return Matrix(scratch.packed, n * B, wide, 1)


@kernel
def scattered(network: Network, layer: int) -> int:
    """The width of dW's only panel if it is so narrow that rows are scattered into it, else 0."""
    wide = panel_width(network.params, network.layers[layer, N_], network.layers[layer, PANEL])
    return wide if wide <= 2 * lanes(network.params) and wide >= network.layers[layer, N_] else 0


@kernel
def own_columns(network: Network, parts: Parts, layer: int, t: int, threads: int) -> tuple[int, int]:
    """The columns (begin, end) of a layer that are thread t's, where layers are shared by columns; else all."""
    N = network.layers[layer, N_]
    if layer == 0 and parts.by_columns:
        return share(N, network.layers[layer, PANEL], t, threads)
    return 0, N


@kernel
def own_rows(network: Network, layer: int, t: int, threads: int) -> tuple[int, int]:
    """The rows (begin, end) of a layer's W that are thread t's, where layers are shared by rows: whole strips, and
    whole panels of W.T."""
    grain = STRIP if layer == 0 else max(STRIP, 2 * lanes(network.params))
    return share(network.layers[layer, K_], grain, t, threads)


@kernel
def flip_part(
    network: Network, data: Data, batch: Batch, B: int, parts: Parts, t: int, threads: int, scratch: Scratch
) -> None:
    """Thread t's columns of the batch's features, if they are lists."""
    if listed(data):
        begin, end = own_rows(network, 0, t, threads)
        base = len(parts.columns.places) // threads * t
        flip(data.lists, batch.numbers, B, begin, end, scratch.cuts, parts.columns, begin + t, base)


@kernel
def batch_begin(
    network: Network, source: Any, layer: int, begin: int, end: int, n: int, last: int, scratch: Scratch
) -> None:
    """What rows begin..end and columns n..last of dW = A.T @ dZ need: dZ packed, or dW itself if it is scattered."""
    data, batch, B, _ = source
    if not read_in_place(network, data, layer):
        pack_dz(network, batch, B, layer, n, last, scratch)
    wide = scattered(network, layer)
    if layer == 0 and listed(data) and wide > 0:
        scatter_rows(data.lists, batch.numbers, B, begin, end, wide, scratch.packed, scratch.tile, 0)


@kernel
def layer_inputs(network: Network, source: Any, layer: int, scratch: Scratch) -> Matrix:
    """A.T of a layer, where its rows lie in a batch."""
    _, batch, B, parts = source
    K = network.layers[layer, K_]
    if layer == 0 and parts.by_columns:
        return Matrix(scratch.inputs, 0, 1, K)
    return Matrix(batch.values, B * network.layers[layer, INPUT], 1, K)


@kernel
def batch_strips(network: Network, source: Any, layer: int, top: int, end: int, scratch: Scratch) -> int:
    """Bring strips of A together for rows of dW from `top` on, as many as there is room for; returns the first without.

    Every panel reads them again, and rows of A lie K apart: 128 hidden units, 92 to 117 GFLOP/s. Where that is not far
    it is not worth it: 64-100-10, 58 to 53 us a step on two threads.
    """
    data, _, B, _ = source
    bottom: int = end
    if layer == 0 and listed(data):
        return bottom
    A, K = layer_inputs(network, source, layer, scratch), network.layers[layer, K_]
    if K <= NARROW:
        return bottom
    bottom = min(end, top + len(scratch.strips) // (B * STRIP) * STRIP)
    for k in range(top, bottom, STRIP):
        copy_strip(min(STRIP, bottom - k), B, below(A, k), scratch.strips, (k - top) * B)
    return bottom


@kernel
def batch_weights(
    network: Network,
    source: Any,
    layer: int,
    part: int,
    begin: int,
    top: int,
    k: int,
    rows: int,
    n: int,
    wide: int,
    scratch: Scratch,
) -> int:
    """Rows k.. of dW = A.T @ dZ over a batch, the panel of columns n.., where `begin` is the first row of this part and
    `top` that of the strips. Returns where in the tile it lies."""
    data, _, B, parts = source
    zero = Matrix(network.zero, 0, 0, 1)
    if layer == 0 and listed(data):
        C = Matrix(scratch.tile, 0, wide, 1)
        if scattered(network, layer) > 0:
            return (k - begin) * wide
        multiply_lists(parts.columns, scratch.cuts[:0], k + part, rows, wide, scratch.packed, n * B, zero, wide, C)
        return 0
    strip = Matrix(scratch.strips, (k - top) * B, 1, STRIP)
    if network.layers[layer, K_] <= NARROW:
        strip = below(layer_inputs(network, source, layer, scratch), k)
    dZ = panel_of_dz(network, source, layer, n, wide, scratch)
    multiply_filled(rows, min(wide, network.layers[layer, N_] - n), wide, B, strip, dZ, zero, scratch.tile)
    return 0


@kernel
def batch_bias(network: Network, source: Any, layer: int, n: int, columns: int, scratch: Scratch) -> None:
    """Columns n.. of db, the sum of dZ over a batch."""
    _, batch, B, _ = source
    dZ = B * network.layers[layer + 1, GRADIENT] + n
    sum_columns(
        B,
        columns,
        Matrix(batch.values, dZ, network.layers[layer, N_], 1),
        Matrix(network.zero, 0, 0, 1),
        scratch.tile,
        0,
    )


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
    network: Network, source: Shards, layer: int, begin: int, end: int, n: int, last: int, scratch: Scratch
) -> None:
    """Nothing to prepare."""


@kernel
def shards_strips(network: Network, source: Shards, layer: int, top: int, end: int, scratch: Scratch) -> int:
    """Nothing to bring together."""
    return end


@kernel
def shards_weights(
    network: Network,
    source: Shards,
    layer: int,
    part: int,
    begin: int,
    top: int,
    k: int,
    rows: int,
    n: int,
    wide: int,
    scratch: Scratch,
) -> int:
    """Rows k.. and columns n.. of dW, summed over the shards."""
    K = network.layers[layer, K_]
    sum_shards(source, network.layers[layer, WEIGHTS] + n * K + k * wide, rows * wide, scratch.tile)
    return 0


@kernel
def shards_bias(network: Network, source: Shards, layer: int, n: int, columns: int, scratch: Scratch) -> None:
    """Columns n.. of db, summed over the shards."""
    sum_shards(source, network.layers[layer, BIAS] + n, columns, scratch.tile)


_unit_step = kernel_by_dtype(thirds_step, digits_step)


@kernel
def batch_on_unit(
    network: Network,
    layer: int,
    source: Any,
    parts: Parts,
    move: Move,
    decay: float,
    memory: Memory,
    t: int,
    threads: int,
    scratch: Scratch,
) -> bool:
    """Thread t's part of a layer's W, if it is made on the matrix unit; returns whether it is."""
    if not (HAS_MATRIX_UNIT and in_thirds(network, layer)):
        return False
    data, batch, B, _ = source
    n, last = own_columns(network, parts, layer, t, threads)
    begin, end = own_rows(network, layer, t, threads)
    if layer == 0 and parts.by_columns:
        begin, end = 0, network.layers[layer, K_]
    A, m, v, tile = layer_inputs(network, source, layer, scratch), memory.first, memory.second, scratch.tile
    X, values, numbers, ahead = data.rows, batch.values, batch.numbers, batch.ahead
    _unit_step(network, layer, X, values, numbers, ahead, B, A, begin, end, n, last, move, decay, m, v, tile)
    return True


@kernel
def shards_on_unit(
    network: Network,
    layer: int,
    source: Shards,
    parts: Parts,
    move: Move,
    decay: float,
    memory: Memory,
    t: int,
    threads: int,
    scratch: Scratch,
) -> bool:
    """What is summed is not made there."""
    return False


def _make_weights_step(
    on_unit: Callable[..., bool],
    begin_layer: Callable[..., None],
    bring_strips: Callable[..., int],
    weights_gradient: Callable[..., int],
    bias_gradient: Callable[..., None],
) -> Callable[..., None]:
    @kernel
    def weights_step(
        network: Network,
        layer: int,
        source: Any,
        parts: Parts,
        move: Move,
        decay: float,
        memory: Memory,
        t: int,
        threads: int,
        scratch: Scratch,
    ) -> None:
        """Thread t's part of a layer's W and b: a tile's gradient, which stays in L1, then its step."""
        params, first, second, tile = network.params, memory.first, memory.second, scratch.tile
        K, N, widest = network.layers[layer, K_], network.layers[layer, N_], network.layers[layer, PANEL]
        n0, last = own_columns(network, parts, layer, t, threads)
        first_part, last_part, regions = t, t + 1, threads
        if layer == 0 and parts.by_columns and scattered(network, layer) == 0:  # all rows of some columns
            first_part, last_part, regions = 0, parts.regions, parts.regions
        if on_unit(network, layer, source, parts, move, decay, memory, t, threads, scratch):  # nothing is left of W
            n0, last_part = last, first_part
        tall, most = STRIP, 2 * lanes(tile)
        if K <= NARROW and widest == most:  # dW.T is then made a whole tile wide, see multiply_filled
            tall = most
        begin, end = own_rows(network, layer, t, threads)
        if n0 < last:
            begin_layer(network, source, layer, begin, end, n0, last, scratch)
        for part in range(first_part, last_part):
            begin, end = own_rows(network, layer, part, regions)
            top = begin
            while top < end:
                bottom, n = bring_strips(network, source, layer, top, end, scratch), n0
                while n < last:
                    # A panel of dZ stays in L1 and W is taken as it lies, while the strips pass by.
                    wide = panel_width(tile, N - n, widest)
                    for k in range(top, bottom, tall):
                        rows, p = min(tall, bottom - k), network.layers[layer, WEIGHTS] + n * K + k * wide
                        g = weights_gradient(network, source, layer, part, begin, top, k, rows, n, wide, scratch)
                        update(move, decay, params, p, tile, g, first, second, p, rows * wide)
                        if layer > 0 and not (HAS_MATRIX_UNIT and in_thirds(network, layer)):
                            transpose_rows(network, layer, k, k + rows, n)
                    n += wide
                top = bottom
        wide = STRIP * lanes(tile)
        begin, end = share(N, wide, t, threads)
        for n in range(begin, end, wide):
            count, p = min(wide, end - n), network.layers[layer, BIAS] + n
            bias_gradient(network, source, layer, n, count, scratch)
            update(move, 0.0, params, p, tile, 0, first, second, p, count)

    return weights_step


batch_step = _make_weights_step(batch_on_unit, batch_begin, batch_strips, batch_weights, batch_bias)
_shards_step = _make_weights_step(shards_on_unit, shards_begin, shards_strips, shards_weights, shards_bias)


@kernel
def shards_step(
    network: Network,
    shards: Shards,
    parts: Parts,
    move: Move,
    decay: float,
    memory: Memory,
    t: int,
    threads: int,
    scratch: Scratch,
) -> None:
    """Thread t's part of all layers."""
    for layer in range(len(network.layers) - 1):
        _shards_step(network, layer, shards, parts, move, decay, memory, t, threads, scratch)
