"""The first layer on the matrix unit, of weights that are sums of three bfloat16 numbers, against the reference in
float64."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import matrix_unit, reference
from fastnn.architecture import Architecture
from fastnn.kernels import thirds
from fastnn.kernels.compile import entry
from fastnn.kernels.matrix_unit import SIDE
from fastnn.kernels.network import BIAS, GRADIENT, PANEL, UINT8, Network, Rows
from fastnn.packing import Layout

Array = NDArray[Any]
Guarded = Callable[[Any], Array]
Close = Callable[..., None]

INPUTS = (64, 65, 95, 96, 97, 784)
COLUMNS = (1, 10, 16, 17, 31, 32, 33, 48, 64, 100)
BATCHES = (1, 2, 31, 32, 33, 63, 64, 65, 128, 300)
FACTOR = 1 / 255
NORMAL = 2.0**-126  # the smallest normal float32

on_the_unit = pytest.mark.skipif(not matrix_unit.available(), reason="there is no matrix unit, or it may not be used")


@entry
def split_weights(net: Network, begin: int, rows: int, n: int, W: Array, w: int) -> None:
    thirds.split_weights(net, begin, rows, n, W, w)


@entry
def thirds_forward(
    net: Network, rows: Rows, numbers: Array, words: Array, values: Array, part: Array, n: int, columns: int
) -> None:
    thirds.claim_unit(net)
    thirds.thirds_forward(net, rows, numbers, words, values, len(numbers), part[0], part[1], n, columns)
    thirds.release_unit(net)


@entry
def add_thirds(
    net: Network, rows: Rows, numbers: Array, words: Array, values: Array, part: Array, out: Array, fresh: bool
) -> None:
    begin, end = part[0], part[1]
    own, ahead = numbers[begin:end], numbers[end:]
    thirds.claim_unit(net)
    thirds.add_thirds(net, rows, own, ahead, words, values, len(numbers), begin, end - begin, out, 0, fresh)
    thirds.release_unit(net)


class Layer:
    """A first layer (K, N) for the matrix unit, between guard zones; scratch and results are full of NaN."""

    def __init__(self, W: Array, b: Array, guarded: Guarded) -> None:
        (self.K, self.N), self.guarded = W.shape, guarded
        self.layout = Layout(Architecture(W.shape, (), "identity"), np.dtype(np.float32), thirds=True)
        layers, params, transposed, zero, rates, seed, parts = self.layout.network([W], [b])
        self.network = Network(layers, *map(guarded, (params, transposed, zero)), rates, seed, guarded(parts))
        self.panel, self.starts = int(layers[0, PANEL]), range(0, self.N, int(layers[0, PANEL]))

    def split(self, *cuts: int) -> None:
        """Make W's thirds, the rows between two cuts at a time."""
        params = self.network.params
        for begin, end in pairwise(cuts):
            for n in self.starts:
                wide = self.layout._width(self.N - n, self.panel)
                split_weights(self.network, begin, end - begin, n, params, n * self.K + begin * wide)

    def sums(self) -> tuple[Array, Array]:
        """The sums of W's thirds (K, N), and everything that fills them up."""
        pairs, sums, filled = -(-self.K // thirds.DEEP) * SIDE, np.empty((self.K, self.N)), []
        numbers = (self.network.thirds.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        parts = numbers.astype(np.float64).reshape(3, -1).sum(axis=0)
        for n in self.starts:
            wide, columns = self.layout._width(self.N - n, self.panel), min(self.panel, self.N - n)
            panel = parts[2 * n * pairs : 2 * (n + wide) * pairs].reshape(pairs, wide, 2)
            panel = panel.transpose(0, 2, 1).reshape(2 * pairs, wide)
            sums[:, n : n + columns] = panel[: self.K, :columns]
            filled += [panel[self.K :].ravel(), panel[:, columns:].ravel()]
        return sums, np.concatenate(filled)

    def blank(self, count: int) -> Array:
        return self.guarded(np.full(count, np.nan, np.float32))

    def part(self, values: Array, B: int) -> Array:
        """Of a batch's values: Z, or dZ, (B, N)."""
        start = B * int(self.layout.layers[1, GRADIENT])
        return values[start : start + B * self.N].reshape(B, self.N)

    def forward(self, X: Array, numbers: Array, cuts: tuple[int, ...], starts: tuple[int, ...]) -> Array:
        """Z of these rows of X; the rows and the columns between two cuts at a time."""
        B = len(numbers)
        values, words = self.blank(B * self.layout.block), self.blank(self.layout.words(B))
        for part in pairwise(cuts):
            for n, last in pairwise(starts):
                thirds_forward(
                    self.network, rows_of(X), self.guarded(numbers), words, values, np.array(part), n, last - n
                )
        Z = self.part(values, B).copy()
        self.part(values, B)[...] = np.nan
        assert np.isnan(values).all()
        return Z

    def gradient(self, X: Array, numbers: Array, dZ: Array, begin: int, end: int, times: int = 1) -> Array:
        """dW of places begin..end of these rows of X, added up so many times."""
        B = len(numbers)
        values, words = self.blank(B * self.layout.block), self.blank(self.layout.words(end - begin))
        self.part(values, B)[begin:end] = dZ[begin:end]
        out, part = self.blank(self.layout.params), np.array([begin, end])
        for time in range(times):
            add_thirds(self.network, rows_of(X), self.guarded(numbers), words, values, part, out, time == 0)
        assert np.isnan(out[self.layout.layers[0, BIAS] :]).all()
        dW = np.empty((self.K, self.N), np.float32)
        self.layout.unpack(out, [dW], [np.empty(self.N, np.float32)])
        return dW


def rows_of(X: Array) -> Rows:
    return Rows(X.ctypes.data, X.strides[0], UINT8, FACTOR)


@pytest.fixture
def pixels(rng: np.random.Generator) -> Callable[[int, int], tuple[Array, Array]]:
    """pixels(B, K): features of some more rows, which lie further apart than they are long, and places of B of them."""

    def make(B: int, K: int) -> tuple[Array, Array]:
        return rng.integers(0, 256, (B + 9, K + 7), dtype=np.uint8)[:, 3 : K + 3], rng.permutation(B + 9)[:B]

    return make


def make_layer(K: int, N: int, guarded: Guarded, rng: np.random.Generator) -> tuple[Layer, Array, Array]:
    W, b = (rng.normal(size=(K, N)) / K**0.5).astype(np.float32), rng.normal(size=N).astype(np.float32)
    layer = Layer(W, b, guarded)
    layer.split(0, K)
    return layer, W, b


# --- weights


@pytest.mark.parametrize("N", [1, 16, 33, 100])
@pytest.mark.parametrize("K", [1, 2, 31, 32, 33, 64, 97, 784])
def test_thirds_add_up_to_the_weights(K: int, N: int, guarded: Guarded, rng: Any) -> None:
    """Of any size, but for digits below the normal numbers, which count as zero in training."""
    W = rng.integers(0, 1 << 32, (K, N), dtype=np.uint32).view(np.float32)
    W[~np.isfinite(W)] = np.finfo(np.float32).max
    special = np.float32([0.0, -0.0, np.finfo(np.float32).min, 1e-45, 1 - 2**-24, -1 - 2**-23, 2**-126])
    W.ravel()[rng.permutation(W.size)[: len(special)]] = special[: W.size]
    for cuts in [(0, K), (0, K // 4 * 2, K)]:
        layer = Layer(W, np.zeros(N), guarded)
        layer.split(*cuts)
        sums, filled = layer.sums()
        exact = (abs(W) >= NORMAL * 2**23) | (W == 0)
        np.testing.assert_array_equal(sums[exact], W[exact])
        assert (abs(sums - W) < NORMAL).all()
        assert not filled.any()


# --- products


@on_the_unit
@pytest.mark.parametrize("B", BATCHES)
@pytest.mark.parametrize("N", COLUMNS)
@pytest.mark.parametrize("K", INPUTS)
def test_forward_and_gradient(
    K: int, N: int, B: int, guarded: Guarded, pixels: Callable[..., Any], rng: Any, assert_close: Close
) -> None:
    """As near as sums of float32 numbers of this depth have to be."""
    layer, W, b = make_layer(K, N, guarded, rng)
    X, numbers = pixels(B, K)
    Z, A = layer.forward(X, numbers, (0, B), (0, N)), X[numbers] * FACTOR
    assert_close(Z, reference.matmul_bias(A, W, b), K + 1, reference.matmul_bias(A, abs(W), abs(b)))
    dZ = rng.normal(size=(B, N)).astype(np.float32)
    dW = layer.gradient(X, numbers, dZ, 0, B)
    assert_close(dW, A.T @ dZ, B + 1, A.T @ abs(dZ))


@on_the_unit
@pytest.mark.parametrize(("B", "K", "N"), [(64, 784, 48), (300, 100, 33), (513, 1090, 20)])
def test_errors_are_those_of_float32(
    B: int, K: int, N: int, guarded: Guarded, pixels: Callable[..., Any], rng: Any
) -> None:
    """One multiply-add after the other has as large ones on average."""
    layer, W, b = make_layer(K, N, guarded, rng)
    X, numbers = pixels(B, K)
    A, dZ = X[numbers] * FACTOR, rng.normal(size=(B, N)).astype(np.float32)
    for found, left, right, start in (
        (layer.forward(X, numbers, (0, B), (0, N)), A, W, b),
        (layer.gradient(X, numbers, dZ, 0, B), A.T, dZ, np.zeros(N)),
    ):
        exact, plain, narrow = left @ right + start, np.zeros(found.shape, np.float32), left.astype(np.float32)
        for k in range(left.shape[1]):
            plain += narrow[:, k : k + 1] * right[k]
        errors = [np.sqrt(((result - exact) ** 2).mean()) for result in (found, plain + start.astype(np.float32))]
        assert errors[0] <= 2 * errors[1]


@on_the_unit
@pytest.mark.parametrize(("K", "N"), [(64, 1), (97, 33), (784, 100)])
def test_any_share_of_the_rows_and_columns(
    K: int, N: int, guarded: Guarded, pixels: Callable[..., Any], rng: Any
) -> None:
    """They have the same bits whether they are made together or some at a time."""
    B = 300
    layer, _, _ = make_layer(K, N, guarded, rng)
    X, numbers = pixels(B, K)
    whole = layer.forward(X, numbers, (0, B), (0, N))
    parts = layer.forward(X, numbers, (0, 8, 24, 88, 96, B), (*layer.starts, N))
    np.testing.assert_array_equal(parts, whole)


@on_the_unit
@pytest.mark.parametrize(("K", "N"), [(64, 1), (97, 33), (784, 100), (1090, 17)])
def test_gradients_of_some_rows_add_up(
    K: int, N: int, guarded: Guarded, pixels: Callable[..., Any], rng: Any, assert_close: Close
) -> None:
    B = 150
    layer, _, _ = make_layer(K, N, guarded, rng)
    X, numbers = pixels(B, K)
    dZ = rng.normal(size=(B, N)).astype(np.float32)
    for begin, end in ((0, 72), (72, B), (80, 83)):
        A, wanted = X[numbers[begin:end]] * FACTOR, dZ[begin:end]
        once = layer.gradient(X, numbers, dZ, begin, end)
        assert_close(once, A.T @ wanted, end - begin + 1, A.T @ abs(wanted))
        np.testing.assert_array_equal(layer.gradient(X, numbers, dZ, begin, end, times=2), 2 * once)


@on_the_unit
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_in_its_column(
    value: float, guarded: Guarded, pixels: Callable[..., Any], rng: Any, assert_close: Close
) -> None:
    layer, W, b = make_layer(97, 33, guarded, rng)
    layer.network.params[5 * layer.panel + 7] = value
    layer.split(0, 97)
    X, numbers = pixels(65, 97)
    Z, A, others = layer.forward(X, numbers, (0, 65), (0, 33)), X[numbers] * FACTOR, np.arange(33) != 7
    assert not np.isfinite(Z[:, 7]).any()
    expected, scale = reference.matmul_bias(A, W, b), reference.matmul_bias(A, abs(W), abs(b))
    assert_close(Z[:, others], expected[:, others], 98, scale[:, others])
