"""One thread's part of training with all rows in every step, and of their gradient alone. Reference: `train_step` and
`backward` in fastnn/reference.py."""

from __future__ import annotations

import math

from ..compiling.compile import Array, entry, kernel
from ..matrix_unit.instructions import HAS_MATRIX_UNIT
from ..matrix_unit.layers import split_weights
from ..matrix_unit.thirds import claim_unit, release_unit, with_words
from ..network import K_, N_, Network
from ..optimizers import at_step
from ..sync import (
    DIVERGED,
    NEXT,
    STEPS,
    STOP,
    STOPPING,
    atomic_add,
    atomic_load,
    atomic_store,
    barrier,
    enter,
    flush_denormals,
    restore_mode,
    share,
)
from .gradients import add_gradients
from .parts import Parts, Scratch, Shards, Steps
from .passes import backward
from .rows import BLOCK, Batch, Data, input_layer, rows_loss, total, with_ahead
from .shards import sum_shards
from .steps import shards_step


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
    steps: Steps,
    batch: Batch,
    parts: Parts,
    scratch: Scratch,
    shards: Shards,
    losses_out: Array,
    right_out: Array,
) -> None:
    """These epochs of one step each, on all rows. As train_minibatches, but `batch` is the thread's own, and the steps'
    order and terms are not looked at.

    Which thread takes which shard does not matter: all are summed in their order.
    """
    enter(control)
    mode, m = flush_denormals(), steps.m
    network = with_words(network, scratch.words)
    claim_unit(network)
    for epoch in range(steps.first, steps.last):
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
        move = at_step(steps.rule, steps.memory.steps + epoch + 1, steps.decay)
        shards_step(network, shards, parts, move, steps.memory, t, threads, scratch)
        if t == 0:
            losses_out[epoch] = loss
            right_out[epoch] = shards.right[: shards.parts].sum()
            atomic_store(control, NEXT, 0)
            atomic_store(control, STEPS, epoch + 1 - steps.first)
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
    enter(control)
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
