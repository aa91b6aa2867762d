"""Gradients of whole networks by central differences, parameter by parameter, against the kernels and the reference."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP, Initializer, reference
from fastnn.architecture import ACTIVATIONS
from fastnn.objective import Objective

Array = NDArray[Any]
OUTPUTS = [("softmax", 3), ("sigmoid", 1), ("sigmoid", 3), ("identity", 1), ("identity", 3)]
HIDDEN = (17, 6)  # for a relu wide enough that some units are on and some are off
B = 9
STEP = 1e-5  # the differences' own error is then about 1e-10

cases = pytest.mark.parametrize(
    ("activation", "output", "N"), [(activation, *output) for activation in ACTIVATIONS for output in OUTPUTS]
)


def network(activation: str, output: str, N: int) -> MLP:
    init = Initializer("uniform", 0.7, biases=True)
    return MLP([4, *HIDDEN, N], activation=activation, output=output, init=init, dtype="float64", seed=2)


def problem(output: str, N: int) -> tuple[Array, Array]:
    """X (B, 4), and labels (B,) or targets (B, N)."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(B, 4))
    if output == "softmax":
        return X, rng.integers(0, N, B)
    return X, rng.integers(0, 2, (B, N)) if output == "sigmoid" else rng.normal(size=(B, N))


def flat(arrays: list[Array]) -> Array:
    return np.concatenate([array.ravel() for array in arrays])


def numerical(net: MLP, X: Array, Y: Array) -> Array:
    """d(mean loss)/dP for every number P of all weights, then all biases."""
    weights, biases, architecture = net.weights, net.biases, net.architecture

    def loss() -> float:
        Z = reference.forward(X, weights, biases, architecture.activations)[-1]
        return float(reference.losses(Z, Y, architecture.output).mean())

    gradient = []
    for array in weights + biases:
        for index in np.ndindex(array.shape):
            kept, sides = array[index], []
            for value in (kept + STEP, kept - STEP):
                array[index] = value
                sides.append(loss())
            array[index] = kept
            gradient.append((sides[0] - sides[1]) / (2 * STEP))
    return np.array(gradient)


def assert_same(gradient: Array, expected: Array) -> None:
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-9)
    assert np.abs(expected).max() > 0.01


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "identity"])
def test_no_relu_is_at_its_kink(output: str) -> None:
    """Else the differences would be wrong, and not the gradients."""
    net, (X, _) = network("relu", output, 3), problem(output, 3)
    hidden = X
    for W, b in zip(net.weights[:-1], net.biases[:-1], strict=True):
        Z = hidden @ W + b
        assert np.abs(Z).min() > 100 * STEP
        assert (Z > 0).any()
        assert (Z < 0).any()
        hidden = np.maximum(Z, 0)


@cases
def test_reference(activation: str, output: str, N: int) -> None:
    net, (X, Y) = network(activation, output, N), problem(output, N)
    functions = net.architecture.activations
    _, dW, db, _ = reference.loss_and_gradient(X, Y, None, net.weights, net.biases, functions, output, Objective())
    assert_same(flat(dW + db), numerical(net, X, Y))


@cases
@pytest.mark.parametrize("batch_size", [None, B])
def test_kernels(activation: str, output: str, N: int, batch_size: int | None) -> None:
    """One step of gradient descent at rate 1 takes off exactly the gradient."""
    net, (X, Y) = network(activation, output, N), problem(output, N)
    expected, before = numerical(net, X, Y), flat(net.weights + net.biases)
    y = Y[:, 0] if Y.shape == (B, 1) else Y
    net.fit(X, y, epochs=1, batch_size=batch_size, optimizer="sgd", learning_rate=1.0, verbose=False)
    assert_same(before - flat(net.weights + net.biases), expected)


def test_different_activations_in_one_network() -> None:
    """Every neighbour pair of functions, so that no layer may use another's derivative."""
    names = ("tanh", "sigmoid", "relu", "identity", "sigmoid", "tanh")
    assert len(set(pairwise(names))) == 5
    init = Initializer("uniform", 0.7, biases=True)
    net = MLP([4, 6, 5, 7, 5, 6, 5, 3], activation=names, init=init, dtype="float64", seed=2)
    X, Y = problem("softmax", 3)
    expected, before = numerical(net, X, Y), flat(net.weights + net.biases)
    net.fit(X, Y, epochs=1, batch_size=None, optimizer="sgd", learning_rate=1.0, verbose=False)
    np.testing.assert_allclose(before - flat(net.weights + net.biases), expected, rtol=1e-6, atol=1e-9)


def test_the_gradient_is_the_mean_over_several_blocks() -> None:
    """Full-batch gradients are summed in shards, each of several blocks: ten copies of every row change nothing."""
    net, other = network("tanh", "softmax", 3), network("tanh", "softmax", 3)
    X, Y = problem("softmax", 3)
    for fresh, copies in ((net, 1), (other, 300)):
        rows = np.tile(X, (copies, 1)), np.tile(Y, copies)
        fresh.fit(*rows, epochs=1, batch_size=None, optimizer="sgd", learning_rate=1.0, verbose=False)
    np.testing.assert_allclose(flat(net.weights), flat(other.weights), rtol=1e-11)
