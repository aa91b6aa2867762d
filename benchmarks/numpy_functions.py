"""NumPy's side of the benchmarks of single kernels and of short fits; it runs in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from benchmarks.process import Loop
from benchmarks.rivals import numpy_reference
from fastnn import MLP, reference
from fastnn.optimizers import Optimizer


def _loss(output: str) -> Callable[..., Any]:
    return lambda Z, Y: (reference.losses(Z, Y, output), reference.logits_backward(Z, Y, output))


def _backward(name: str) -> Callable[..., Any]:
    return lambda dA, A: dA * reference.DERIVATIVE[name](A)


def softmax_backward(dP: Any, P: Any) -> Any:
    return P * (dP - (P * dP).sum(axis=1, keepdims=True))


def train(network: dict[str, Any], training: dict[str, Any], X: Any, y: Any) -> float:
    """Train a new network, step after step of the reference; returns the last epoch's loss."""
    net, how = MLP(**network), training
    optimizer = Optimizer(how["optimizer"], how["learning_rate"])
    parameters = [W.copy() for W in net.weights], [b.copy() for b in net.biases]
    losses = numpy_reference.train(net.architecture, parameters, X, y, how["batch_size"], optimizer)
    return list(islice(losses, how["epochs"]))[-1]


NAMES = ("relu", "sigmoid", "tanh")
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "matmul_bias": reference.matmul_bias,
    "matmul_bias_backward": reference.matmul_bias_backward,
    **{name: reference.ACTIVATION[name] for name in NAMES},
    **{f"{name}_backward": _backward(name) for name in NAMES},
    "softmax": reference.softmax,
    "softmax_backward": softmax_backward,
    "softmax_cross_entropy": _loss("softmax"),
    "binary_cross_entropy": _loss("sigmoid"),
    "squared_error": _loss("identity"),
    "train": train,
}


def loop(name: str, arguments: tuple[Any, ...]) -> Loop:
    """FUNCTIONS[name] of these arguments, to be timed."""
    return Loop(lambda: FUNCTIONS[name](*arguments))
