"""Unusual arrays give what the plain array gives, and what uint8 means."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP

Array = NDArray[Any]
BACKENDS = ("numba", "numpy")
m, K, N = 150, 19, 3
# Eighths from -8 to 8: numbers that every floating-point dtype holds exactly.
X = np.random.default_rng(0).integers(-64, 65, (m, K)).astype(np.float32) / 8
WHOLE = np.random.default_rng(1).integers(0, 128, (m, K))
LABELS = np.random.default_rng(2).integers(0, N, m)


def results(X: Any, y: Any = LABELS, backend: str = "numba", **network: Any) -> list[Array]:
    """Everything that a network makes of X and y, mini-batch and full batch."""
    found = []
    for batch_size in (16, None):
        net = MLP([K, 7, N], backend=backend, **network)
        history = net.fit(X, y, epochs=2, batch_size=batch_size, verbose=False)
        figures = np.array([*history.loss, net.loss(X, y), net.score(X, y)])
        found += [*net.weights, *net.biases, net.predict_proba(X), net.predict(X), figures]
    return found


def assert_same(found: list[Array], expected: list[Array], backend: str = "numba") -> None:
    """The same bits, but for NumPy, which multiplies arrays of another layout in another order."""
    for array, other in zip(found, expected, strict=True):
        assert array.dtype == other.dtype
        np.testing.assert_allclose(
            array, other, rtol=0 if backend == "numba" else 1e-4, atol=1e-6 * (backend == "numpy")
        )


class Table:
    """What a data frame is to NumPy."""

    def __init__(self, rows: Array) -> None:
        self.rows = rows

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self.rows.copy() if dtype is None else self.rows.astype(dtype)


def read_only(rows: Array) -> Array:
    rows = rows.copy()
    rows.flags.writeable = False
    return rows


def every_second_column(rows: Array) -> Array:
    wide = np.full((m, 2 * K), np.nan, rows.dtype)
    wide[:, ::2] = rows
    return wide[:, ::2]


def every_third_row(rows: Array) -> Array:
    tall = np.full((3 * m, K), np.nan, rows.dtype)
    tall[::3] = rows
    return tall[::3]


def part_of_wider_rows(rows: Array) -> Array:
    wide = np.full((m, K + 5), np.nan, rows.dtype)
    wide[:, 2 : 2 + K] = rows
    return wide[:, 2 : 2 + K]


def from_odd_address(rows: Array) -> Array:
    odd = np.frombuffer(b"?" + rows.tobytes(), rows.dtype, offset=1).reshape(rows.shape)
    assert not odd.flags.aligned
    return odd


UNUSUAL: dict[str, Callable[[Array], Any]] = {
    "read-only": read_only,
    "Fortran-ordered": np.asfortranarray,
    "every second column": every_second_column,
    "every third row": every_third_row,
    "part of wider rows": part_of_wider_rows,
    "rows backwards": lambda X: X[::-1].copy()[::-1],
    "columns backwards": lambda X: X[:, ::-1].copy()[:, ::-1],
    "odd address": from_odd_address,
    "float16": lambda X: X.astype(np.float16),
    "float64": lambda X: X.astype(np.float64),
    "long double": lambda X: X.astype(np.longdouble),
    "big-endian float32": lambda X: X.astype(">f4"),
    "big-endian float64": lambda X: X.astype(">f8"),
    "float64 every second column": lambda X: every_second_column(X.astype(np.float64)),
    "list of lists": lambda X: X.tolist(),
    "list of arrays": list,
    "tuple of tuples": lambda X: tuple(map(tuple, X.tolist())),
    "data frame": Table,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("how", UNUSUAL)
def test_unusual_features(how: str, backend: str, dtype: str) -> None:
    given = UNUSUAL[how](X)
    assert_same(results(given, backend=backend, dtype=dtype), results(X, backend=backend, dtype=dtype), backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_memory_mapped_features(backend: str, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", X)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    assert_same(results(mapped, backend=backend), results(X, backend=backend), backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_row_broadcast_to_many(backend: str) -> None:
    broadcast = np.broadcast_to(X[0], (m, K))
    assert broadcast.strides[0] == 0
    assert_same(results(broadcast, backend=backend), results(broadcast.copy(), backend=backend), backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_feature_in_a_strided_column(backend: str) -> None:
    nets = [MLP([1, 4, N], backend=backend) for _ in range(2)]
    for net, column in zip(nets, (X[:, 3:4], X[:, 3:4].copy()), strict=True):
        net.fit(column, LABELS, epochs=2, verbose=False)
    assert nets[0].weights[0].tobytes() == nets[1].weights[0].tobytes()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["int8", "int16", ">i4", "int64", "uint16", "uint32", "uint64"])
def test_whole_numbers_mean_themselves(kind: str, backend: str) -> None:
    assert_same(
        results(WHOLE.astype(kind), backend=backend), results(WHOLE.astype(np.float32), backend=backend), backend
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_true_and_false_mean_one_and_zero(backend: str) -> None:
    assert_same(
        results(WHOLE > 60, backend=backend), results((WHOLE > 60).astype(np.float32), backend=backend), backend
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_bytes_mean_parts_of_255(backend: str) -> None:
    pixels = WHOLE.astype(np.uint8) * 2
    nets = [MLP([K, 7, N], backend=backend, dtype="float64") for _ in range(2)]
    given: list[Array] = [pixels, pixels / 255]
    for net, rows in zip(nets, given, strict=True):
        net.fit(rows, LABELS, epochs=2, verbose=False)
    for array, expected in zip(nets[0].weights, nets[1].weights, strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-9)
    for method in (nets[0].predict_proba, nets[0].predict):
        np.testing.assert_allclose(method(pixels), method(pixels / 255), rtol=1e-9)
    assert nets[0].loss(pixels, LABELS) == pytest.approx(nets[0].loss(pixels / 255, LABELS), rel=1e-12)
    assert nets[0].loss(pixels, LABELS) != pytest.approx(nets[0].loss(pixels.astype(int), LABELS), rel=0.01)


@pytest.mark.parametrize(
    "change",
    [list, lambda y: y.astype(np.uint8), lambda y: y.astype(np.float32), lambda y: y[::-1].copy()[::-1], Table],
)
def test_unusual_labels(change: Callable[[Array], Any]) -> None:
    assert_same(results(X, change(LABELS)), results(X, LABELS))


@pytest.mark.parametrize("output", ["sigmoid", "identity"])
@pytest.mark.parametrize(
    "change", [list, lambda y: y[:, None], lambda y: y.astype(bool), lambda y: y.astype(np.float16)]
)
def test_unusual_targets(output: str, change: Callable[[Array], Any]) -> None:
    nets, wanted = [MLP([K, 1], output=output) for _ in range(2)], LABELS % 2
    for net, y in zip(nets, (wanted, change(wanted)), strict=True):
        net.fit(X, y, epochs=2, verbose=False)
    assert nets[0].weights[0].tobytes() == nets[1].weights[0].tobytes()


def test_nothing_handed_in_is_changed() -> None:
    features, labels = X.copy(), LABELS.copy()
    MLP([K, N]).fit(features, labels, epochs=2, verbose=False)
    assert (features == X).all()
    assert (labels == LABELS).all()


def test_tables_of_several_kinds() -> None:
    """pandas' own dtypes, and columns of booleans beside numbers, as get_dummies makes them."""
    pandas = pytest.importorskip("pandas")
    table = pandas.get_dummies(pandas.DataFrame({"colour": list("rgrb"), "size": [1.0, 2.0, 3.0, 0.5]}))
    net, y = MLP([4, 3], seed=0), [0, 1, 2, 1]
    expected = net.predict_proba(table.astype(float))
    np.testing.assert_array_equal(net.predict_proba(table), expected)
    np.testing.assert_array_equal(net.predict_proba(table.astype("Float64")), expected)
    assert net.loss(table, pandas.Series(y, dtype="Int64")) == net.loss(table, y)
    missing = table.astype("Float64")
    missing.iloc[2, 0] = pandas.NA
    with pytest.raises(ValueError, match="X holds nan in row 2, column 0"):
        net.predict(missing)
    with pytest.raises(TypeError, match="X has dtype object; expected real numbers"):
        net.predict(table.assign(size="1"))


def test_masked_values_are_refused() -> None:
    """NumPy's own checks pass over them."""
    net, rows = MLP([K, N], seed=0), X[:5].astype(np.float64)
    wanted = net.predict_proba(rows)
    np.testing.assert_array_equal(net.predict_proba(np.ma.array(rows)), wanted)
    with pytest.raises(TypeError, match="X is a masked array with masked values"):
        net.predict_proba(np.ma.masked_greater(rows, 0))
    with pytest.raises(TypeError, match="y is a masked array with masked values"):
        net.loss(rows, np.ma.masked_greater([0, 1, 2, 99, 1], 2))


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_matrices_are_arrays() -> None:
    net, rows = MLP([K, N], seed=0), X[:5]
    matrix = np.asmatrix(rows)  # type: ignore[no-untyped-call]
    np.testing.assert_array_equal(net.predict_proba(matrix), net.predict_proba(rows))
    assert net.loss(rows, np.asmatrix([0, 1, 2, 0, 1]).T) == net.loss(rows, [0, 1, 2, 0, 1])  # type: ignore[no-untyped-call]
