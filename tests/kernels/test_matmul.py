"""Matrix products of a dense layer, forward and backward, against the reference in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import reference, workers
from fastnn.kernels import matmul
from fastnn.kernels.sync import CONTROL_SIZE

Array = NDArray[Any]
DType = np.dtype[Any]
Blank = Callable[[int], Array]
Guarded = Callable[[Any], Array]
Close = Callable[..., None]
Sizes = tuple[int, int, int]


# Every awkward size as M, K and N in turn, the others such that both wide and narrow tiles have something left over.
@pytest.fixture(params=["M", "K", "N", "N of few", "M of one column", "K of one column", "K of two columns"])
def sizes(request: pytest.FixtureRequest, size: int) -> Sizes:
    turns = {"M": (size, 33, 19), "K": (17, size, 33), "N": (35, 17, size), "N of few": (3, 5, size)}
    turns |= {"M of one column": (size, 70, 1), "K of one column": (17, size, 1), "K of two columns": (33, size, 2)}
    return turns[request.param]


def make_arrays(sizes: Sizes, dtype: DType, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """X, W, b and dZ."""
    M, K, N = sizes
    X, W, b, dZ = (rng.normal(size=shape).astype(dtype) for shape in ((M, K), (K, N), N, (M, N)))
    return X, W, b, dZ


class Products:
    """The kernels on guarded arrays, in so many threads; scratch is full of NaN."""

    def __init__(self, guarded: Guarded, blank: Blank, threads: int = 1, *, packed: bool = True) -> None:
        self.guarded, self.blank, self.threads, self.packed = guarded, blank, threads, packed

    def _run(self, kernel: Callable[..., None], arrays: list[Array], sizes: Sizes, *packed: Array) -> None:
        """packed: one array for each thread."""
        blocks = [self._scratch(matmul.ROWS * matmul.STRIDE, arrays[0].dtype) for _ in range(self.threads)]
        control = np.zeros(CONTROL_SIZE, np.int64)
        workers.run(
            lambda t: kernel(t, self.threads, control, *arrays, *sizes, packed[t], blocks[t]),
            self.threads,
        )

    def _scratch(self, size: int, dtype: DType) -> Array:
        return self.guarded(np.full(size, np.nan, dtype))

    def forward(self, X: Array, W: Array, b: Array) -> Array:
        (M, K), N = X.shape, len(b)
        z = self.blank(M * N)
        packed = [self._scratch(K * padded(N) if self.packed else 0, X.dtype) for _ in range(self.threads)]
        self._run(matmul.matmul_bias, [*map(self.guarded, (X, W, b)), z], (M, K, N), *packed)
        return z

    def backward(self, dZ: Array, X: Array, W: Array) -> tuple[Array, Array, Array]:
        M, (K, N) = len(X), W.shape
        results = self.blank(M * K), self.blank(K * N), self.blank(N)
        arrays = [*map(self.guarded, (dZ, X, W, np.zeros(max(K, N), X.dtype))), *results]
        packed = [self._scratch(max(N * padded(K), M * padded(N)), X.dtype) for _ in range(self.threads)]
        self._run(matmul.matmul_bias_backward, arrays, (M, K, N), *packed)
        return results


def padded(columns: int) -> int:
    """Room for this many columns in panels of two registers."""
    return -(-columns // 32) * 32


@pytest.fixture
def products(guarded: Guarded, blank: Blank) -> Products:
    return Products(guarded, blank)


def wide(*arrays: Array) -> list[Array]:
    return [array.astype(np.float64) for array in arrays]


@pytest.mark.parametrize("packed", [True, False])
def test_matmul_bias(
    sizes: Sizes, packed: bool, dtype: DType, guarded: Guarded, blank: Blank, rng: Any, assert_close: Close
) -> None:
    X, W, b, _ = make_arrays(sizes, dtype, rng)
    z = Products(guarded, blank, packed=packed).forward(X, W, b)
    scale = reference.matmul_bias(*wide(abs(X), abs(W), abs(b)))
    assert_close(z, reference.matmul_bias(*wide(X, W, b)), sizes[1] + 1, scale.ravel())


def test_backward(sizes: Sizes, dtype: DType, products: Products, rng: Any, assert_close: Close) -> None:
    M, _, N = sizes
    X, W, _, dZ = make_arrays(sizes, dtype, rng)
    found = products.backward(dZ, X, W)
    expected = reference.matmul_bias_backward(*wide(dZ, X, W))
    scales = reference.matmul_bias_backward(*wide(abs(dZ), abs(X), abs(W)))
    for result, exact, roundings, scale in zip(found, expected, (N, M, M), scales, strict=True):
        assert_close(result, exact, roundings, scale.ravel())


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("shape", [(1, 1, 1), (70, 70, 37), (100, 7, 10), (65, 300, 530)])
def test_any_number_of_threads(
    shape: Sizes, threads: int, dtype: DType, guarded: Guarded, blank: Blank, rng: Any
) -> None:
    """Every row and column has the same bits, whichever thread makes it."""
    X, W, b, dZ = make_arrays(shape, dtype, rng)
    alone, together = Products(guarded, blank), Products(guarded, blank, threads)
    np.testing.assert_array_equal(together.forward(X, W, b), alone.forward(X, W, b))
    for ours, expected in zip(together.backward(dZ, X, W), alone.backward(dZ, X, W), strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("K", [1, 7, 300])
@pytest.mark.parametrize("N", [32, 63, 64, 65, 128, 140, 257])
def test_single_rows_have_the_bits_of_many(
    N: int, K: int, dtype: DType, guarded: Guarded, blank: Blank, rng: Any
) -> None:
    X, W, b, _ = make_arrays((6, K, N), dtype, rng)
    products = Products(guarded, blank, packed=False)
    expected = products.forward(X, W, b).reshape(6, N)
    for M in (1, 2, 3, 5):
        np.testing.assert_array_equal(products.forward(X[:M], W, b).reshape(M, N), expected[:M])


# --- blocks: A is copied, too


@pytest.mark.parametrize("M", [64, 95, 97, 205])
@pytest.mark.parametrize("K", [1, 300, 1023, 1030])
@pytest.mark.parametrize("N", [512, 545])
def test_large_products(M: int, K: int, N: int, products: Products, dtype: DType, rng: Any) -> None:
    X, W, b, _ = make_arrays((M, K, N), dtype, rng)
    z = products.forward(X, W, b).reshape(M, N)
    bound = 4 * K * np.finfo(dtype).eps * (np.abs(X).astype(float) @ np.abs(W) + np.abs(b))
    assert (np.abs(z - (X.astype(float) @ W + b)) <= bound).all()


@pytest.mark.parametrize("sizes", [(97, 530, 1030), (1030, 100, 40)])
def test_large_backward(sizes: Sizes, products: Products, dtype: DType, rng: Any, assert_close: Close) -> None:
    test_backward(sizes, dtype, products, rng, assert_close)


# --- blocks and special values


@pytest.mark.parametrize("K", [255, 256, 257, 512, 600])
@pytest.mark.parametrize("packed", [True, False])
def test_depth_of_blocks(
    K: int, packed: bool, dtype: DType, guarded: Guarded, blank: Blank, rng: Any, assert_close: Close
) -> None:
    test_matmul_bias((63, K, 33), packed, dtype, guarded, blank, rng, assert_close)


@pytest.mark.parametrize("packed", [True, False])
def test_no_inputs_leave_the_bias(packed: bool, dtype: DType, guarded: Guarded, blank: Blank, rng: Any) -> None:
    X, W, b, _ = make_arrays((70, 0, 19), dtype, rng)
    z = Products(guarded, blank, packed=packed).forward(X, W, b)
    np.testing.assert_array_equal(z.reshape(70, 19), np.tile(b, (70, 1)))


def test_small_whole_numbers_are_exact(sizes: Sizes, dtype: DType, products: Products, rng: Any) -> None:
    M, K, N = sizes
    X, W, b = (rng.integers(-8, 9, shape) for shape in ((M, K), (K, N), N))
    z = products.forward(*(array.astype(dtype) for array in (X, W, b)))
    np.testing.assert_array_equal(z.reshape(M, N), X @ W + b)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_a_number_stays_in_its_row_and_column(value: float, dtype: DType, products: Products, rng: Any) -> None:
    X, W, b, _ = make_arrays((70, 33, 35), dtype, rng)
    X[5, 7], W[32, 34], W[:32, 34] = value, value, 0
    z = products.forward(X, W, b)
    with np.errstate(invalid="ignore"):
        expected = reference.matmul_bias(*wide(X, W, b))
    np.testing.assert_array_equal(np.isnan(z), np.isnan(expected).ravel())
    np.testing.assert_array_equal(np.isposinf(z), np.isposinf(expected).ravel())
    np.testing.assert_array_equal(np.isneginf(z), np.isneginf(expected).ravel())
