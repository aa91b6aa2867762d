"""Matrix products of a dense layer, forward and backward, against the reference in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import reference
from fastnn.kernels import matmul

Array = NDArray[Any]
DType = np.dtype[Any]
Blank = Callable[[int], Array]
Guarded = Callable[[Any], Array]
Close = Callable[..., None]
Sizes = tuple[int, int, int]


# Every awkward size as M, K and N in turn, the others such that both wide and narrow tiles have something left over.
@pytest.fixture(params=["M", "K", "N", "N of few"])
def sizes(request: pytest.FixtureRequest, size: int) -> Sizes:
    turns = {"M": (size, 33, 19), "K": (17, size, 33), "N": (35, 17, size), "N of few": (3, 5, size)}
    return turns[request.param]


def make_arrays(sizes: Sizes, dtype: DType, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """X, W, b and dZ."""
    M, K, N = sizes
    X, W, b, dZ = (rng.normal(size=shape).astype(dtype) for shape in ((M, K), (K, N), N, (M, N)))
    return X, W, b, dZ


def make_block(guarded: Guarded, dtype: DType) -> Array:
    """The scratch that the kernels ask for."""
    return guarded(np.full(matmul.block_size(dtype.itemsize), np.nan, dtype))


def wide(*arrays: Array) -> list[Array]:
    return [array.astype(np.float64) for array in arrays]


def test_matmul_bias(sizes: Sizes, dtype: DType, guarded: Guarded, blank: Blank, rng: Any, assert_close: Close) -> None:
    M, K, N = sizes
    X, W, b, _ = make_arrays(sizes, dtype, rng)
    z = blank(M * N)
    matmul.matmul_bias(guarded(X), guarded(W), guarded(b), z, K, N, 0, M, make_block(guarded, dtype))
    scale = reference.matmul_bias(*wide(abs(X), abs(W), abs(b)))
    assert_close(z, reference.matmul_bias(*wide(X, W, b)), K + 1, scale.ravel())


def test_backward_input(
    sizes: Sizes, dtype: DType, guarded: Guarded, blank: Blank, rng: Any, assert_close: Close
) -> None:
    M, K, N = sizes
    X, W, _, dZ = make_arrays(sizes, dtype, rng)
    dx, zero = blank(M * K), guarded(np.zeros(K, dtype))
    matmul.matmul_bias_backward_input(guarded(dZ), guarded(W.T), zero, dx, K, N, 0, M, make_block(guarded, dtype))
    scale = reference.matmul_bias_backward(*wide(abs(dZ), abs(X), abs(W)))[0]
    assert_close(dx, reference.matmul_bias_backward(*wide(dZ, X, W))[0], N, scale.ravel())


def test_backward_weights(
    sizes: Sizes, dtype: DType, guarded: Guarded, blank: Blank, rng: Any, assert_close: Close
) -> None:
    M, K, N = sizes
    X, W, _, dZ = make_arrays(sizes, dtype, rng)
    dw, zero = blank(K * N), guarded(np.zeros(N, dtype))
    matmul.matmul_bias_backward_weights(guarded(dZ), guarded(X), zero, dw, M, K, N, 0, K, make_block(guarded, dtype))
    scale = reference.matmul_bias_backward(*wide(abs(dZ), abs(X), abs(W)))[1]
    assert_close(dw, reference.matmul_bias_backward(*wide(dZ, X, W))[1], M, scale.ravel())


def test_backward_bias(
    sizes: Sizes, dtype: DType, guarded: Guarded, blank: Blank, rng: Any, assert_close: Close
) -> None:
    M, _, N = sizes
    dZ = make_arrays(sizes, dtype, rng)[3]
    db = blank(N)
    matmul.matmul_bias_backward_bias(guarded(dZ), guarded(np.zeros(N, dtype)), db, M, N)
    assert_close(db, dZ.astype(np.float64).sum(axis=0), M, abs(dZ).sum(axis=0))


# --- ranges of rows


@pytest.mark.parametrize("part", [(0, 0), (0, 1), (1, 5), (7, 40), (5, 70), (69, 70)])
def test_only_the_rows_asked_for(part: tuple[int, int], dtype: DType, guarded: Guarded, blank: Blank, rng: Any) -> None:
    """Rows begin..end and no others are written, with the bits that the whole product has there."""
    begin, end = part
    M, K, N = 70, 70, 37
    X, W, b, dZ = make_arrays((M, K, N), dtype, rng)
    block, zero = make_block(guarded, dtype), guarded(np.zeros(max(K, N), dtype))
    products: dict[str, tuple[Callable[..., None], tuple[Array, ...], tuple[int, ...], int]] = {
        "forward": (matmul.matmul_bias, (X, W, b), (K, N), N),
        "input": (matmul.matmul_bias_backward_input, (dZ, W.T, zero), (K, N), K),
        "weights": (matmul.matmul_bias_backward_weights, (dZ, X, zero), (M, K, N), N),
    }
    for product, (kernel, inputs, counts, columns) in products.items():
        whole, some = blank(70 * columns), blank(70 * columns)
        kernel(*map(guarded, inputs), whole, *counts, 0, 70, block)
        kernel(*map(guarded, inputs), some, *counts, begin, end, block)
        written = slice(begin * columns, end * columns)
        np.testing.assert_array_equal(some[written], whole[written], err_msg=product)
        some[written] = np.nan
        assert np.isnan(some).all(), product


# --- strips: both matrices are copied together


@pytest.mark.parametrize("M", [64, 100, 511, 515])
@pytest.mark.parametrize("K", [1, 255, 300])
@pytest.mark.parametrize("N", [512, 545])
def test_large_products(M: int, K: int, N: int, guarded: Guarded, blank: Blank, dtype: DType) -> None:
    rng = np.random.default_rng(M + K + N)
    X, W, b = rng.normal(size=(M, K)).astype(dtype), rng.normal(size=(K, N)).astype(dtype), np.zeros(N, dtype)
    z, block = blank(M * N), make_block(guarded, dtype)
    matmul.matmul_bias(guarded(X), guarded(W), guarded(b), z, K, N, 0, M, block)
    bound = 4 * K * np.finfo(dtype).eps * (np.abs(X).astype(float) @ np.abs(W) + 1)
    assert (np.abs(z.reshape(M, N) - X.astype(float) @ W) <= bound).all()


@pytest.mark.parametrize(("K", "N"), [(1, 1), (15, 17), (16, 16), (33, 64), (100, 7)])
def test_transpose(K: int, N: int, guarded: Guarded, blank: Blank, dtype: DType) -> None:
    W, out = np.random.default_rng(0).normal(size=(K, N)).astype(dtype), blank(K * N)
    matmul.transpose_matrix(guarded(W), out, K, N)
    np.testing.assert_array_equal(out.reshape(N, K), W.T)


# --- blocks and special values


@pytest.mark.parametrize("K", [255, 256, 257, 512, 600])
@pytest.mark.parametrize("M", [5, 63, 64])  # W read where it is, and copied together before
def test_depth_of_blocks(
    M: int, K: int, dtype: DType, guarded: Guarded, blank: Blank, rng: Any, assert_close: Close
) -> None:
    test_matmul_bias((M, K, 33), dtype, guarded, blank, rng, assert_close)


def test_no_inputs_leave_the_bias(dtype: DType, guarded: Guarded, blank: Blank, rng: Any) -> None:
    X, W, b, _ = make_arrays((70, 0, 19), dtype, rng)
    z = blank(70 * 19)
    matmul.matmul_bias(guarded(X), guarded(W), guarded(b), z, 0, 19, 0, 70, make_block(guarded, dtype))
    np.testing.assert_array_equal(z.reshape(70, 19), np.tile(b, (70, 1)))


def test_small_whole_numbers_are_exact(sizes: Sizes, dtype: DType, guarded: Guarded, blank: Blank, rng: Any) -> None:
    M, K, N = sizes
    X, W, b = (rng.integers(-8, 9, shape) for shape in ((M, K), (K, N), N))
    z = blank(M * N)
    x, w, bias = (guarded(array.astype(dtype)) for array in (X, W, b))
    matmul.matmul_bias(x, w, bias, z, K, N, 0, M, make_block(guarded, dtype))
    np.testing.assert_array_equal(z.reshape(M, N), X @ W + b)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_a_number_stays_in_its_row_and_column(
    value: float, dtype: DType, guarded: Guarded, blank: Blank, rng: Any
) -> None:
    M, K, N = 70, 33, 35
    X, W, b, _ = make_arrays((M, K, N), dtype, rng)
    X[5, 7], W[32, 34], W[:32, 34] = value, value, 0
    z = blank(M * N)
    matmul.matmul_bias(guarded(X), guarded(W), guarded(b), z, K, N, 0, M, make_block(guarded, dtype))
    with np.errstate(invalid="ignore"):
        expected = reference.matmul_bias(*wide(X, W, b))
    np.testing.assert_array_equal(np.isnan(z), np.isnan(expected).ravel())
    np.testing.assert_array_equal(np.isposinf(z), np.isposinf(expected).ravel())
    np.testing.assert_array_equal(np.isneginf(z), np.isneginf(expected).ravel())
