"""Rows without labels come back the same from every form; what holds none is refused."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from fastnn.data import read_features

X = np.arange(12, dtype=np.uint8).reshape(3, 4)


def test_every_form(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x_test=X, y_test=np.zeros(3))
    np.savez(tmp_path / "only.npz", some=X.reshape(3, 2, 2))
    np.savetxt(tmp_path / "plain.csv", X, delimiter=",", fmt="%d")
    np.savetxt(tmp_path / "labelled.csv", np.column_stack([[7, 8, 9], X]), delimiter=",", fmt="%d")
    (tmp_path / "images.gz").write_bytes(gzip.compress(struct.pack(">HBBIII", 0, 8, 3, 3, 2, 2) + X.tobytes()))
    for path in tmp_path.iterdir():
        found = read_features(path, 4)
        assert found.dtype == np.uint8, path
        np.testing.assert_array_equal(found, X)


def test_fractions_and_negative_numbers_stay(tmp_path: Path) -> None:
    for first in (0.5, -1, 300):
        table = X.astype(float)
        table[0, 0] = first
        np.savetxt(tmp_path / "x.csv", table, delimiter=",", fmt="%g")
        np.testing.assert_array_equal(read_features(tmp_path / "x.csv", 4), table)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"a": X, "b": X}, "holds the arrays 'a', 'b'; expected one of X, x"),
        ({"X": X[:, :3]}, "has 3 features in a row; expected 4"),
        ({"X": np.array(["a", "b"])}, "expected real numbers"),
        ({"X": np.array([{}], dtype=object)}, "objects are never unpickled"),
    ],
)
def test_refusals(arrays: dict[str, np.ndarray], sentence: str, tmp_path: Path) -> None:  # type: ignore[type-arg]
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=sentence):
        read_features(tmp_path / "x.npz", 4)
