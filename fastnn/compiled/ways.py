"""Which way to train: with all rows in a step, or by mini-batches in one of three ways."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..architecture import Architecture
from ..csr import CSR
from ..features import compress, rows_of
from ..kernels.network import UINT8
from ..kernels.training.rows import Data
from ..slicing import slices_of
from ..trainer import Plan, State
from ..whole_numbers import encode, sample_of
from .full_batch import FullBatch
from .memory import PLAIN, data_of
from .minibatches import MiniBatches, Replicas, Slices
from .sharing import on_matrix_unit, shards_of_a_batch
from .training import Training

Array = NDArray[Any]

# Leaving out the zeros pays with mini-batches at once: finding them in MNIST takes 9 ms on two threads, and an epoch of
# 784-8-10 then takes 15 ms less. With the full batch it pays from so many epochs on, or so many epochs times outputs of
# the first layer: finding the columns takes 12 ms more, and an epoch takes less.
WORTH_COMPRESSING, WORTH_COMPRESSING_OUTPUTS = 4, 128

# Features that are floats, but bytes times a factor, are made bytes for the matrix unit: of 60000 x 784 float32 in 8 ms
# on two threads, where finding their zeros takes 18. From so many weights of the first layer on that pays in one epoch:
# 64-64-10, B=200, takes as long as before, 64-32-10 1.1 to 1.3 times as long.
WORTH_ENCODING = 1 << 12

# The matrix unit is better than leaving out the zeros from so many numbers on that are not zero: with 10% 784-64-10,
# B=64, takes 1.06 of the time it takes as lists, with 12.5% 0.94, with 19% 0.81; in float64 784-128-10 with 20% 1.08 on
# one thread and 1.05 on two, with 30% 0.84, 784-32-10 with 20% 0.8 and 0.7, with 10% 1.3 and 0.85.
LEAST_DENSITY = {"float32": 1 / 8, "float64": 1 / 6}

# Copies of a network are worth it up to so many parameters: 1 MB of float32 with W.T, Adam's memory and the gradients,
# half of a core's L2.
MOST_COPIED = 1 << 15


def Trainer(
    architecture: Architecture,
    state: State,
    X: Array | CSR,
    Y: Array,
    plan: Plan,
    sample_weight: Array | None = None,
) -> Training:
    """See trainer.Backend."""
    if plan.batch_size is None and (sample_weight is not None or plan.objective != PLAIN):
        raise ValueError(
            "batch_size is None; expected a number of rows where rows have weights, or of such an objective."
        )
    dtype = state.weights[0].dtype
    data = data_of(X, Y, architecture, dtype, plan.objective, sample_weight)
    data, coded = in_bytes(data, X, architecture, dtype, plan)
    data = without_zeros(data, X, architecture, dtype, plan)
    way: type[FullBatch | MiniBatches | Replicas | Slices] = FullBatch
    if plan.batch_size is not None:
        way = MiniBatches
        if is_sliced(architecture, plan):
            way = Slices
        elif is_copied(architecture, plan.rows_of_a_step(len(X))):
            way = Replicas
    training = way(architecture, state, data, len(X), plan)
    training.coded = coded
    training.compile()
    return training


def in_bytes(
    data: Data, X: Array | CSR, architecture: Architecture, dtype: np.dtype[Any], plan: Plan
) -> tuple[Data, Array | None]:
    """The features as bytes where that is possible and pays, and what holds them.

    Neither a matter of threads nor of epochs: the matrix unit adds up in another order, and 2 epochs and then 3 are 5.
    """
    coded = data._replace(rows=data.rows._replace(kind=UINT8))
    on_unit, _ = on_matrix_unit(coded, architecture, plan, len(X), dtype)
    worth = math.prod(architecture.layers[0]) >= WORTH_ENCODING and plan.sparse is not True
    if not (on_unit and worth) or isinstance(X, CSR) or (plan.sparse == "auto" and not _is_dense(X, dtype)):
        return data, None
    encoded = encode(X, dtype, plan.threads)
    if encoded is None:
        return data, None
    return data._replace(rows=rows_of(*encoded)), encoded[0]


def without_zeros(data: Data, X: Array | CSR, architecture: Architecture, dtype: np.dtype[Any], plan: Plan) -> Data:
    """The features as lists where that is asked for, or where it pays: mostly not where there is a matrix unit, which
    takes 51 us for a step of 784-128-10 on MNIST that takes 76 without zeros."""
    auto, outputs = plan.sparse == "auto", architecture.sizes[1]
    on_unit, _ = on_matrix_unit(data, architecture, plan, len(X), dtype)
    if isinstance(X, CSR) or (auto and on_unit and _is_dense(X, dtype)):
        return data
    many = plan.epochs >= WORTH_COMPRESSING or plan.epochs * outputs >= WORTH_COMPRESSING_OUTPUTS
    worth = many or plan.batch_size is not None if auto else bool(plan.sparse)
    if not worth:
        return data
    return data._replace(lists=compress(X, dtype, plan.threads, always=not auto))


def _is_dense(X: Array, dtype: np.dtype[Any]) -> bool:
    sample = sample_of(X)
    return bool(np.count_nonzero(sample) >= LEAST_DENSITY[dtype.name] * sample.size)


def is_copied(architecture: Architecture, batch_size: int) -> bool:
    """Whether less goes from core to core if every thread has a copy of the network: its gradient, not what a batch
    makes of it. Not a matter of threads, because the order of sums depends on it."""
    parameters = sum((K + 1) * N for K, N in architecture.layers)
    values = batch_size * (2 * sum(architecture.sizes[1:]) - architecture.sizes[-1])
    return shards_of_a_batch(batch_size) > 1 and parameters <= min(values, MOST_COPIED)


def is_sliced(architecture: Architecture, plan: Plan) -> bool:
    """Whether a network has one hidden layer, wide enough to be cut, and no dropout, which counts its units."""
    return len(architecture.sizes) == 3 and slices_of(*architecture.sizes[1:]) > 1 and not plan.objective.dropout
