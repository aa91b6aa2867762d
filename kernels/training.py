"""One worker's part of training, whole epochs at a time. Reference: `train_step` in fastnn/reference.py.

All threads run the same kernel with their number t and meet at barriers. Work is split by what it writes, never by how
many threads there are, so that nothing is added up in an order that depends on them: any number gives the same bits.
"""

from __future__ import annotations

import math

from .compile import Array, entry, kernel
from .network import Network, backward
from .optimizers import Rule
from .simd import TILE_ROWS
from .steps import (
    BLOCK,
    Buffers,
    Data,
    Memory,
    Shards,
    add_gradients,
    batch_step,
    fetch,
    number,
    rows_loss,
    shards_step,
    total,
)
from .sync import DIVERGED, NEXT, STEPS, STOP, STOPPING, atomic_add, atomic_load, atomic_store, barrier, share


@entry
def train_minibatches(
    t: int,
    threads: int,
    control: Array,
    network: Network,
    data: Data,
    m: int,
    order: Array,
    batch_size: int,
    limit: int,
    rule: Rule,
    decay: float,
    memory: Memory,
    buffers: Buffers,
    scratch: Array,
    right: Array,
    losses_out: Array,
    right_out: Array,
) -> None:
    """Epochs of mini-batches, the rows of each in its part of `order` (epochs * m,); at most `limit` steps.

    Losses (summed) and right rows of every epoch go to losses_out and right_out; right (threads * 8,) is scratch. Ends
    early, before the step, when STOP is set or a batch's loss is not finite; STEPS counts the steps taken.
    """
    step = 0
    for epoch in range(len(losses_out)):
        for start in range(0, m, batch_size):
            B = min(batch_size, m - start)
            begin, end = share(B, TILE_ROWS, t, threads)
            buffers.numbers[begin:end] = order[epoch * m + start + begin : epoch * m + start + end]
            fetch(network, data, buffers, begin, end)
            right[8 * t] = rows_loss(network, data, buffers, B, begin, end, 1.0 / B)
            backward(network, buffers.values, buffers.gradients, B, begin, end)
            if not math.isfinite(total(buffers.losses, begin, end)):
                atomic_store(control, DIVERGED, 1)
            if t == 0:
                atomic_store(control, STOPPING, step == limit or atomic_load(control, STOP))
            barrier(control, threads)
            if atomic_load(control, DIVERGED) or atomic_load(control, STOPPING):
                return
            step += 1
            if t == 0:
                losses_out[epoch] += total(buffers.losses, 0, B)
                for other in range(threads):
                    right_out[epoch] += right[8 * other]
            batch_step(network, (buffers, B), rule, decay, memory, memory.steps + step, t, threads, scratch)
            if t == 0:
                atomic_store(control, STEPS, step)
            barrier(control, threads)


@kernel
def shard_gradient(network: Network, data: Data, m: int, s: int, buffers: Buffers, shards: Shards) -> None:
    """Loss, right rows and gradient of shard s of all m rows, block after block."""
    begin, end = share(m, BLOCK, s, shards.parts)
    shards.losses[s], shards.right[s] = 0.0, 0
    for start in range(begin, end, BLOCK):
        B = min(BLOCK, end - start)
        number(buffers.numbers, 0, B, start)
        fetch(network, data, buffers, 0, B)
        shards.right[s] += rows_loss(network, data, buffers, B, 0, B, 1.0 / m)
        shards.losses[s] += total(buffers.losses, 0, B)
        backward(network, buffers.values, buffers.gradients, B, 0, B)
        add_gradients(
            network, data.compressed, start // BLOCK, buffers, B, shards.gradients, s * shards.size, start == begin
        )


@entry
def train_full_batch(
    t: int,
    threads: int,
    control: Array,
    network: Network,
    data: Data,
    m: int,
    limit: int,
    rule: Rule,
    decay: float,
    memory: Memory,
    buffers: Buffers,
    scratch: Array,
    shards: Shards,
    losses_out: Array,
    right_out: Array,
) -> None:
    """Epochs of one step each, on all m rows; at most `limit`. As train_minibatches, but buffers are the thread's own.

    Which thread takes which shard does not matter: all are summed in their order.
    """
    for epoch in range(len(losses_out)):
        s = atomic_add(control, NEXT, 1)
        while s < shards.parts:
            shard_gradient(network, data, m, s, buffers, shards)
            s = atomic_add(control, NEXT, 1)
        if t == 0:
            atomic_store(control, STOPPING, epoch == limit or atomic_load(control, STOP))
        barrier(control, threads)
        loss = total(shards.losses, 0, shards.parts)
        if not math.isfinite(loss):
            atomic_store(control, DIVERGED, 1)
            return
        if atomic_load(control, STOPPING):
            return
        shards_step(network, shards, rule, decay, memory, memory.steps + epoch + 1, t, threads, scratch)
        if t == 0:
            losses_out[epoch] = loss
            right_out[epoch] = shards.right[: shards.parts].sum()
            atomic_store(control, NEXT, 0)
            atomic_store(control, STEPS, epoch + 1)
        barrier(control, threads)
