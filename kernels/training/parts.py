"""What the second half of a step works with: whose rows and columns they are, and where everything lies.

Work is split by what it writes, never by how many threads there are: see minibatches.py.
"""

from __future__ import annotations

from typing import NamedTuple

from ..compiling.compile import Array, kernel
from ..lists import Lists, flip
from ..matrix_unit.byte_features import as_bytes
from ..matrix_unit.instructions import HAS_MATRIX_UNIT
from ..network import K_, N_, PANEL, Network
from ..optimizers import Memory, Rule
from ..panels import STRIP, panel_width
from ..simd.vectors import lanes, prefetch_later
from ..sync import share
from .penalty import Terms
from .rows import Batch, Data, listed, prefetch_rows


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


class Tile(NamedTuple):
    """Rows k.. and columns n.. of a layer's W, of a panel so wide, whose step is taken at once.

    They are of rows that begin with `begin`, part number `part` of all; the strips that were brought begin with `top`.
    """

    part: int
    begin: int
    top: int
    k: int
    rows: int
    n: int
    wide: int


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
    if listed(data):  # where a list begins is read to ask for it, one row after the other: 784-10-10, 8% of an epoch
        for i in range(min(after + B + begin, len(order)), min(after + B + end, len(order))):
            prefetch_later(data.lists.starts, order[i])


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
def scattered(network: Network, layer: int) -> int:
    """The width of dW's only panel if it is so narrow that rows are scattered into it, else 0."""
    wide = panel_width(network.params, network.layers[layer, N_], network.layers[layer, PANEL])
    return wide if wide <= 2 * lanes(network.params) and wide >= network.layers[layer, N_] else 0


@kernel
def flip_part(
    network: Network, data: Data, batch: Batch, B: int, parts: Parts, t: int, threads: int, scratch: Scratch
) -> None:
    """Thread t's columns of the batch's features, if they are lists."""
    if listed(data):
        begin, end = own_rows(network, 0, t, threads)
        base = len(parts.columns.places) // threads * t
        flip(data.lists, batch.numbers, B, begin, end, scratch.cuts, parts.columns, begin + t, base)
