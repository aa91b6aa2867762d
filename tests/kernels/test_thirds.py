"""A later layer on the matrix unit, both of whose factors are sums of three bfloat16 numbers, against the reference in
float64."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import matrix_unit, reference
from fastnn.architecture import Architecture
from fastnn.kernels.compiling.compile import entry
from fastnn.kernels.matrix_unit import thirds
from fastnn.kernels.network import GRADIENT, INPUT, K_, N_, PANEL, Network
from fastnn.kernels.panels import Matrix
from fastnn.packing import Layout

Array = NDArray[Any]
Guarded = Callable[[Any], Array]
Close = Callable[..., None]

SIZES = (1, 2, 15, 16, 17, 31, 32, 33, 64, 65, 95, 100, 300)
NORMAL = 2.0**-126  # the smallest normal float32
# Of a product that is the sum of six of nine: the other three are less than 2**-22, 2**-22 and 2**-30 of it.
ROUNDINGS = 1 + 4

pytestmark = pytest.mark.skipif(not matrix_unit.available(), reason="there is no matrix unit, or it may not be used")


@entry
def thirds_forward(net: Network, words: Array, values: Array, B: int, begin: int, end: int) -> None:
    net = thirds.with_words(net, words)
    thirds.claim_unit(net)
    K, N = net.layers[1, K_], net.layers[1, N_]
    A = Matrix(values, B * net.layers[1, INPUT] + begin * K, K, 1)
    thirds.thirds_forward(net, 1, A, values, B, begin, end, 0, N)
    thirds.release_unit(net)


@entry
def thirds_backward(net: Network, words: Array, values: Array, B: int, part: Array, k: int, columns: int) -> None:
    net = thirds.with_words(net, words)
    thirds.claim_unit(net)
    thirds.thirds_backward(net, 1, values, B, part[0], part[1], k, columns)
    thirds.release_unit(net)


@entry
def thirds_gradient(
    net: Network, words: Array, values: Array, B: int, begin: int, end: int, n: int, last: int, wide: int, out: Array
) -> None:
    """Rows begin..end of dW's panels n..last, all of them as wide, one after the other."""
    net = thirds.with_words(net, words)
    thirds.claim_unit(net)
    thirds.begin_gradients(net, 1, values, B, 0, B, n, last, 0.5)  # which is for the first layer only
    top, to = begin, 0
    while top < end:
        bottom = thirds.bring_inputs(
            net, 1, Matrix(values, B * net.layers[1, INPUT], 1, net.layers[1, K_]), B, top, end
        )
        for k in range(top, bottom, thirds.TALL):
            rows = min(thirds.TALL, bottom - k)
            for column in range(n, last, wide):
                thirds.thirds_gradient(net, 1, B, k - top, rows, column, wide, out, to)
                to += thirds.TALL * wide
        top = bottom
    thirds.release_unit(net)


class Layer:
    """The second layer (K, N) of a network, and B rows of its input A and dZ, for the matrix unit, between guard zones;
    results are full of NaN, and scratch is, too."""

    def __init__(self, W: Array, b: Array, guarded: Guarded, B: int = 1) -> None:
        (self.K, self.N), self.B, self.guarded, self.W, self.b = W.shape, B, guarded, W, b
        architecture = Architecture((1, self.K, self.N), ("tanh",), "identity")
        self.layout = Layout(architecture, np.dtype(np.float32), thirds=(1,))
        first = np.zeros((1, self.K), np.float32), np.zeros(self.K, np.float32)
        layers, params, transposed, zero, *others = self.layout.network([first[0], W], [first[1], b])
        self.network = Network(layers, *map(guarded, (params, transposed, zero)), *others)
        self.panel = int(layers[1, PANEL])
        self.values = self.blank(B * self.layout.block)

    def blank(self, count: int) -> Array:
        return self.guarded(np.full(count, np.nan, np.float32))

    def words(self) -> Array:
        return self.guarded(np.full(self.layout.words(self.B), np.nan, np.float32))

    def part(self, layer: int, column: int, N: int) -> Array:
        """Of the values: (B, N)."""
        start = self.B * int(self.layout.layers[layer, column])
        return self.values[start : start + self.B * N].reshape(self.B, N)

    def hand_in(self, A: Array, dZ: Array) -> None:
        """As the input, and as the gradient of what comes out."""
        self.values[...] = np.nan
        self.part(1, INPUT, self.K)[...] = A
        self.part(2, GRADIENT, self.N)[...] = dZ

    def take(self, layer: int, column: int, N: int) -> Array:
        """What has been written there; nothing may be left but the input and dZ."""
        found = self.part(layer, column, N).copy()
        for place in ((1, INPUT, self.K), (2, GRADIENT, self.N), (layer, column, N)):
            self.part(*place)[...] = np.nan
        assert np.isnan(self.values).all()
        return found

    def forward(self, A: Array, *cuts: int) -> Array:
        self.hand_in(A, np.nan)
        for begin, end in pairwise(cuts):
            thirds_forward(self.network, self.words(), self.values, self.B, begin, end)
        return self.take(2, INPUT, self.N)

    def backward(self, dZ: Array, cuts: tuple[int, ...], columns: tuple[int, ...]) -> Array:
        self.hand_in(np.nan, dZ)
        for part in pairwise(cuts):
            for k, last in pairwise(columns):
                thirds_backward(self.network, self.words(), self.values, self.B, np.array(part), k, last - k)
        return self.take(1, GRADIENT, self.K)

    def gradient(self, A: Array, dZ: Array, begin: int, end: int) -> Array:
        """Rows begin..end of dW."""
        self.hand_in(A, dZ)
        whole, dW = self.N // self.panel * self.panel, np.empty((end - begin, self.N), np.float32)
        for n, last in ((0, whole), (whole, self.N)):
            if n < last:
                wide = self.layout._width(last - n, self.panel)
                tall, panels = -(-(end - begin) // thirds.TALL), -(-(last - n) // wide)
                out = self.blank(tall * panels * thirds.TALL * wide)
                thirds_gradient(self.network, self.words(), self.values, self.B, begin, end, n, last, wide, out)
                tiles = out.reshape(tall, panels, thirds.TALL, wide).transpose(0, 2, 1, 3)
                dW[:, n:last] = tiles.reshape(tall * thirds.TALL, panels * wide)[: end - begin, : last - n]
        return dW


def make(K: int, N: int, B: int, guarded: Guarded, rng: np.random.Generator) -> tuple[Layer, Array, Array]:
    """A layer, its input and dZ."""
    W, b, A, dZ = (rng.normal(size=size).astype(np.float32) for size in ((K, N), N, (B, K), (B, N)))
    return Layer(W, b, guarded, B), A, dZ


def numbers_of_any_size(K: int, N: int, rng: np.random.Generator) -> Array:
    """But for those with digits below the normal numbers, which count as zero in training."""
    found = rng.integers(0, 1 << 32, (K, N), dtype=np.uint32).view(np.float32)
    found[~(abs(found) >= NORMAL * 2**23)] = 0.0
    special = np.float32([0.0, np.finfo(np.float32).max, np.finfo(np.float32).min, 1 - 2**-24, -1 - 2**-23])
    found.ravel()[rng.permutation(found.size)[: len(special)]] = special[: found.size]
    return found


@pytest.mark.parametrize("N", SIZES)
@pytest.mark.parametrize("K", SIZES)
def test_numbers_times_one_are_the_same(K: int, N: int, guarded: Guarded, rng: Any) -> None:
    """Thirds add up to the numbers that they are of."""
    W = numbers_of_any_size(K, N, rng)
    b = np.zeros(N, np.float32)
    np.testing.assert_array_equal(Layer(W, b, guarded, K).forward(np.eye(K), 0, K), W)
    layer = Layer(W, b, guarded, N)
    np.testing.assert_array_equal(layer.backward(np.eye(N), (0, N), (0, K)), W.T)
    np.testing.assert_array_equal(layer.gradient(W.T, np.eye(N), 0, K), W)


# Every awkward size as K, N and B in turn.
@pytest.fixture(params=["K", "N", "B"])
def sizes(request: pytest.FixtureRequest, size: int) -> tuple[int, int, int]:
    return {"K": (size, 49, 35), "N": (130, size, 33), "B": (129, 97, size)}[request.param]


@pytest.mark.parametrize("size", [*SIZES, 128, 129, 513, 1090])
def test_as_near_as_float32(sizes: tuple[int, int, int], guarded: Guarded, rng: Any, assert_close: Close) -> None:
    K, N, B = sizes
    layer, A, dZ = make(K, N, B, guarded, rng)
    W, b = layer.W.astype(np.float64), layer.b
    Z = layer.forward(A, 0, B)
    assert_close(Z, reference.matmul_bias(A, W, b), K + ROUNDINGS, reference.matmul_bias(abs(A), abs(W), abs(b)))
    assert_close(layer.backward(dZ, (0, B), (0, K)), dZ @ W.T, N + ROUNDINGS, abs(dZ) @ abs(W.T))
    dW = layer.gradient(A, dZ, 0, K)
    assert_close(dW, A.T.astype(np.float64) @ dZ, B + ROUNDINGS, abs(A.T) @ abs(dZ))


@pytest.mark.parametrize(("K", "N", "B"), [(512, 256, 128), (129, 1000, 300)])
def test_errors_are_those_of_float32(K: int, N: int, B: int, guarded: Guarded, rng: Any) -> None:
    """One multiply-add after the other has as large ones on average."""
    layer, A, dZ = make(K, N, B, guarded, rng)
    zeros, W = np.zeros(N, np.float32), layer.W
    for found, left, right, start in (
        (layer.forward(A, 0, B), A, W, layer.b),
        (layer.backward(dZ, (0, B), (0, K)), dZ, W.T, zeros[:1]),
        (layer.gradient(A, dZ, 0, K), A.T, dZ, zeros),
    ):
        exact, plain = left.astype(np.float64) @ right + start, np.zeros(found.shape, np.float32)
        for k in range(left.shape[1]):
            plain += left[:, k : k + 1] * right[k]
        errors = [np.sqrt(((result - exact) ** 2).mean()) for result in (found, plain + start)]
        assert errors[0] <= 2 * errors[1]


@pytest.mark.parametrize(("K", "N"), [(130, 97), (300, 128)])
def test_any_share_of_the_rows_and_columns(K: int, N: int, guarded: Guarded, rng: Any) -> None:
    """They have the same bits whether they are made together or some at a time."""
    B, cuts = 300, (0, 8, 24, 88, 96, 300)
    layer, A, dZ = make(K, N, B, guarded, rng)
    np.testing.assert_array_equal(layer.forward(A, *cuts), layer.forward(A, 0, B))
    whole = layer.backward(dZ, (0, B), (0, K))
    np.testing.assert_array_equal(layer.backward(dZ, cuts, (0, K)), whole)
    np.testing.assert_array_equal(layer.backward(dZ, (0, B), (0, 32, 96, K)), whole)
    parts = [layer.gradient(A, dZ, begin, end) for begin, end in pairwise((0, 32, 96, K))]
    np.testing.assert_array_equal(np.concatenate(parts), layer.gradient(A, dZ, 0, K))


def test_factor_is_of_the_first_layer_only(guarded: Guarded, rng: Any) -> None:
    """Whole numbers, of which every sum is exact."""
    layer, _, _ = make(130, 128, 64, guarded, rng)
    A, dZ = rng.integers(-9, 10, (64, 130)), rng.integers(-9, 10, (64, 128))
    np.testing.assert_array_equal(layer.gradient(A, dZ, 0, 130), A.T @ dZ)
