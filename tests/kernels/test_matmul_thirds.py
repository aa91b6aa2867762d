"""Whole matrix products on the matrix unit, against the reference in float64, and numbers for which it is not right."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import matrix_unit, ops, reference, workers
from fastnn.kernels.matrix_unit import matmul_thirds
from fastnn.kernels.sync import CONTROL_SIZE

Array = NDArray[Any]
Guarded = Callable[[Any], Array]
Close = Callable[..., None]
Sizes = tuple[int, int, int]

# Of a product that is the sum of six of nine: the other three are less than 2**-22, 2**-22 and 2**-30 of it.
ROUNDINGS = 1 + 4
LEAST = matmul_thirds.LEAST

pytestmark = pytest.mark.skipif(not matrix_unit.available(), reason="there is no matrix unit, or it may not be used")


def make_arrays(sizes: Sizes, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """X, W, b and dZ."""
    M, K, N = sizes
    X, W, b, dZ = (rng.normal(size=shape).astype(np.float32) for shape in ((M, K), (K, N), N, (M, N)))
    return X, W, b, dZ


class Products:
    """The kernels on guarded arrays, in so many threads; results and scratch are full of NaN."""

    def __init__(self, guarded: Guarded, threads: int = 1) -> None:
        self.guarded, self.threads, self.strange = guarded, threads, np.zeros(threads, np.bool_)

    def blank(self, *shape: int) -> Array:
        return self.guarded(np.full(math.prod(shape), np.nan, np.float32)).reshape(shape)

    def _run(self, kernel: Callable[..., None], arrays: list[Array], sizes: Sizes) -> None:
        words = [self.blank(matmul_thirds.WORDS) for _ in range(self.threads)]
        control, flat = np.zeros(CONTROL_SIZE, np.int64), [array.reshape(-1) for array in arrays]
        workers.run(
            lambda t: kernel(t, self.threads, control, *flat, *sizes, self.strange, words[t]),
            self.threads,
        )

    def forward(self, X: Array, W: Array, b: Array) -> Array:
        (M, K), N = X.shape, len(b)
        Z = self.blank(M, N)
        self._run(matmul_thirds.matmul_bias, [*map(self.guarded, (X, W, b)), Z], (M, K, N))
        return Z

    def backward(self, dZ: Array, X: Array, W: Array) -> tuple[Array, Array, Array]:
        M, (K, N) = len(X), W.shape
        results = self.blank(M, K), self.blank(K, N), self.blank(N)
        zero = np.zeros(max(K, N), np.float32)
        self._run(matmul_thirds.matmul_bias_backward, [*map(self.guarded, (dZ, X, W, zero)), *results], (M, K, N))
        return results


# Every awkward size in turn; 512 columns are split at a time, and then 256 rows, or 4096 if there are 32 columns.
@pytest.fixture(params=["M", "K", "N"])
def sizes(request: pytest.FixtureRequest, size: int) -> Sizes:
    return {"M": (size, 49, 35), "K": (70, size, 33), "N": (65, 40, size)}[request.param]


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 257, 511, 512, 513, 1090])
def test_as_near_as_float32(sizes: Sizes, guarded: Guarded, rng: Any, assert_close: Close) -> None:
    check(sizes, Products(guarded), rng, assert_close)


@pytest.mark.parametrize("sizes", [(300, 600, 70), (70, 1030, 520), (4200, 20, 17)])
def test_as_near_in_several_blocks(sizes: Sizes, guarded: Guarded, rng: Any, assert_close: Close) -> None:
    check(sizes, Products(guarded, threads=2), rng, assert_close)


def check(sizes: Sizes, products: Products, rng: Any, assert_close: Close) -> None:
    (M, K, N), (X, W, b, dZ) = sizes, make_arrays(sizes, rng)
    exact = [array.astype(np.float64) for array in (X, W, b, dZ)]
    x, w, bias, dz = exact
    scale = reference.matmul_bias(abs(x), abs(w), abs(bias))
    assert_close(products.forward(X, W, b), reference.matmul_bias(x, w, bias), K + ROUNDINGS, scale)
    found = products.backward(dZ, X, W)
    scales = reference.matmul_bias_backward(abs(dz), abs(x), abs(w))
    expected = reference.matmul_bias_backward(dz, x, w)
    for result, right, roundings, scale in zip(found, expected, (N, M, M), scales, strict=True):
        assert_close(result, right, roundings + ROUNDINGS, scale)
    assert not products.strange.any()


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (300, 70, 37), (70, 100, 300), (130, 530, 200)])
def test_any_number_of_threads(sizes: Sizes, threads: int, guarded: Guarded, rng: Any) -> None:
    X, W, b, dZ = make_arrays(sizes, rng)
    alone, together = Products(guarded), Products(guarded, threads)
    np.testing.assert_array_equal(together.forward(X, W, b), alone.forward(X, W, b))
    for ours, expected in zip(together.backward(dZ, X, W), alone.backward(dZ, X, W), strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, LEAST / 2, -LEAST / 2, LEAST * (1 - 2**-24), 2.0**-149])
def test_numbers_for_which_it_is_not_right_are_seen(number: float, threads: int, guarded: Guarded, rng: Any) -> None:
    """Wherever they are."""
    arrays = make_arrays((70, 60, 50), rng)
    for i in (0, 1, 3):
        for place in (0, arrays[i].size - 1, int(rng.integers(arrays[i].size))):
            X, W, b, dZ = (array.copy() for array in arrays)
            (X, W, b, dZ)[i].ravel()[place] = number
            forward, backward = Products(guarded, threads), Products(guarded, threads)
            forward.forward(X, W, b)
            backward.backward(dZ, X, W)
            assert forward.strange.any() == (i != 3)
            assert backward.strange.any()


@pytest.mark.parametrize("number", [0.0, -0.0, LEAST, -LEAST, 1.5 * LEAST, 2.0**127, np.finfo(np.float32).max])
def test_numbers_for_which_it_is_right(number: float, guarded: Guarded) -> None:
    products, X = Products(guarded), np.full((2, 3), number, np.float32)
    np.testing.assert_array_equal(products.forward(X, np.eye(3, dtype=np.float32), np.zeros(3, np.float32)), X)
    assert not products.strange.any()


# --- in operations


def both(X: Array, W: Array, b: Array, dZ: Array, threads: int = 2) -> list[Array]:
    return [ops.matmul_bias(X, W, b, threads=threads), *ops.matmul_bias_backward(dZ, X, W, threads=threads)]


def test_large_products_are_made_on_the_unit(rng: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With other last digits than without, the same for any number of threads."""
    for size, used in ((ops.LEAST_ON_UNIT, True), (ops.LEAST_ON_UNIT - 1, False)):
        arrays = make_arrays((size, size + 1, size), rng)
        found = both(*arrays)
        for ours, alone in zip(found, both(*arrays, threads=1), strict=True):
            np.testing.assert_array_equal(ours, alone)
        with monkeypatch.context() as without:
            without.setattr(matrix_unit, "available", lambda: False)
            assert (found[0] != both(*arrays)[0]).any() == used


@pytest.mark.parametrize("number", [np.inf, np.nan, 2.0**-140])
def test_without_it_where_it_is_not_right(number: float, rng: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    X, W, b, dZ = make_arrays((300, 260, 270), rng)
    X[123, 45] = number
    found = both(X, W, b, dZ)
    monkeypatch.setattr(matrix_unit, "available", lambda: False)
    for ours, expected in zip(found, both(X, W, b, dZ), strict=True):
        np.testing.assert_array_equal(ours, expected)
