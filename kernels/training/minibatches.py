"""One thread's part of training by mini-batches, whole epochs at a time.

Reference: `train_step` in fastnn/reference.py. All threads run the same kernel with their number t and meet at
barriers. Work is split by what it writes, never by how many threads there are, so that nothing is added up in an order
that depends on them: any number gives the same bits. replicas.py and slices.py take the same steps, with less to and
fro where networks are small.
"""

from __future__ import annotations

import math

from ..compiling.compile import Array, entry, kernel
from ..matrix_unit.thirds import claim_unit, release_unit, with_words
from ..network import INPUT, K_, N_, PANEL, Network
from ..optimizers import at_step
from ..panels import Matrix
from ..simd.vectors import TILE_ROWS
from ..sync import (
    DIVERGED,
    STEPS,
    STOP,
    STOPPING,
    atomic_load,
    atomic_store,
    barrier,
    enter,
    flush_denormals,
    restore_mode,
    share,
)
from .batch_weights import Source
from .parts import (
    Parts,
    Scratch,
    Steps,
    batch_of_step,
    flip_part,
    own_columns,
    own_rows,
    prefetch_next,
    rows_of_step,
    scattered,
)
from .passes import activate_rows, backward, layer_backward, layer_forward
from .penalty import objective, square_weights
from .rows import Batch, Data, input_layer, rows_loss, step_scale, total
from .steps import batch_step


@kernel
def middle_forward(
    control: Array,
    network: Network,
    values: Array,
    B: int,
    begin: int,
    end: int,
    middle: int,
    number: int,
    t: int,
    threads: int,
) -> None:
    """Thread t's columns of layers 1 to `middle`, for all rows of a batch of B, of which begin..end are its own: it
    reads, and splits for the matrix unit, but its part of W: 784-512-512-10, 1100 to 1035 us a step."""
    for layer in range(1, middle + 1):
        activate_rows(network, layer - 1, values, B, begin, end, number)
        barrier(control, threads)
        K, N = network.layers[layer, K_], network.layers[layer, N_]
        n, last = share(N, network.layers[layer, PANEL], t, threads)
        A = Matrix(values, B * network.layers[layer, INPUT], K, 1)
        if n < last:
            layer_forward(network, layer, A, values, B, 0, B, n, last - n)
        barrier(control, threads)


@entry
def train_minibatches(
    t: int,
    threads: int,
    control: Array,
    network: Network,
    data: Data,
    steps: Steps,
    batch: Batch,
    parts: Parts,
    scratch: Scratch,
    right: Array,
    losses_out: Array,
    right_out: Array,
) -> None:
    """All these steps of mini-batches.

    Losses (summed, with the penalty) and right rows are added to every epoch's losses_out and right_out; right
    (threads * 8,) is scratch.
    Ends early, before the step, when STOP is set or a batch's loss is not finite; STEPS counts the steps taken.
    """
    enter(control)
    mode, order, terms, memory = flush_denormals(), steps.order, steps.terms, steps.memory
    network = with_words(network, scratch.words)
    claim_unit(network)
    for step in range(steps.first, steps.last):
        epoch, at, B = rows_of_step(steps, step)
        begin, end = share(B, TILE_ROWS, t, threads)
        own = batch_of_step(steps, at, B, batch, scratch)
        if parts.by_columns:
            n, last_column = own_columns(network, parts, 0, t, threads)
            input_layer(network, data, own, scratch.inputs, B, 0, B, n, last_column - n)
        else:
            input_layer(network, data, own, own.values, B, begin, end, 0, network.layers[0, N_])
        if scattered(network, 0) == 0:
            flip_part(network, data, own, B, parts, t, threads, scratch)
        # The next batch's rows come from memory meanwhile: all of them, because every thread reads some of each.
        prefetch_next(network, data, steps, at, B, 0, B)
        if parts.by_columns:
            barrier(control, threads)
        scale, number = step_scale(data, order, at, at + B), memory.steps + step + 1
        middle_forward(control, network, own.values, B, begin, end, parts.middle, number, t, threads)
        right[8 * t] = rows_loss(network, data, own, B, begin, end, parts.middle + 1, scale, number)
        backward(network, own.values, B, begin, end, parts.middle, number)
        if terms.penalty > 0.0:
            square_weights(network, terms.squares, t, threads)
        if not math.isfinite(total(own.losses, begin, end)):
            atomic_store(control, DIVERGED, 1)
        if t == 0 and atomic_load(control, STOP):
            atomic_store(control, STOPPING, 1)
        barrier(control, threads)
        if atomic_load(control, DIVERGED) or atomic_load(control, STOPPING):
            break
        source, move = Source(data, own, B, parts), at_step(steps.rule, number, steps.decay + terms.penalty * scale)
        for layer in range(len(network.layers) - 2, -1, -1):
            if 0 < layer <= parts.middle:
                k, last_row = own_rows(network, layer, t, threads)
                layer_backward(network, layer, own.values, B, 0, B, k, last_row - k, number)
            batch_step(network, layer, source, move, memory, t, threads, scratch)
            if 0 < layer <= parts.middle:
                barrier(control, threads)
        if t == 0:  # only now, for who looks on divides the sums by the steps
            losses_out[epoch] += objective(terms, len(data.weights) > 0, total(own.losses, 0, B), B, scale)
            for other in range(threads):
                right_out[epoch] += right[8 * other]
            atomic_store(control, STEPS, step + 1 - steps.first)
        barrier(control, threads)
    release_unit(network)
    restore_mode(mode)
