"""One worker's part of training, whole epochs at a time. Reference: `train_step` in fastnn/reference.py.

All threads run the same kernel with their number t and meet at barriers. Work is split by what it writes, never by how
many threads there are, so that nothing is added up in an order that depends on them: any number gives the same bits.
"""

from __future__ import annotations

import math

from .batch_weights import Source
from .compile import Array, entry, kernel
from .gradients import add_gradients
from .lists import flip
from .matrix_unit import HAS_MATRIX_UNIT
from .network import INPUT, K_, N_, PANEL, Network
from .optimizers import Memory, Rule, at_step
from .panels import Matrix
from .parts import (
    Parts,
    Scratch,
    Shards,
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
from .rows import BLOCK, Batch, Data, input_layer, listed, rows_loss, step_scale, total, with_ahead
from .shards import sum_shards
from .simd import TILE_ROWS
from .steps import batch_step, shards_step
from .sync import (
    ABANDONED,
    DIVERGED,
    NEXT,
    STEPS,
    STOP,
    STOPPING,
    atomic_add,
    atomic_load,
    atomic_store,
    barrier,
    flush_denormals,
    restore_mode,
    share,
)
from .thirds import claim_unit, release_unit, with_words
from .unit_layers import split_weights


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


@kernel
def batch_gradient(
    network: Network,
    data: Data,
    batch: Batch,
    B: int,
    begin: int,
    end: int,
    scale: float,
    number: int,
    parts: Parts,
    scratch: Scratch,
    shards: Shards,
    s: int,
) -> None:
    """Loss, right rows and gradient of rows begin..end of a batch of B, which are its shard s."""
    K = network.layers[0, K_]
    input_layer(network, data, batch, batch.values, B, begin, end, 0, network.layers[0, N_])
    shards.right[s] = rows_loss(network, data, batch, B, begin, end, 1, scale, number)
    shards.losses[s] = total(batch.losses, begin, end)
    backward(network, batch.values, B, begin, end, 0, number)
    if listed(data):
        flip(data.lists, batch.numbers[begin:end], end - begin, 0, K, scratch.cuts, parts.columns, 0, 0)
    out0 = s * shards.size
    add_gradients(network, data, parts.columns, 0, batch, B, begin, end, scratch, shards.gradients, out0, True)


@entry
def train_replicas(
    t: int,
    threads: int,
    control: Array,
    network: Network,
    data: Data,
    steps: Steps,
    batch: Batch,
    parts: Parts,
    scratch: Scratch,
    shards: Shards,
    losses_out: Array,
    right_out: Array,
) -> None:
    """As train_minibatches, for a network of which every thread has a copy: network, memory, parts and scratch are the
    thread's own, and all copies take the same step, along the sum of the shards' gradients.

    Where a batch makes more numbers than there are parameters less goes from core to core: 24-100-100-8 with batches of
    200 on two threads 160 us a step, now 119. Threads meet once a step; so there are two generations of shards, taken
    in turns, and who stops says in which step: (2 * parts, ...).
    """
    mode, order, terms, memory = flush_denormals(), steps.order, steps.terms, steps.memory
    network = with_words(network, scratch.words)
    claim_unit(network)
    for step in range(steps.first, steps.last):
        epoch, at, B = rows_of_step(steps, step)
        own = batch_of_step(steps, at, B, batch, scratch)
        scale, number = step_scale(data, order, at, at + B), memory.steps + step + 1
        turn = step % 2 * shards.parts
        now = Shards(
            shards.gradients[turn * shards.size :],
            shards.losses[turn:],
            shards.right[turn:],
            shards.parts,
            shards.size,
            shards.grain,
            shards.block,
        )
        s_begin, s_end = share(shards.parts, 1, t, threads)
        if HAS_MATRIX_UNIT:
            split_weights(network, data.rows.factor)
        for s in range(s_begin, s_end):
            begin, end = share(B, TILE_ROWS // 2, s, shards.parts)  # of 200 rows 100 each
            prefetch_next(network, data, steps, at, B, begin, end)
            batch_gradient(network, data, own, B, begin, end, scale, number, parts, scratch, now, s)
            if not math.isfinite(now.losses[s]):
                atomic_store(control, DIVERGED, step + 1)
        if t == 0 and atomic_load(control, STOP):
            atomic_store(control, STOPPING, step + 1)
        barrier(control, threads)
        if atomic_load(control, DIVERGED) == step + 1 or atomic_load(control, STOPPING) == step + 1:
            break
        if atomic_load(control, ABANDONED):
            break
        if t == 0 and terms.penalty > 0.0:
            square_weights(network, terms.squares, 0, 1)
        move = at_step(steps.rule, number, steps.decay + terms.penalty * scale)
        shards_step(network, now, parts, move, memory, 0, 1, scratch)
        if t == 0:
            loss = total(now.losses, 0, shards.parts)
            losses_out[epoch] += objective(terms, len(data.weights) > 0, loss, B, scale)
            right_out[epoch] += now.right[: shards.parts].sum()
            atomic_store(control, STEPS, step + 1 - steps.first)
    release_unit(network)
    restore_mode(mode)


@kernel
def shard_gradient(
    control: Array,
    network: Network,
    data: Data,
    m: int,
    scale: float,
    s: int,
    room: Batch,
    scratch: Scratch,
    shards: Shards,
) -> None:
    """Loss, right rows and gradient of shard s of all m rows, block after block; gives up when STOP is set."""
    begin, end = share(m, shards.grain, s, shards.parts)
    shards.losses[s], shards.right[s] = 0.0, 0
    for start in range(begin, end, shards.block):
        if atomic_load(control, STOP):
            atomic_store(control, STOPPING, 1)
            return
        B, both = min(shards.block, end - start), min(2 * shards.block, end - start)
        for i in range(both):
            room.numbers[i] = start + i
        batch = with_ahead(room, room.numbers[B:both])
        input_layer(network, data, batch, batch.values, B, 0, B, 0, network.layers[0, N_])
        shards.right[s] += rows_loss(network, data, batch, B, 0, B, 1, scale, 0)
        backward(network, batch.values, B, 0, B, 0, 0)
        shards.losses[s] += total(batch.losses, 0, B)
        out0, fresh = s * shards.size, start == begin
        first = start // shards.block * (network.layers[0, K_] + 1)
        add_gradients(network, data, data.blocks, first, batch, B, 0, B, scratch, shards.gradients, out0, fresh)


@entry
def train_full_batch(
    t: int,
    threads: int,
    control: Array,
    network: Network,
    data: Data,
    m: int,
    first: int,
    last: int,
    rule: Rule,
    decay: float,
    memory: Memory,
    batch: Batch,
    parts: Parts,
    scratch: Scratch,
    shards: Shards,
    losses_out: Array,
    right_out: Array,
) -> None:
    """Epochs first..last, of one step each, on all m rows. As train_minibatches, but `batch` is the thread's own.

    Which thread takes which shard does not matter: all are summed in their order.
    """
    mode = flush_denormals()
    network = with_words(network, scratch.words)
    claim_unit(network)
    for epoch in range(first, last):
        if HAS_MATRIX_UNIT:
            split_weights(network, data.rows.factor)
        s = atomic_add(control, NEXT, 1)
        while s < shards.parts:
            shard_gradient(control, network, data, m, 1.0 / m, s, batch, scratch, shards)
            s = atomic_add(control, NEXT, 1)
        barrier(control, threads)
        if atomic_load(control, STOPPING):
            break
        loss = total(shards.losses, 0, shards.parts)
        if not math.isfinite(loss):
            atomic_store(control, DIVERGED, 1)
            break
        move = at_step(rule, memory.steps + epoch + 1, decay)
        shards_step(network, shards, parts, move, memory, t, threads, scratch)
        if t == 0:
            losses_out[epoch] = loss
            right_out[epoch] = shards.right[: shards.parts].sum()
            atomic_store(control, NEXT, 0)
            atomic_store(control, STEPS, epoch + 1 - first)
        barrier(control, threads)
    release_unit(network)
    restore_mode(mode)


@entry
def gradient(
    t: int,
    threads: int,
    control: Array,
    network: Network,
    data: Data,
    m: int,
    scale: float,
    batch: Batch,
    scratch: Scratch,
    shards: Shards,
    out: Array,
) -> None:
    """The gradient of all m rows' losses, times `scale`, to out, laid out as the parameters; losses stay in shards."""
    mode = flush_denormals()
    network = with_words(network, scratch.words)
    claim_unit(network)
    if HAS_MATRIX_UNIT:
        split_weights(network, data.rows.factor)
    s = atomic_add(control, NEXT, 1)
    while s < shards.parts:
        shard_gradient(control, network, data, m, scale, s, batch, scratch, shards)
        s = atomic_add(control, NEXT, 1)
    barrier(control, threads)
    if not atomic_load(control, STOPPING):
        begin, end = share(shards.size, BLOCK, t, threads)
        sum_shards(shards, begin, end - begin, out[begin:])
    release_unit(network)
    restore_mode(mode)
