"""The first layer on the matrix unit, of bytes, against the reference: see kernels/matrix_unit/layers.py."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import matrix_unit, reference
from fastnn.architecture import Architecture
from fastnn.features import no_lists
from fastnn.kernels.compiling.compile import entry
from fastnn.kernels.matrix_unit.layers import bytes_forward, split_weights
from fastnn.kernels.matrix_unit.products import DEEP, TALL
from fastnn.kernels.matrix_unit.thirds import claim_unit, release_unit, with_words
from fastnn.kernels.network import BIAS, GRADIENT, PANEL, UINT8, Network, Rows
from fastnn.kernels.training import gradients
from fastnn.kernels.training.rows import Batch, Data
from fastnn.packing import Layout

Array = NDArray[Any]
Guarded = Callable[[Any], Array]
Close = Callable[..., None]

INPUTS = (64, 65, 95, 96, 97, 784)
COLUMNS = (1, 10, 16, 17, 31, 32, 33, 48, 64, 100)
BATCHES = (1, 2, 31, 32, 33, 63, 64, 65, 128, 300)
FACTOR = 1 / 255

pytestmark = pytest.mark.skipif(not matrix_unit.available(), reason="there is no matrix unit, or it may not be used")


@entry
def forward(
    net: Network, rows: Rows, numbers: Array, words: Array, values: Array, part: Array, n: int, columns: int
) -> None:
    net = with_words(net, words)
    claim_unit(net)
    split_weights(net, rows.factor)
    bytes_forward(net, rows, numbers, values, len(numbers), part[0], part[1], n, columns)
    release_unit(net)


@entry
def add_gradient(
    net: Network, data: Data, batch: Batch, words: Array, part: Array, tile: Array, out: Array, fresh: bool
) -> None:
    net = with_words(net, words)
    claim_unit(net)
    gradients.add_on_unit(net, data, 0, batch, len(batch.numbers), part[0], part[1] - part[0], tile, out, 0, fresh)
    release_unit(net)


class Layer:
    """A first layer (K, N) for the matrix unit, between guard zones; results are full of NaN, scratch, too."""

    def __init__(self, W: Array, b: Array, guarded: Guarded, whole: bool = False) -> None:
        (self.K, self.N), self.guarded, self.dtype = W.shape, guarded, W.dtype
        architecture = Architecture(W.shape, (), "identity")
        self.layout = Layout(architecture, W.dtype, thirds=(0,), whole_thirds=whole, as_bytes=True)
        layers, params, transposed, zero, *others = self.layout.network([W], [b])
        self.network = Network(layers, *map(guarded, (params, transposed, zero)), *others)
        self.panel, self.starts = int(layers[0, PANEL]), range(0, self.N, int(layers[0, PANEL]))

    def blank(self, count: int) -> Array:
        return self.guarded(np.full(count, np.nan, self.dtype))

    def words(self, B: int) -> Array:
        return self.blank(self.layout.words(B))

    def part(self, values: Array, B: int) -> Array:
        """Of a batch's values: Z, or dZ, (B, N)."""
        start = B * int(self.layout.layers[1, GRADIENT])
        return values[start : start + B * self.N].reshape(B, self.N)

    def forward(self, X: Array, numbers: Array, cuts: tuple[int, ...], starts: tuple[int, ...]) -> Array:
        """Z of these rows of X; the rows and the columns between two cuts at a time."""
        B = len(numbers)
        values, words = self.blank(B * self.layout.block), self.words(B)
        for part in pairwise(cuts):
            for n, last in pairwise(starts):
                forward(self.network, rows_of(X), self.guarded(numbers), words, values, np.array(part), n, last - n)
        Z = self.part(values, B).copy()
        self.part(values, B)[...] = np.nan
        assert np.isnan(values).all()
        return Z

    def gradient(self, X: Array, numbers: Array, dZ: Array, begin: int, end: int, times: int = 1) -> Array:
        """dW of places begin..end of these rows of X, added up so many times."""
        B = len(numbers)
        values, words = self.blank(B * self.layout.block), self.words(end - begin)
        self.part(values, B)[begin:end] = dZ[begin:end]
        out, part = self.blank(self.layout.params), np.array([begin, end])
        own, none, nothing = self.guarded(numbers), np.zeros(0, np.int64), no_lists(out.dtype)
        data = Data(rows_of(X), nothing, nothing, none, out[:0], 0, 0.0, np.zeros(0))
        batch = Batch(values, own, none, out[:0], np.zeros(0), out[:0], none, own[end:])
        for time in range(times):
            add_gradient(self.network, data, batch, words, part, self.blank(TALL * DEEP), out, time == 0)
        assert np.isnan(out[self.layout.layers[0, BIAS] :]).all()
        dW = np.empty((self.K, self.N), self.dtype)
        self.layout.unpack(out, [dW], [np.empty(self.N, self.dtype)])
        return dW


def rows_of(X: Array) -> Rows:
    return Rows(X.ctypes.data, X.strides[0], UINT8, FACTOR)


@pytest.fixture
def pixels(rng: np.random.Generator) -> Callable[[int, int], tuple[Array, Array]]:
    """pixels(B, K): features of some more rows, which lie further apart than they are long, and places of B of them."""

    def make(B: int, K: int) -> tuple[Array, Array]:
        return rng.integers(0, 256, (B + 9, K + 7), dtype=np.uint8)[:, 3 : K + 3], rng.permutation(B + 9)[:B]

    return make


def make_layer(
    K: int, N: int, dtype: np.dtype[Any], guarded: Guarded, rng: np.random.Generator, whole: bool = False
) -> tuple[Layer, Array, Array]:
    W, b = (rng.normal(size=(K, N)) / K**0.5).astype(dtype), rng.normal(size=N).astype(dtype)
    return Layer(W, b, guarded, whole), W, b


def lost(A: Array, B: Array) -> Any:
    """2**-55 of the largest number of each column of a float64 B, times A, in roundings for each number of a column."""
    if B.dtype == np.float32:
        return 0.0
    return A.sum(axis=1, keepdims=True) * abs(B).max(axis=0) / (8 * (len(B) + 1))


@pytest.mark.parametrize("B", BATCHES)
@pytest.mark.parametrize("N", COLUMNS)
@pytest.mark.parametrize("K", INPUTS)
def test_forward_and_gradient(
    K: int, N: int, B: int, dtype: Any, guarded: Guarded, pixels: Callable[..., Any], rng: Any, assert_close: Close
) -> None:
    """As near as sums of this depth have to be, and digits are: see kernels/matrix_unit/digits.py."""
    layer, W, b = make_layer(K, N, dtype, guarded, rng)
    X, numbers = pixels(B, K)
    Z, A = layer.forward(X, numbers, (0, B), (0, N)), X[numbers] * FACTOR
    assert_close(Z, reference.matmul_bias(A, W, b), K + 1, reference.matmul_bias(A, abs(W), abs(b)) + lost(A, W))
    dZ = rng.normal(size=(B, N)).astype(dtype)
    dW = layer.gradient(X, numbers, dZ, 0, B)
    assert_close(dW, A.T @ dZ, B + 1, A.T @ abs(dZ) + lost(A.T, dZ))


@pytest.mark.parametrize(("B", "K", "N"), [(64, 784, 48), (300, 100, 33), (513, 1090, 20)])
def test_errors_are_those_of_the_dtype(
    B: int, K: int, N: int, dtype: Any, guarded: Guarded, pixels: Callable[..., Any], rng: Any
) -> None:
    """One multiply-add after the other has as large ones on average."""
    layer, W, b = make_layer(K, N, dtype, guarded, rng)
    X, numbers = pixels(B, K)
    A, dZ = X[numbers] * FACTOR, rng.normal(size=(B, N)).astype(dtype)
    for found, left, right, start in (
        (layer.forward(X, numbers, (0, B), (0, N)), A, W, b),
        (layer.gradient(X, numbers, dZ, 0, B), A.T, dZ, np.zeros(N)),
    ):
        exact, plain, narrow = (
            left.astype(np.longdouble) @ right + start,
            np.zeros(found.shape, dtype),
            left.astype(dtype),
        )
        for k in range(left.shape[1]):
            plain += narrow[:, k : k + 1] * right[k]
        errors = [np.sqrt(((result - exact) ** 2).mean()) for result in (found, plain + start.astype(dtype))]
        assert errors[0] <= 2 * errors[1]


@pytest.mark.parametrize(("K", "N"), [(64, 1), (97, 33), (784, 100)])
@pytest.mark.parametrize("whole", [True, False])
def test_any_share_of_the_rows_and_columns(
    whole: bool, K: int, N: int, dtype: Any, guarded: Guarded, pixels: Callable[..., Any], rng: Any
) -> None:
    """They have the same bits whether they are made together or some at a time. whole: whether W is split before."""
    B = 300
    layer, _, _ = make_layer(K, N, dtype, guarded, rng, whole)
    X, numbers = pixels(B, K)
    together = layer.forward(X, numbers, (0, B), (0, N))
    parts = layer.forward(X, numbers, (0, 8, 24, 88, 96, B), (*layer.starts, N))
    np.testing.assert_array_equal(parts, together)


@pytest.mark.parametrize(("K", "N"), [(64, 1), (97, 33), (784, 100), (1090, 17)])
def test_gradients_of_some_rows_add_up(
    K: int, N: int, dtype: Any, guarded: Guarded, pixels: Callable[..., Any], rng: Any, assert_close: Close
) -> None:
    B = 150
    layer, _, _ = make_layer(K, N, dtype, guarded, rng)
    X, numbers = pixels(B, K)
    dZ = rng.normal(size=(B, N)).astype(dtype)
    for begin, end in ((0, 72), (72, B), (80, 83)):
        A, wanted = X[numbers[begin:end]] * FACTOR, dZ[begin:end]
        once = layer.gradient(X, numbers, dZ, begin, end)
        assert_close(once, A.T @ wanted, end - begin + 1, A.T @ abs(wanted) + lost(A.T, wanted))
        np.testing.assert_array_equal(layer.gradient(X, numbers, dZ, begin, end, times=2), 2 * once)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_in_its_column(
    value: float, dtype: Any, guarded: Guarded, pixels: Callable[..., Any], rng: Any, assert_close: Close
) -> None:
    layer, W, b = make_layer(97, 33, dtype, guarded, rng)
    layer.network.params[5 * layer.panel + 7] = value
    X, numbers = pixels(65, 97)
    Z, A, others = layer.forward(X, numbers, (0, 65), (0, 33)), X[numbers] * FACTOR, np.arange(33) != 7
    assert not np.isfinite(Z[:, 7]).any()
    expected, scale = reference.matmul_bias(A, W, b), reference.matmul_bias(A, abs(W), abs(b))
    assert_close(Z[:, others], expected[:, others], 98, scale[:, others])
