"""Features without their zeros: the same numbers, and the same bits of every weight as the dense kernels give."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP, features
from fastnn.features import compress, compress_blocks, rows_of
from fastnn.kernels import compressing
from fastnn.kernels.lists import Lists
from fastnn.kernels.simd.bits import CHUNK

Array = NDArray[Any]
KINDS = ["uint8", "float32", "float64"]
BLOCK = 128


def sparse(m: int, K: int, kind: str, density: float = 0.2) -> Array:
    rng = np.random.default_rng(m + K)
    kept = rng.random((m, K)) < density
    numbers = rng.integers(1, 256, (m, K)) if kind == "uint8" else rng.normal(size=(m, K))
    return np.ascontiguousarray((numbers * kept).astype(kind))


def entries(lists: Lists, i: int) -> tuple[Array, Array]:
    """The places and numbers of list i."""
    chosen = slice(lists.starts[i], lists.starts[i + 1])
    numbers = lists.table[lists.codes[chosen]] if len(lists.codes) else lists.values[chosen]
    return lists.places[chosen].astype(int), numbers


@pytest.fixture(autouse=True)
def every_thread_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "BYTES_WORTH_A_THREAD", 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("m", "K"), [(1, 1), (3, 17), (128, 16), (129, 33), (400, 100)])
@pytest.mark.parametrize("threads", [1, 3])
def test_rows_and_columns_hold_every_number(m: int, K: int, kind: str, dtype: str, threads: int) -> None:
    X = sparse(m, K, kind, density=0.1)
    X[0, 0] = 0
    X[-1, :] = 0
    rows = compress(X, np.dtype(dtype), threads)
    columns = compress_blocks(rows, m, K, BLOCK, threads)
    by_row, by_column = np.zeros((m, K), dtype), np.zeros((m, K), dtype)
    for i in range(m):
        places, values = entries(rows, i)
        assert (np.diff(places) > 0).all()
        by_row[i, places] = values
    for block in range(-(-m // BLOCK)):
        for k in range(K):
            places, values = entries(columns, block * (K + 1) + k)
            by_column[block * BLOCK + places, k] = values
    expected = X.astype(dtype) * (np.dtype(dtype).type(1 / 255) if kind == "uint8" else 1)
    np.testing.assert_array_equal(by_row, expected)
    np.testing.assert_array_equal(by_column, expected)


def shifted(X: Array) -> Array:
    """The same at an odd address."""
    memory = np.zeros(X.nbytes + 1, np.uint8)[1:]
    memory[:] = X.view(np.uint8).ravel()
    return memory.view(X.dtype).reshape(X.shape)


LAYOUTS = {
    "packed": lambda X: X,
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "columns of more": lambda X: np.hstack([np.ones_like(X), X, np.ones_like(X)])[:, X.shape[1] : 2 * X.shape[1]],
    "at an odd address": shifted,
    "one row for all": lambda X: np.broadcast_to(X[0], X.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("K", [1, 2, 63, 64, 65, 127, 128, 783, (1 << 16) + 70])
@pytest.mark.parametrize("density", [0.0, 0.2, 1.0])
def test_lists_of_any_width_fullness_and_layout(layout: str, kind: str, K: int, density: float) -> None:
    X = LAYOUTS[layout](sparse(7, K, kind, density))
    lists = compress(X, np.dtype("float64"), 2, always=True)
    rows, columns = np.nonzero(X)
    np.testing.assert_array_equal(lists.starts, np.searchsorted(rows, np.arange(len(X) + 1)))
    np.testing.assert_array_equal(lists.places, columns)
    np.testing.assert_array_equal(lists.codes if kind == "uint8" else lists.values, X[rows, columns])


def test_what_is_zero_in_the_dtype_of_the_network_is_left_out() -> None:
    X = np.array([[1e-300, 2, -0.0, np.finfo("float32").smallest_subnormal, -1e-300]])
    assert compress(X, np.dtype("float32"), 1, always=True).places.tolist() == [1, 3]
    assert compress(X, np.dtype("float64"), 1, always=True).places.tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "after"), [(0.2, 1.0), (1.0, 0.2), (0.0, 1.0), (0.5, 0.5)])
def test_data_that_changes_after_it_was_counted(kind: str, before: float, after: float) -> None:
    """Every list stays within its entries, which are columns all the same."""
    m, K, zone, code = 9, 150, 100, 77
    starts = np.append(0, (sparse(m, K, kind, before) != 0).sum(axis=1).cumsum())
    places = np.full(starts[-1] + 2 * zone, code + K, np.uint16)
    numbers = np.full(starts[-1] + 2 * zone, code, kind)
    X = np.roll(sparse(m, K, kind, after), 1, axis=0)
    arrays = starts, places[zone:-zone], numbers[zone:-zone]
    compressing.compress_rows(0, 1, rows_of(X), m, K, np.zeros(CHUNK, kind), *arrays)
    for array, kept in ((places, code + K), (numbers, code)):
        assert (array[:zone] == kept).all()
        assert (array[-zone:] == kept).all()
    assert (places[zone:-zone] < K).all()


@pytest.mark.parametrize(("density", "compressed"), [(0.0, True), (0.2, True), (0.5, False), (1.0, False)])
def test_only_sparse_features_are_compressed(density: float, compressed: bool) -> None:
    X = sparse(300, 40, "float32", density)
    assert (len(compress(X, np.dtype("float32"), 2).starts) > 0) == compressed


@pytest.mark.parametrize("hidden", [(), (1,), (2, 1)])
@pytest.mark.parametrize("batch_size", [None, 32])
def test_the_same_bits_as_dense_with_one_output(hidden: tuple[int, ...], batch_size: int | None) -> None:
    """Inner products, which add in another order, must not begin at the first layer."""
    X, y, results = sparse(301, 50, "uint8"), np.arange(301) % 2, set()
    for without_zeros in (True, False):
        net = MLP([50, *hidden, 1], output="sigmoid")
        net.fit(X, y, epochs=3, batch_size=batch_size, sparse=without_zeros, verbose=False)
        results.add(b"".join(array.tobytes() for array in net.weights + net.biases))
    assert len(results) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hidden", [(), (10,), (33,), (70, 40), (300,)])
@pytest.mark.parametrize("batch_size", [None, 32, 100])
def test_the_same_bits_as_dense(kind: str, dtype: str, hidden: tuple[int, ...], batch_size: int | None) -> None:
    X, y = sparse(301, 50, kind), np.arange(301) % 4
    results = set()
    for without_zeros in (True, False):
        for threads in (1, 2, 3):
            net = MLP([50, *hidden, 4], activation="tanh", dtype=dtype)
            net.fit(
                X,
                y,
                epochs=5,
                batch_size=batch_size,
                optimizer="adam",
                learning_rate=0.01,
                threads=threads,
                sparse=without_zeros,
                verbose=False,
            )
            results.add(b"".join(array.tobytes() for array in net.weights + net.biases))
    assert len(results) == 1


def test_lists_that_there_is_no_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    X = sparse(500, 40, "float32", 0.1)
    assert len(compress(X, X.dtype, 1).places) == np.count_nonzero(X)
    monkeypatch.setattr(features, "_free_memory", lambda: 8.0 * np.count_nonzero(X) - 1)
    assert len(compress(X, X.dtype, 1).places) == 0
    assert len(compress(X, X.dtype, 1, always=True).places) == np.count_nonzero(X)
