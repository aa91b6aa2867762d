"""A dense network in plain NumPy: the mathematics that every kernel must reproduce, and the baseline it must beat.

Its functions of numbers and rows are in functions.py, and can be used from here.

m rows of data, B rows of a batch; layer l has K inputs and N outputs: A[l] is (B, K), W[l] is (K, N), b[l] is (N,).
Equations: Goodfellow, Bengio and Courville, Deep Learning (2016), chapters 6 and 8. dP stands for d(loss)/dP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .architecture import FROM_INPUT
from .functions import (
    ACTIVATION,
    DERIVATIVE,
    OUTPUT,
    correct,
    dropout_mask,
    logits_backward,
    losses,
    sigmoid,
    smooth,
    softmax,
)
from .objective import Objective
from .optimizers import Optimizer

__all__ = [
    "ACTIVATION",
    "DERIVATIVE",
    "OUTPUT",
    "backward",
    "correct",
    "dropout_mask",
    "forward",
    "forward_for_backward",
    "logits_backward",
    "loss_and_gradient",
    "losses",
    "matmul_bias",
    "matmul_bias_backward",
    "row_order",
    "sigmoid",
    "smooth",
    "softmax",
    "train_step",
    "update",
]

Array = NDArray[Any]
PLAIN = Objective()


# --- forward


def matmul_bias(X: Array, W: Array, b: Array) -> Array:
    """Z = X @ W + b."""
    return X @ W + b


def forward(X: Array, weights: list[Array], biases: list[Array], activations: tuple[str, ...]) -> list[Array]:
    """[A[0] = X, A[1], ..., Z]: every layer's input, then the logits of the last layer."""
    return forward_for_backward(X, weights, biases, activations, ())[0]


def forward_for_backward(
    X: Array, weights: list[Array], biases: list[Array], activations: tuple[str, ...], masks: Sequence[Array]
) -> tuple[list[Array], list[Array]]:
    """As `forward`, hidden values multiplied by their masks; and what derivatives are of: Z, or A before its mask."""
    A, kept = [X], []
    for layer, (W, b, name) in enumerate(zip(weights, biases, (*activations, "identity"), strict=True)):
        Z = matmul_bias(A[-1], W, b)
        value = ACTIVATION[name](Z)
        kept.append(Z if name in FROM_INPUT else value)
        masked = layer < len(masks)
        A.append(value * masks[layer].astype(value.dtype) if masked else value)
    return A, kept


# --- backward


def matmul_bias_backward(dZ: Array, X: Array, W: Array) -> tuple[Array, Array, Array]:
    """dX = dZ @ W.T, dW = X.T @ dZ, db = sum of dZ over the rows."""
    return dZ @ W.T, X.T @ dZ, dZ.sum(axis=0)


def backward(
    A: list[Array],
    kept: list[Array],
    dZ: Array,
    weights: list[Array],
    activations: tuple[str, ...],
    masks: Sequence[Array] = (),
) -> tuple[list[Array], list[Array]]:
    """dW and db of every layer, from the last to the first, from what `forward_for_backward` returned and dZ."""
    dW: list[Array] = []
    db: list[Array] = []
    for layer in reversed(range(len(weights))):
        dW.insert(0, A[layer].T @ dZ)
        db.insert(0, dZ.sum(axis=0))
        if layer > 0:
            dA = dZ @ weights[layer].T
            if masks:
                dA = dA * masks[layer - 1].astype(dA.dtype)
            dZ = dA * DERIVATIVE[activations[layer - 1]](kept[layer - 1])
    return dW, db


def loss_and_gradient(
    X: Array,
    Y: Array,
    sample_weight: Array | None,
    weights: list[Array],
    biases: list[Array],
    activations: tuple[str, ...],
    output: str,
    objective: Objective,
    step: int = 0,
) -> tuple[float, list[Array], list[Array], int]:
    """The objective's value, dW and db of every layer, and the number of right rows; step is for dropout.

    sum(w * losses) / divisor / sum(w) + penalty / 2 * sum(W**2) / sum(w), weights w being 1 if there are none.
    Weights that are all zero give nothing to learn: everything is 0.
    """
    loss, parameter = objective.loss or output, objective.parameter
    sizes = [(len(X), W.shape[1]) for W in weights]
    masks = [
        dropout_mask(rate, sizes[layer], objective.seed, step, layer) for layer, rate in enumerate(objective.dropout)
    ]
    A, kept = forward_for_backward(X, weights, biases, activations, masks)
    rows, dZ = losses(A[-1], Y, loss, parameter).astype(np.float64), logits_backward(A[-1], Y, loss, parameter)
    total = float(len(X))
    if sample_weight is not None:
        total = float(sample_weight.sum()) or np.inf
        rows = rows * sample_weight
        dZ = dZ * (sample_weight * (len(X) / total)).astype(dZ.dtype)[:, None]
    dW, db = backward(A, kept, dZ, weights, activations, masks)
    value = float(rows.sum()) / total / objective.divisor
    if objective.penalty:
        value += objective.penalty / 2 * sum(float((W.astype(np.float64) ** 2).sum()) for W in weights) / total
        dW = [d + W * W.dtype.type(objective.penalty / total) for d, W in zip(dW, weights, strict=True)]
    return value, dW, db, correct(A[-1], Y, loss)


# --- gradient descent


def update(P: Array, dP: Array, state: list[Array], step: int, optimizer: Optimizer, decay: float) -> None:
    """Move a parameter P along its gradient, in place. step counts from 1; state holds what the optimizer remembers.

    sgd        P -= lr * dP
    momentum   v = mu * v - lr * dP; P += v                                    Polyak (1964)
    nesterov   v = mu * v - lr * dP; P += mu * v - lr * dP                     Sutskever et al. (2013)
    rmsprop    s = rho * s + (1 - rho) * dP**2; P -= lr * dP / (sqrt(s) + eps) Hinton (2012)
    adam       Kingma and Ba (2015), algorithm 1                               adamw: Loshchilov and Hutter (2019)
    """
    lr, mu = optimizer.learning_rate, optimizer.momentum
    if optimizer.name == "adamw":
        P -= lr * decay * P
    elif decay:
        dP = dP + decay * P
    if optimizer.name == "sgd":
        P -= lr * dP
    elif optimizer.name in ("momentum", "nesterov"):
        (v,) = state
        v[...] = mu * v - lr * dP
        P += v if optimizer.name == "momentum" else mu * v - lr * dP
    elif optimizer.name == "rmsprop":
        (s,) = state
        s[...] = optimizer.rho * s + (1 - optimizer.rho) * dP**2
        P -= lr * dP / (np.sqrt(s) + optimizer.epsilon)
    else:
        m, v = state
        m[...] = optimizer.beta_1 * m + (1 - optimizer.beta_1) * dP
        v[...] = optimizer.beta_2 * v + (1 - optimizer.beta_2) * dP**2
        m_hat = m / (1 - optimizer.beta_1**step)
        v_hat = v / (1 - optimizer.beta_2**step)
        unbias = (1 - optimizer.beta_2**step) ** 0.5 if optimizer.scaled_epsilon else 1.0
        P -= lr * m_hat / (np.sqrt(v_hat) + optimizer.epsilon / unbias)


def row_order(seed: int, first: int, epochs: int, m: int) -> Array:
    """The order of m rows in each of so many epochs from the first on, one after the other (epochs * m,): of the seed
    and the epoch's number alone, so that 2 epochs and then 3 are 5."""
    return np.concatenate([np.random.default_rng((seed, first + epoch)).permutation(m) for epoch in range(epochs)])


def train_step(
    X: Array,
    Y: Array,
    weights: list[Array],
    biases: list[Array],
    state: list[list[Array]],
    step: int,
    activations: tuple[str, ...],
    output: str,
    optimizer: Optimizer,
    objective: Objective = PLAIN,
    sample_weight: Array | None = None,
) -> tuple[float, int]:
    """One step of gradient descent on the rows given: all of them for full-batch training, a few for mini-batches.

    Weights, biases and state change in place; state has a list for every weight, then for every bias.
    Returns the objective times the number of rows, which is the sum of their losses if there is nothing else to it, and
    the number of right rows, both from before the step. If that loss is not finite nothing is changed.
    """
    loss, dW, db, right = loss_and_gradient(X, Y, sample_weight, weights, biases, activations, output, objective, step)
    if np.isfinite(loss):
        decays = [optimizer.weight_decay] * len(weights) + [0.0] * len(biases)
        for P, dP, remembered, decay in zip(weights + biases, dW + db, state, decays, strict=True):
            update(P, dP, remembered, step, optimizer, decay)
    return loss * len(X), right
