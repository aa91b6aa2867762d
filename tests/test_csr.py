"""Matrices of scipy.sparse train, predict and measure as the same numbers with their zeros do."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP, csr

sparse = pytest.importorskip("scipy.sparse")

Array = NDArray[Any]
m, K, N = 150, 40, 4
FORMATS = ["csr_array", "csr_matrix", "csc_array", "coo_array", "lil_array"]


def features(kind: str) -> Array:
    rng = np.random.default_rng(1)
    numbers = rng.integers(1, 200, (m, K)) if kind == "uint8" else rng.normal(size=(m, K))
    X = (numbers * (rng.random((m, K)) < 0.2)).astype(kind)
    X[3] = 0
    return X


y = np.arange(m) % N


def trained(X: Any, **how: Any) -> bytes:
    net = MLP([K, 20, N], seed=1)
    net.fit(X, y, epochs=3, learning_rate=0.01, verbose=False, **how)
    return b"".join(array.tobytes() for array in net.weights + net.biases)


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64", "int16"])
@pytest.mark.parametrize("batch_size", [None, 16, 140])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_bits_as_dense(kind: str, batch_size: int | None, threads: int) -> None:
    X = features(kind)
    if kind == "float64":  # sparse numbers are rounded to float32 when they are read, dense ones row by row
        X = X.astype(np.float32).astype(np.float64)
    assert trained(sparse.csr_array(X), batch_size=batch_size, threads=threads) == trained(X, batch_size=batch_size)


@pytest.mark.parametrize("name", FORMATS)
def test_any_format(name: str) -> None:
    X = features("float32")
    assert trained(getattr(sparse, name)(X), batch_size=32) == trained(X, batch_size=32)


def test_predictions_and_measurements() -> None:
    X = features("float32")
    S, net = sparse.csr_array(X), MLP([K, 20, N])
    for rows in (slice(0, 1), slice(0, m)):
        np.testing.assert_allclose(net.predict_proba(S[rows]), net.predict_proba(X[rows]), rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(net.predict(S[rows]), net.predict(X[rows]))
    assert net.score(S, y) == net.score(X, y)
    assert net.loss(S, y) == pytest.approx(net.loss(X, y), rel=1e-6)


def test_the_plain_backend() -> None:
    X = features("uint8")
    nets = [MLP([K, 5, N], backend=backend, dtype="float64") for backend in ("numba", "numpy")]
    for net in nets:
        net.fit(sparse.csr_array(X), y, epochs=3, batch_size=20, verbose=False)
    np.testing.assert_allclose(nets[0].weights[0], nets[1].weights[0], rtol=1e-9, atol=1e-12)


def test_more_columns_than_sixteen_bits_count() -> None:
    wide, rng = csr.MOST_SHORT + 10, np.random.default_rng(0)
    S = sparse.csr_array((np.ones(30, np.float32), rng.integers(wide - 500, wide, 30), np.arange(31)), shape=(30, wide))
    nets = [MLP([wide, 3, 2], backend=backend) for backend in ("numba", "numpy")]
    for net in nets:
        net.fit(S, np.arange(30) % 2, epochs=2, batch_size=7, optimizer="sgd", verbose=False)
    np.testing.assert_allclose(nets[0].weights[0], nets[1].weights[0], atol=1e-6)


def test_unsorted_rows_and_numbers_in_one_place_are_put_in_order() -> None:
    S = sparse.csr_array(
        (np.array([1, 2, 3, 4], np.float32), np.array([5, 1, 2, 2]), np.array([0, 2, 4] + [4] * (m - 2))), shape=(m, K)
    )
    dense = S.toarray()
    assert dense[1, 2] == 7
    assert trained(S, batch_size=16) == trained(dense, batch_size=16)
    np.testing.assert_array_equal(S.indices, [5, 1, 2, 2])  # the caller's is left as it was


def malformed(**changed: Any) -> Any:
    S = sparse.csr_array(features("float32"))
    for name, value in changed.items():
        getattr(S, name)[-1 if name == "indptr" else 0] = value
    return S


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (malformed(indices=K), "column 40; expected columns 0 to 39"),
        (malformed(indices=-1), "expected columns 0 to 39"),
        (malformed(indptr=10**6), "row pointers"),
        (malformed(data=np.nan), "nan in row 0, column"),
        (sparse.csr_array((m, K + 1)), "41 features; expected 40"),
        (sparse.csr_array((0, K)), "no rows"),
    ],
    ids=["column", "negative column", "pointer", "NaN", "features", "rows"],
)
def test_what_cannot_be_read_is_refused(X: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"^X .*{words}"):
        MLP([K, N]).fit(X, np.zeros(X.shape[0], int), verbose=False)


def test_numbers_that_are_not_real_are_refused() -> None:
    with pytest.raises(TypeError, match=r"^X has dtype complex128; expected real numbers\.$"):
        MLP([K, N]).fit(sparse.csr_array((m, K), dtype=complex), y, verbose=False)


def test_zeros_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match=r"^sparse is False and X a csr_array; expected True"):
        MLP([K, N]).fit(sparse.csr_array(features("float32")), y, sparse=False, verbose=False)
    with pytest.raises(ValueError, match=r"^sparse is 'yes'; expected True, False or 'auto'"):
        MLP([K, N]).fit(features("float32"), y, sparse="yes", verbose=False)


def test_numbers_beyond_float32_are_refused_as_dense_ones_are() -> None:
    X = features("float64")
    X[1, 2] = 1e39
    for kind in (np.asarray, sparse.csr_array, sparse.csc_array):
        with pytest.raises(ValueError, match=r"X holds 1e\+39 in row 1, column 2; expected .* that fit float32"):
            MLP([K, N]).predict(kind(X))


class Changing(np.ndarray[Any, Any]):
    """Column numbers that another thread changes as soon as somebody has found them small enough."""

    def max(self, *given: Any, **named: Any) -> Any:
        largest = np.asarray(self).max(*given, **named)
        np.asarray(self)[-1] = 2_000_000_000
        return largest


@pytest.mark.parametrize("columns", [K, 70_000])
def test_column_numbers_are_copied_before_they_are_checked(columns: int) -> None:
    X = sparse.random_array((50, columns), density=0.1, format="csr", dtype=np.float32, rng=0)
    net = MLP([columns, 4, N])
    expected = net.predict_proba(X)
    X.indices = X.indices.view(Changing)
    np.testing.assert_array_equal(net.predict_proba(X), expected)


def test_row_pointers_of_two_dimensions() -> None:
    X = sparse.csr_array(features("float32"))
    X.indptr = X.indptr[:, None]
    with pytest.raises(ValueError, match=r"^X has row pointers"):
        MLP([K, N]).predict(X)
