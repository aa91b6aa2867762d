"""Mini-batches where every thread has a copy of the network. Reference: `train_step` in fastnn/reference.py."""

from __future__ import annotations

import math

from ..compiling.compile import Array, entry, kernel
from ..lists import flip
from ..matrix_unit.instructions import HAS_MATRIX_UNIT
from ..matrix_unit.layers import split_weights
from ..matrix_unit.thirds import claim_unit, release_unit, with_words
from ..network import K_, N_, Network
from ..optimizers import at_step
from ..simd.vectors import TILE_ROWS
from ..sync import (
    ABANDONED,
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
from .gradients import add_gradients
from .parts import Parts, Scratch, Shards, Steps, batch_of_step, prefetch_next, rows_of_step
from .passes import backward
from .penalty import objective, square_weights
from .rows import Batch, Data, input_layer, listed, rows_loss, step_scale, total
from .steps import shards_step


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
    enter(control)
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
