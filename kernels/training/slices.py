"""Mini-batches of a network with one hidden layer, which is a sum of narrower networks.

    logits = b2 + sum over slices s of activation(X @ W1[:, s] + b1[s]) @ W2[s, :]

Every thread has some slices of the hidden layer, all of whose numbers stay with it, as a Network of its own, with a b2
of its own: all take the same steps, for every thread makes dZ of all logits. What goes from core to core in a step is
what the slices add to the logits. Their number does not depend on that of threads, so that any gives the same bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..compiling.compile import Array, entry, kernel
from ..matrix_unit.thirds import claim_unit, release_unit, with_words
from ..network import BIAS, INPUT, K_, N_, PANEL, WEIGHTS, Network
from ..optimizers import at_step
from ..panels import Matrix, are_few, multiply, multiply_few, panel_width
from ..simd.partial import load_first, store_first
from ..simd.vectors import lanes
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
from .batch_weights import Source
from .parts import Parts, Scratch, Steps, batch_of_step, flip_part, prefetch_next, rows_of_step, scattered
from .passes import activate_rows, backward
from .penalty import Terms, objective, square_slice
from .rows import Batch, Data, input_layer, logits_loss, step_scale, total
from .steps import batch_step

# Rows of Network.layers that each thread's network has.
ROWS = 3


class Slicing(NamedTuple):
    """Where slices of the hidden layer begin, (count + 1,), and what each adds to the logits, (2 * count * batch_size *
    N,): there are two generations, taken in turns, because threads meet but once a step. So there are of Parts."""

    bounds: Array
    logits: Array
    parts: tuple[Parts, Parts]


@kernel
def own_network(network: Network, t: int) -> Network:
    """Thread t's part of the network; tables of all lie one after the other."""
    params, transposed, zero, rates = network.params, network.transposed, network.zero, network.rates
    layers = network.layers[ROWS * t : ROWS * (t + 1)]
    return Network(layers, params, transposed, zero, rates, network.seed, network.words)


@kernel
def slice_logits(
    network: Network, values: Array, B: int, begin: int, end: int, biased: bool, out: Array, out0: int
) -> None:
    """What hidden units begin..end add to the logits of a batch of B, to out from out0 on. biased: whether with b2."""
    params, layers = network.params, network.layers
    K, N, n = layers[1, K_], layers[1, N_], 0
    A, b = Matrix(values, B * layers[1, INPUT] + begin, K, 1), Matrix(network.zero, 0, 0, 1)
    if biased:
        b = Matrix(params, layers[1, BIAS], 0, 1)
    while n < N:
        wide = panel_width(params, N - n, layers[1, PANEL])
        W, columns = Matrix(params, layers[1, WEIGHTS] + n * K + begin * wide, wide, 1), min(wide, N - n)
        start, C = Matrix(b.data, b.offset + n, 0, 1), Matrix(out, out0 + n, N, 1)
        if are_few(N, values):
            multiply_few(B, columns, end - begin, A, W, start, C)
        else:
            multiply(B, columns, end - begin, A, W, start, C)
        n += wide


@kernel
def sum_slices(logits: Array, first: int, last: int, stride: int, count: int, out: Array, out0: int) -> None:
    """out = the sum of so many numbers at logits[first], logits[first + stride] and on until `last`, in their order."""
    width = lanes(out)
    for i in range(0, count, width):
        n = min(width, count - i)
        x = load_first(logits, first + i, n, 0.0, 1)
        for at in range(first + stride, last, stride):
            x = x + load_first(logits, at + i, n, 0.0, 1)
        store_first(out, out0 + i, n, x)


@entry
def train_slices(
    t: int,
    threads: int,
    control: Array,
    network: Network,
    data: Data,
    steps: Steps,
    batch: Batch,
    scratch: Scratch,
    slicing: Slicing,
    losses_out: Array,
    right_out: Array,
) -> None:
    """As train_minibatches, for a network in so many parts as there are threads. batch and scratch are the thread's
    own; terms.squares has two generations, and as much of each for every slice."""
    enter(control)
    mode = flush_denormals()
    own, count = with_words(own_network(network, t), scratch.words), len(slicing.bounds) - 1
    claim_unit(own)
    order, terms, memory = steps.order, steps.terms, steps.memory
    squares = len(terms.squares) // (2 * count)
    s_begin, s_end = share(count, 1, t, threads)
    N, outputs = own.layers[0, N_], own.layers[1, N_]
    stride, flipped = steps.batch_size * outputs, False
    for other in range(threads):
        flipped |= scattered(own_network(network, other), 0) == 0
    for step in range(steps.first, steps.last):
        epoch, at, B = rows_of_step(steps, step)
        rows = batch_of_step(steps, at, B, batch, scratch)
        scale, number = step_scale(data, order, at, at + B), memory.steps + step + 1
        turn, parts = step % 2 * count, slicing.parts[step % 2]
        input_layer(own, data, rows, scratch.inputs, B, 0, B, 0, N)
        activate_rows(own, 0, rows.values, B, 0, B, number)
        for s in range(s_begin, s_end):
            begin, end = slicing.bounds[s] - slicing.bounds[s_begin], slicing.bounds[s + 1] - slicing.bounds[s_begin]
            slice_logits(own, rows.values, B, begin, end, s == 0, slicing.logits, (turn + s) * stride)
            if terms.penalty > 0.0:
                square_slice(own, terms.squares, (turn + s) * squares, begin, end)
        if flipped:
            flip_part(own, data, rows, B, parts, t, threads, scratch)
        prefetch_next(own, data, steps, at, B, 0, B)
        if t == 0 and atomic_load(control, STOP):
            atomic_store(control, STOPPING, step + 1)
        barrier(control, threads)
        if atomic_load(control, STOPPING) == step + 1 or atomic_load(control, ABANDONED):
            break
        z = B * own.layers[2, INPUT]
        sum_slices(slicing.logits, turn * stride, (turn + count) * stride, stride, B * outputs, rows.values, z)
        right = logits_loss(own, data, rows, B, 0, B, scale)
        loss = total(rows.losses, 0, B)
        if not math.isfinite(loss):
            atomic_store(control, DIVERGED, 1)
            break
        backward(own, rows.values, B, 0, B, 0, number)
        source, move = Source(data, rows, B, parts), at_step(steps.rule, number, steps.decay + terms.penalty * scale)
        for layer in range(1, -1, -1):
            batch_step(own, layer, source, move, memory, 0, 1, scratch)
        if t == 0:
            now = Terms(terms.penalty, terms.divisor, terms.squares[turn * squares : (turn + count) * squares])
            losses_out[epoch] += objective(now, len(data.weights) > 0, loss, B, scale)
            right_out[epoch] += right
            atomic_store(control, STEPS, step + 1 - steps.first)
    release_unit(own)
    restore_mode(mode)
