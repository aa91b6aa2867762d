"""A whole network over a block of rows, and features of any kind, layer by layer against the reference in float64."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import reference
from fastnn.architecture import ACTIVATIONS, FROM_INPUT, Architecture
from fastnn.kernels import network
from fastnn.kernels.compiling.compile import entry
from fastnn.kernels.network import FLOAT32, FLOAT64, GRADIENT, INPUT, UINT8, Network, Rows
from fastnn.kernels.training import passes
from fastnn.packing import Layout

Array = NDArray[Any]
DType = np.dtype[Any]
Guarded = Callable[[Any], Array]
Close = Callable[..., None]

SHAPES = [(1, 1), (2, 3, 1), (15, 16, 17), (17, 31, 33, 3), (64, 65, 15), (783, 100, 32, 10), (3, 63, 1, 2, 16)]
BATCHES = [1, 2, 15, 16, 33]
# Those whose backward pass starts from their value; the others' whole networks are in tests/test_gradients.py.
OF_VALUES = [name for name in ACTIVATIONS if name not in FROM_INPUT]
ROUNDINGS = 5  # of an activation, besides those of its sum


# Entries of our own, so that the next run of the tests finds them compiled: 4 s instead of 18 s.
@entry
def forward(net: Network, values: Array, B: int, begin: int, end: int, first: int) -> None:
    passes.forward(net, values, B, begin, end, first, 0)


@entry
def backward(net: Network, values: Array, B: int, begin: int, end: int) -> None:
    passes.backward(net, values, B, begin, end, 0, 0)


@entry
def layer_backward(net: Network, layer: int, values: Array, B: int, k: int, columns: int) -> None:
    passes.layer_backward(net, layer, values, B, 0, B, k, columns, 0)


@entry
def widen_row(rows: Rows, row: int, out: Array, offset: int, K: int) -> None:
    network.widen_row(rows, row, out, offset, K)


class Block:
    """A random network and random rows of features, laid out for the kernels between guard zones."""

    def __init__(self, sizes: tuple[int, ...], B: int, dtype: DType, guarded: Guarded) -> None:
        rng = np.random.default_rng(sum(sizes) + B)
        activations = tuple(OF_VALUES[(i + B) % len(OF_VALUES)] for i in range(len(sizes) - 2))
        architecture = Architecture(sizes, activations, "identity")
        self.B, self.sizes, self.activations = B, sizes, (*activations, "identity")
        self.weights = [(rng.normal(size=shape) / shape[0] ** 0.5).astype(dtype) for shape in architecture.layers]
        self.biases = [rng.normal(size=N).astype(dtype) for N in sizes[1:]]
        self.layout = Layout(architecture, dtype)
        layers, params, transposed, zero, *others = self.layout.network(self.weights, self.biases)
        self.network = Network(layers, *map(guarded, (params, transposed, zero)), *others)
        self.values = guarded(np.full(B * self.layout.block, np.nan, dtype))
        self.part(self.values, 0)[...] = rng.normal(size=(B, sizes[0]))
        self.dz = rng.normal(size=(B, sizes[-1])).astype(dtype)

    def part(self, flat: Array, layer: int, column: int = INPUT) -> Array:
        """The layer's input, or its gradient, (B, K)."""
        start, K = self.B * self.layout.layers[layer, column], self.sizes[layer]
        return flat[start : start + self.B * K].reshape(self.B, K)

    def parts(self, column: int = INPUT) -> list[Array]:
        """Copies of all layers' inputs, and of the logits, or of their gradients, in float64."""
        return [self.part(self.values, layer, column).astype(np.float64) for layer in range(len(self.sizes))]

    def assert_only(self, inputs: range, gradients: range) -> None:
        """Nothing but these layers' inputs and gradients has been written."""
        rest = self.values.copy()
        for column, layers in ((INPUT, inputs), (GRADIENT, gradients)):
            for layer in layers:
                self.part(rest, layer, column)[...] = np.nan
        assert np.isnan(rest).all()

    def run(self, *cuts: int) -> None:
        """Forward, then dZ in place of the logits, then backward; the rows between two cuts at a time."""
        for begin, end in pairwise(cuts):
            forward(self.network, self.values, self.B, begin, end, 0)
            self.part(self.values, len(self.weights))[begin:end] = self.dz[begin:end]
            backward(self.network, self.values, self.B, begin, end)


@pytest.mark.parametrize("B", BATCHES)
@pytest.mark.parametrize("sizes", SHAPES)
def test_forward(sizes: tuple[int, ...], B: int, dtype: DType, guarded: Guarded, assert_close: Close) -> None:
    block = Block(sizes, B, dtype, guarded)
    forward(block.network, block.values, B, 0, B, 0)
    A = block.parts()
    for layer, (W, b) in enumerate(zip(block.weights, block.biases, strict=True)):
        expected = reference.ACTIVATION[block.activations[layer]](reference.matmul_bias(A[layer], W, b))
        scale = reference.matmul_bias(abs(A[layer]), abs(W), abs(b))
        assert_close(block.part(block.values, layer + 1), expected, len(W) + ROUNDINGS, scale)
    block.assert_only(range(len(sizes)), range(0))


@pytest.mark.parametrize("B", BATCHES)
@pytest.mark.parametrize("sizes", SHAPES)
def test_backward(sizes: tuple[int, ...], B: int, dtype: DType, guarded: Guarded, assert_close: Close) -> None:
    block = Block(sizes, B, dtype, guarded)
    block.run(0, B)
    A, dA = block.parts(), block.parts(GRADIENT)
    dA[-1] = block.dz.astype(np.float64)
    for layer in range(1, len(block.weights)):
        W = block.weights[layer].astype(np.float64)
        derivative = reference.DERIVATIVE[block.activations[layer - 1]](A[layer])
        expected = reference.matmul_bias_backward(dA[layer + 1], A[layer], W)[0] * derivative
        scale = reference.matmul_bias_backward(abs(dA[layer + 1]), A[layer], abs(W))[0]
        assert_close(block.part(block.values, layer, GRADIENT), expected, W.shape[1] + ROUNDINGS, scale)
    block.assert_only(range(len(sizes)), range(1, len(block.weights)))


@pytest.mark.parametrize("sizes", SHAPES)
def test_any_share_of_the_rows(sizes: tuple[int, ...], dtype: DType, guarded: Guarded) -> None:
    """Rows have the same bits whether they pass through the network together or some at a time."""
    whole, shares = Block(sizes, 33, dtype, guarded), Block(sizes, 33, dtype, guarded)
    whole.run(0, 33)
    shares.run(0, 0, 8, 24, 33)
    np.testing.assert_array_equal(shares.values, whole.values)


@pytest.mark.parametrize("sizes", SHAPES)
def test_any_share_of_the_columns(sizes: tuple[int, ...], dtype: DType, guarded: Guarded) -> None:
    """So do the columns of a layer, whole panels of W.T at a time, on the way back."""
    whole, shares = Block(sizes, 33, dtype, guarded), Block(sizes, 33, dtype, guarded)
    for block in (whole, shares):
        block.run(0, 33)
    panel = 2 * whole.layout.lanes
    for layer in range(len(sizes) - 2, 0, -1):
        shares.part(shares.values, layer, GRADIENT)[...] = np.nan
        for k in range(0, sizes[layer], panel):
            layer_backward(shares.network, layer, shares.values, 33, k, min(panel, sizes[layer] - k))
    np.testing.assert_array_equal(shares.values, whole.values)


@pytest.mark.parametrize("sizes", SHAPES)
def test_forward_from_a_later_layer(sizes: tuple[int, ...], dtype: DType, guarded: Guarded) -> None:
    """The layers before `first` are neither read nor written; what goes in is activated on the way."""
    block = Block(sizes, 17, dtype, guarded)
    forward(block.network, block.values, 17, 0, 17, 0)
    whole = block.values.copy()
    for first in range(1, len(sizes) - 1):
        before = block.part(whole, first - 1).astype(np.float64)
        Z = reference.matmul_bias(before, block.weights[first - 1], block.biases[first - 1])
        for layer in range(len(sizes)):
            block.part(block.values, layer)[...] = Z if layer == first else np.nan
        forward(block.network, block.values, 17, 0, 17, first)
        for layer in range(len(sizes)):
            expected = block.part(whole, layer) if layer >= first else np.nan
            tolerance = 1e3 * np.finfo(dtype).eps
            np.testing.assert_allclose(block.part(block.values, layer), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("factor", [1.0, 1 / 255])
def test_widen_row(
    kind: str, factor: float, size: int, dtype: DType, guarded: Guarded, rng: Any, assert_close: Close
) -> None:
    """Any row of any kind, from memory where the rows are further apart than they are long."""
    number = {"uint8": UINT8, "float32": FLOAT32, "float64": FLOAT64}[kind]
    margin, offset = 5, 3
    features = guarded((rng.normal(size=(4, size + margin)) * 100).astype(kind)).reshape(4, size + margin)
    rows = Rows(features.ctypes.data, features.strides[0], number, factor)
    for row in range(4):
        out = guarded(np.full(size + 2 * offset, np.nan, dtype))
        widen_row(rows, row, out, offset, size)
        assert_close(out[offset:-offset], features[row, :size].astype(dtype).astype(np.float64) * factor, 2)
        assert np.isnan(out[:offset]).all()
        assert np.isnan(out[-offset:]).all()
