"""A dense network in plain NumPy: the mathematics that every kernel must reproduce, and the baseline it must beat.

m rows of data, B rows of a batch; layer l has K inputs and N outputs: A[l] is (B, K), W[l] is (K, N), b[l] is (N,).
Equations: Goodfellow, Bengio and Courville, Deep Learning (2016), chapters 6 and 8. dP stands for d(loss)/dP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .optimizers import Optimizer

Array = NDArray[Any]
Function = Callable[[Array], Array]


# --- activations, each beside its derivative, which is given the activation's value A


def sigmoid(Z: Array) -> Array:
    """1 / (1 + exp(-Z)); the exponent is never positive, so nothing overflows."""
    E = np.exp(-np.abs(Z))
    A: Array = np.where(Z >= 0, 1, E) / (1 + E)
    return A


def softmax(Z: Array) -> Array:
    """exp(Z) / sum(exp(Z)) along a row, shifted by the row's maximum so that nothing overflows."""
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    P: Array = E / E.sum(axis=1, keepdims=True)
    return P


ACTIVATION: dict[str, Function] = {
    "relu": lambda Z: np.maximum(Z, 0),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "identity": lambda Z: Z,
}
DERIVATIVE: dict[str, Function] = {
    "relu": lambda A: A > 0,
    "sigmoid": lambda A: A * (1 - A),
    "tanh": lambda A: 1 - A * A,
    "identity": np.ones_like,
}
OUTPUT: dict[str, Function] = {"softmax": softmax, "sigmoid": sigmoid, "identity": lambda Z: Z}


# --- forward


def matmul_bias(X: Array, W: Array, b: Array) -> Array:
    """Z = X @ W + b."""
    return X @ W + b


def forward(X: Array, weights: list[Array], biases: list[Array], activations: tuple[str, ...]) -> list[Array]:
    """[A[0] = X, A[1], ..., Z]: every layer's input, then the logits of the last layer."""
    A = [X]
    for W, b, name in zip(weights, biases, (*activations, "identity"), strict=True):
        A.append(ACTIVATION[name](matmul_bias(A[-1], W, b)))
    return A


def losses(Z: Array, Y: Array, output: str) -> Array:
    """Each row's loss (B,) from its logits. Y: labels (B,) for "softmax", targets (B, N) for the others.

    softmax   -log(p[label])                              cross-entropy of several classes
    sigmoid   -sum(y * log(p) + (1 - y) * log(1 - p))     cross-entropy of yes or no, for each output
    identity  sum((z - y)**2) / 2                         squared error
    """
    loss: Array
    if output == "softmax":
        shifted = Z - Z.max(axis=1, keepdims=True)
        loss = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(Z)), Y]
    elif output == "sigmoid":
        loss = (np.maximum(Z, 0) - Z * Y + np.log1p(np.exp(-np.abs(Z)))).sum(axis=1)
    else:
        loss = ((Z - Y) ** 2).sum(axis=1) / 2
    return loss


def correct(Z: Array, Y: Array, output: str) -> int:
    """How many rows are predicted without a mistake: the largest logit, or every sign, is right."""
    if output == "softmax":
        return int((Z.argmax(axis=1) == Y).sum())
    return int(((Z > 0) == (Y > 0.5)).all(axis=1).sum()) if output == "sigmoid" else 0


# --- backward


def logits_backward(Z: Array, Y: Array, output: str) -> Array:
    """dZ of the mean loss: (output(Z) - Y) / B, the same for all three pairs of output and loss."""
    dZ = OUTPUT[output](Z) if output != "identity" else Z.copy()
    if output == "softmax":
        dZ[np.arange(len(Z)), Y] -= 1
    else:
        dZ -= Y
    return dZ / len(Z)


def matmul_bias_backward(dZ: Array, X: Array, W: Array) -> tuple[Array, Array, Array]:
    """dX = dZ @ W.T, dW = X.T @ dZ, db = sum of dZ over the rows."""
    return dZ @ W.T, X.T @ dZ, dZ.sum(axis=0)


def backward(
    A: list[Array], Y: Array, weights: list[Array], activations: tuple[str, ...], output: str
) -> tuple[list[Array], list[Array]]:
    """dW and db of every layer, from the last to the first, for what `forward` returned."""
    dW: list[Array] = []
    db: list[Array] = []
    dZ = logits_backward(A[-1], Y, output)
    for layer in reversed(range(len(weights))):
        dW.insert(0, A[layer].T @ dZ)
        db.insert(0, dZ.sum(axis=0))
        if layer > 0:
            dZ = dZ @ weights[layer].T * DERIVATIVE[activations[layer - 1]](A[layer])
    return dW, db


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
    else:
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
        P -= lr * m_hat / (np.sqrt(v_hat) + optimizer.epsilon)


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
) -> tuple[float, int]:
    """One step of gradient descent on the rows given: all of them for full-batch training, a few for mini-batches.

    Weights, biases and state change in place; state has a list for every weight, then for every bias.
    Returns the sum of the rows' losses and the number of right rows, both from before the step. If that loss is not
    finite nothing is changed.
    """
    A = forward(X, weights, biases, activations)
    loss = float(losses(A[-1], Y, output).sum())
    if np.isfinite(loss):
        dW, db = backward(A, Y, weights, activations, output)
        decays = [optimizer.weight_decay] * len(weights) + [0.0] * len(biases)
        for P, dP, remembered, decay in zip(weights + biases, dW + db, state, decays, strict=True):
            update(P, dP, remembered, step, optimizer, decay)
    return loss, correct(A[-1], Y, output)
