"""Features without their zeros: the same numbers, and the same bits of every weight as the dense kernels give."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP, compression
from fastnn.compiled import rows_of
from fastnn.compression import compress

Array = NDArray[Any]
KINDS = ["uint8", "float32", "float64"]
BLOCK = 128


def sparse(m: int, K: int, kind: str, density: float = 0.2) -> Array:
    rng = np.random.default_rng(m + K)
    kept = rng.random((m, K)) < density
    numbers = rng.integers(1, 256, (m, K)) if kind == "uint8" else rng.normal(size=(m, K))
    return np.ascontiguousarray((numbers * kept).astype(kind))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("m", "K"), [(1, 1), (3, 17), (128, 16), (129, 33), (400, 100)])
@pytest.mark.parametrize("threads", [1, 3])
def test_rows_and_columns_hold_every_number(m: int, K: int, kind: str, dtype: str, threads: int) -> None:
    X = sparse(m, K, kind, density=0.1)
    X[0, 0] = 0
    X[-1, :] = 0
    found = compress(X, rows_of(X), np.dtype(dtype), BLOCK, threads)
    by_row, by_column = np.zeros((m, K), dtype), np.zeros((m, K), dtype)
    codes, block_codes = found.codes, found.block_codes
    values = found.table[codes] if kind == "uint8" else found.values
    block_values = found.table[block_codes] if kind == "uint8" else found.block_values
    for i in range(m):
        entries = slice(found.starts[i], found.starts[i + 1])
        assert (np.diff(found.columns[entries].astype(int)) > 0).all()
        by_row[i, found.columns[entries]] = values[entries]
    for block in range(-(-m // BLOCK)):
        starts = found.block_starts[block * (K + 1) : (block + 1) * (K + 1)]
        for k in range(K):
            entries = slice(starts[k], starts[k + 1])
            by_column[block * BLOCK + found.rows[entries].astype(int), k] = block_values[entries]
    expected = X.astype(dtype) * (np.dtype(dtype).type(1 / 255) if kind == "uint8" else 1)
    np.testing.assert_array_equal(by_row, expected)
    np.testing.assert_array_equal(by_column, expected)


@pytest.mark.parametrize(("density", "compressed"), [(0.0, True), (0.2, True), (0.5, False), (1.0, False)])
def test_only_sparse_features_are_compressed(density: float, compressed: bool) -> None:
    X = sparse(300, 40, "float32", density)
    assert (len(compress(X, rows_of(X), np.dtype("float32"), BLOCK, 2).starts) > 0) == compressed


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hidden", [(), (10,), (33,), (70, 40)])
def test_the_same_bits_as_dense(
    kind: str, dtype: str, hidden: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = sparse(301, 50, kind), np.arange(301) % 4
    results = set()
    for most_dense in (compression.MOST_DENSE, -1.0):
        monkeypatch.setattr(compression, "MOST_DENSE", most_dense)
        for threads in (1, 2, 3):
            net = MLP([50, *hidden, 4], activation="tanh", dtype=dtype)
            net.fit(
                X, y, epochs=5, batch_size=None, optimizer="adam", learning_rate=0.01, threads=threads, verbose=False
            )
            results.add(b"".join(array.tobytes() for array in net.weights + net.biases))
    assert len(results) == 1
