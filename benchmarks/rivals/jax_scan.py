"""JAX: an epoch is one compiled function, a scan over its batches."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.workloads import Workload

ACTIVATIONS = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}
Tree = Any  # of arrays: every layer's (W, b)

# Data of up to so many bytes is shuffled once an epoch, larger data batch by batch: 20000x24 8 ms an epoch and not 11,
# MNIST 260 and not 430.
SHUFFLED_TOGETHER = 1 << 24
UNROLL = 4  # steps to a turn of that loop: 784-10-10 in batches of 64 takes 92 ms an epoch and not 105


def mean_loss(parameters: Tree, X: Any, y: Any, activation: Callable[[Any], Any]) -> Any:
    """Softmax and cross-entropy."""
    A = X
    for W, b in parameters[:-1]:
        A = activation(A @ W + b)
    W, b = parameters[-1]
    log_p = jax.nn.log_softmax(A @ W + b)
    return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()


def sgd(state: Tree, gradients: Tree, learning_rate: float) -> Tree:
    parameters, *rest = state
    return jax.tree.map(lambda P, dP: P - learning_rate * dP, parameters, gradients), *rest


def adam(state: Tree, gradients: Tree, learning_rate: float) -> Tree:
    """Kingma and Ba (2015), algorithm 1."""
    parameters, m, v, step = state
    step = step + 1
    m = jax.tree.map(lambda m, dP: 0.9 * m + 0.1 * dP, m, gradients)
    v = jax.tree.map(lambda v, dP: 0.999 * v + 0.001 * dP * dP, v, gradients)
    high, wide = 1 / (1 - 0.9**step), 1 / (1 - 0.999**step)
    parameters = jax.tree.map(
        lambda P, m, v: P - learning_rate * m * high / (jnp.sqrt(v * wide) + 1e-8), parameters, m, v
    )
    return parameters, m, v, step


class Trainer:
    """See rivals.Trainer."""

    def __init__(self, workload: Workload, dtype: str, threads: int | None) -> None:
        self.workload, self.dtype = workload, dtype
        X, y = workload.load_real(dtype)
        self.X, self.y = jnp.asarray(X), jnp.asarray(y, jnp.int32)
        self.epoch = jax.jit(self._full_batch if workload.batch_size is None else self._mini_batches)

    def fit(self, epochs: int) -> tuple[float, list[float]]:
        parameters = [(jnp.asarray(W), jnp.asarray(b)) for W, b in zip(*self.workload.initial(self.dtype), strict=True)]
        rng, losses = np.random.default_rng(0), []
        start = time.perf_counter()
        zeros = partial(jax.tree.map, jnp.zeros_like)
        state = parameters, zeros(parameters), zeros(parameters), jnp.zeros((), jnp.float32)
        for _ in range(epochs):
            order = None if self.workload.batch_size is None else rng.permutation(len(self.X)).astype(np.int32)
            state, loss = self.epoch(state, self.X, self.y, order)
            losses.append(loss)
        values = [float(loss) for loss in losses]
        jax.block_until_ready(state)
        return time.perf_counter() - start, values

    def _step(self, state: Tree, X: Any, y: Any) -> tuple[Tree, Any]:
        """The next state, and the sum of the rows' losses."""
        activation = ACTIVATIONS[self.workload.activation]
        loss, gradients = jax.value_and_grad(mean_loss)(state[0], X, y, activation)
        update = {"sgd": sgd, "adam": adam}[self.workload.optimizer]
        return update(state, gradients, self.workload.learning_rate), loss * len(X)

    def _full_batch(self, state: Tree, X: Any, y: Any, order: None) -> tuple[Tree, Any]:
        state, loss = self._step(state, X, y)
        return state, loss / len(X)

    def _mini_batches(self, state: Tree, X: Any, y: Any, order: Any) -> tuple[Tree, Any]:
        m, B = len(X), self.workload.batch_size or len(X)
        together, whole = X.nbytes <= SHUFFLED_TOGETHER, m // B * B
        rows: Tree = (X[order], y[order]) if together else order

        def step(state: Tree, batch: Tree) -> tuple[Tree, Any]:
            return self._step(state, *(batch if together else (X[batch], y[batch])))

        batches = jax.tree.map(lambda array: array[:whole].reshape(-1, B, *array.shape[1:]), rows)
        state, losses = lax.scan(step, state, batches, unroll=1 if together else UNROLL)
        total = losses.sum()
        if whole < m:
            state, loss = step(state, jax.tree.map(lambda array: array[whole:], rows))
            total += loss
        return state, total / m
