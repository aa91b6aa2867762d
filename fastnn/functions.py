"""Activations, losses and dropout in plain NumPy: the part of reference.py that knows no network.

Z (B, N) are what a layer's matrix product gives, and the last layer's logits; dP stands for d(loss)/dP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Function = Callable[[Array], Array]


# --- activations and their derivatives


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


LEAK = 0.01  # leaky_relu's slope below zero

# gelu(z) = z * sigmoid(2 * u(z)) with u(z) = GELU_SCALE * (z + GELU_CUBE * z**3): within 5e-4 of z * Phi(z).
# Hendrycks and Gimpel (2016).
GELU_SCALE, GELU_CUBE = float(np.sqrt(2 / np.pi)), 0.044715
# Beyond it gelu's and silu's slopes are 0 or 1, and a cube could overflow.
FLAT = 40.0


def _gelu_gate(Z: Array) -> Array:
    return sigmoid(2 * GELU_SCALE * (Z + GELU_CUBE * Z**3))


def _gelu_derivative(Z: Array) -> Array:
    S, Y = _gelu_gate(Z), np.clip(Z, -FLAT, FLAT)
    derivative: Array = S + S * (1 - S) * (2 * GELU_SCALE * Y * (1 + 3 * GELU_CUBE * Y**2))
    return derivative


def _silu_derivative(Z: Array) -> Array:
    S = sigmoid(Z)
    derivative: Array = S + S * (1 - S) * Z
    return derivative


ACTIVATION: dict[str, Function] = {
    "relu": lambda Z: np.maximum(Z, 0),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "identity": lambda Z: Z,
    "leaky_relu": lambda Z: np.where(Z > 0, Z, LEAK * Z),
    "elu": lambda Z: np.where(Z > 0, Z, np.expm1(np.minimum(Z, 0))),
    "gelu": lambda Z: Z * _gelu_gate(Z),
    "silu": lambda Z: Z * sigmoid(Z),
}
# Of the activation's value A, but for those of FROM_INPUT, whose derivative is of Z.
DERIVATIVE: dict[str, Function] = {
    "relu": lambda A: A > 0,
    "sigmoid": lambda A: A * (1 - A),
    "tanh": lambda A: 1 - A * A,
    "identity": np.ones_like,
    "leaky_relu": lambda A: np.where(A > 0, A.dtype.type(1), A.dtype.type(LEAK)),
    "elu": lambda A: np.where(A > 0, 1, A + 1),
    "gelu": _gelu_derivative,
    "silu": _silu_derivative,
}
OUTPUT: dict[str, Function] = {"softmax": softmax, "sigmoid": sigmoid, "identity": lambda Z: Z}


# --- losses, each from logits, and their derivatives


def losses(Z: Array, Y: Array, loss: str, parameter: float = 0.0) -> Array:
    """Each row's loss (B,) from its logits. Y: labels (B,) for "softmax", targets (B, N) for the others.

    softmax         -log(p[label])                              cross-entropy of several classes
    sigmoid         -sum(y * log(p) + (1 - y) * log(1 - p))     cross-entropy of yes or no, for each output
    identity        sum((z - y)**2) / 2                         squared error
    poisson         sum(y * log(y / exp(z)) - y + exp(z))       half the deviance from exp(z)
    absolute_error  sum(|z - y|)
    huber           sum(e**2 / 2 where |e| <= d, else d * (|e| - d / 2)), e = z - y, d the parameter; Huber (1964)

    With label smoothing s as parameter: y = (1 - s) * onehot + s / N, or y * (1 - s) + s / 2. Szegedy et al. (2016).
    """
    rows: Array
    if loss == "softmax":
        shifted = Z - Z.max(axis=1, keepdims=True)
        chosen = shifted[np.arange(len(Z)), Y]
        rows = np.log(np.exp(shifted).sum(axis=1)) - chosen
        if parameter:
            rows = rows + parameter * (chosen - shifted.mean(axis=1))
    elif loss == "sigmoid":
        Y = smooth(Y, parameter)
        rows = (np.maximum(Z, 0) - Z * Y + np.log1p(np.exp(-np.abs(Z)))).sum(axis=1)
    elif loss == "poisson":
        logarithm = np.log(np.where(Y > 0, Y, 1))
        rows = (np.exp(Z) - Y + Y * (logarithm - Z)).sum(axis=1)
    elif loss == "identity":
        rows = ((Z - Y) ** 2).sum(axis=1) / 2
    else:
        E = np.abs(Z - Y)
        rows = (E if loss == "absolute_error" else _huber(E, parameter)).sum(axis=1)
    return rows


def smooth(Y: Array, smoothing: float) -> Array:
    """Yes or no, a little less certain."""
    return Y * Y.dtype.type(1 - smoothing) + Y.dtype.type(smoothing / 2) if smoothing else Y


def _huber(E: Array, delta: float) -> Array:
    rows: Array = np.where(delta >= E, E**2 / 2, delta * (E - delta / 2))
    return rows


def correct(Z: Array, Y: Array, loss: str) -> int:
    """How many rows are predicted without a mistake: the largest logit, or every sign, is right."""
    if loss == "softmax":
        return int((Z.argmax(axis=1) == Y).sum())
    return int(((Z > 0) == (Y > 0.5)).all(axis=1).sum()) if loss == "sigmoid" else 0


def logits_backward(Z: Array, Y: Array, loss: str, parameter: float = 0.0) -> Array:
    """dZ of the mean loss: (what the logits stand for - Y) / B, or the error's sign, or the error cut off, by B."""
    if loss == "softmax":
        dZ = softmax(Z) - parameter / Z.shape[1] if parameter else softmax(Z)
        dZ[np.arange(len(Z)), Y] -= 1 - parameter
    elif loss == "sigmoid":
        dZ = sigmoid(Z) - smooth(Y, parameter)
    elif loss == "poisson":
        dZ = np.exp(Z) - Y
    elif loss == "absolute_error":
        dZ = np.sign(Z - Y)
    else:
        dZ = np.clip(Z - Y, -parameter, parameter) if loss == "huber" else Z - Y
    return dZ / len(Z)


# --- dropout


def dropout_mask(rate: float, shape: tuple[int, int], seed: int, step: int, layer: int) -> Array:
    """What a layer's values (B, N) are multiplied by in a step: 0 for about `rate` of them, 1 / (1 - rate) for others.

    A number's fate depends on where it is and on nothing that was drawn before: the 32 high bits of mix(key + place).
    """
    place = np.arange(shape[0] * shape[1], dtype=np.uint64).reshape(shape)
    key = _mix(_mix(_mix(np.array([seed], np.uint64)) + np.uint64(step)) + np.uint64(layer))
    bits = _mix(key + place) >> np.uint64(32)
    return np.where(bits < int(rate * 2**32), 0, 1 / (1 - rate))


def _mix(x: Array) -> Array:
    """SplitMix64's next number: Steele, Lea and Flood (2014)."""
    x = x * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = x ^ (x >> np.uint64(31))
    return mixed
