"""Rows without labels come back the same from every form; what holds none is refused."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from fastnn.data import read_csv, read_features

X = np.arange(12, dtype=np.uint8).reshape(3, 4)


def test_every_form(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x_test=X, y_test=np.zeros(3))
    np.savez(tmp_path / "only.npz", some=X.reshape(3, 2, 2))
    np.save(tmp_path / "x.npy", np.asfortranarray(X))
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


@pytest.mark.parametrize(("text", "column"), [("1\n2\n", [1, 2]), ("x\n1\n2\n", [1, 2]), ("-1.5\n2\n", [-1.5, 2.0])])
def test_one_column(text: str, column: list[float], tmp_path: Path) -> None:
    """It may be a feature, but not a label without features."""
    (tmp_path / "x.csv").write_text(text)
    np.testing.assert_array_equal(read_features(tmp_path / "x.csv", 1), np.array(column)[:, None])
    with pytest.raises(ValueError, match="has rows of length 1; expected 2, as the network has, or 3"):
        read_features(tmp_path / "x.csv", 2)
    with pytest.raises(ValueError, match="has 1 field; expected a label and at least one feature"):
        read_csv(tmp_path / "x.csv")


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


def test_a_label_is_no_feature(tmp_path: Path) -> None:
    (tmp_path / "cut.csv").write_text("label,a,b\n1,0.5,0.25\n")
    assert read_features(tmp_path / "cut.csv", 2).tolist() == [[0.5, 0.25]]
    with pytest.raises(ValueError, match=r"cut\.csv has 2 features in a row beside its label; expected 3\."):
        read_features(tmp_path / "cut.csv", 3)
