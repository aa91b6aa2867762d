"""read_npz: the arrays come back as numpy saved them, and nothing is unpickled, believed or read past its bounds."""

import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastnn.data import read_npz
from fastnn.data.source import Array

X = np.arange(12, dtype=np.uint8).reshape(3, 4)
Y = np.array([2, 0, 1], dtype=np.uint8)


def npy_bytes(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npy_header(header: str, version: bytes = b"\1\0") -> bytes:
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header.encode()


def described(descr: str = "|u1", order: str = "False", shape: str = "(3, 4)") -> bytes:
    return npy_header(f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n")


def write_zip(path: Path, method: int = zipfile.ZIP_STORED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("saver", [np.savez, np.savez_compressed])
def test_keras_names(tmp_path: Path, saver: Any) -> None:
    saver(tmp_path / "a.npz", x_train=X, y_train=Y, x_test=X[:2], y_test=Y[:2])
    data = read_npz(tmp_path / "a.npz")
    for read, expected in zip(data, (X, Y, X[:2], Y[:2]), strict=True):
        np.testing.assert_array_equal(read, expected)
    assert data.X_train.dtype == np.uint8
    assert data.y_train.dtype == np.int64


@pytest.mark.parametrize("names", [("X", "y"), ("x", "y"), ("X", "Y")])
def test_x_and_y_without_a_test_part(tmp_path: Path, names: tuple[str, str]) -> None:
    data = read_npz(save(tmp_path / "a.npz", **dict(zip(names, (X, Y), strict=True))))
    np.testing.assert_array_equal(data.X_train, X)
    np.testing.assert_array_equal(data.y_train, Y)
    assert data.X_test is None
    assert data.y_test is None


def test_capital_x_train_and_other_arrays_beside(tmp_path: Path) -> None:
    arrays = {"X_train": X, "y_train": Y, "X_test": X, "y_test": Y, "names": np.array(["a"])}
    np.testing.assert_array_equal(read_npz(save(tmp_path / "a.npz", **arrays)).X_test, X)


feature_types = st.sampled_from(["u1", "i1", "i2", "u4", "i8", "f2", "f4", "f8", ">f4", ">f8", ">i4", "?"])
features = feature_types.flatmap(
    lambda code: hnp.arrays(np.dtype(code), hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=4))
)


@given(array=features, fortran=st.booleans(), version=st.sampled_from([(1, 0), (2, 0), (3, 0)]))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_features_keep_their_type_and_are_flattened(
    tmp_path: Path, array: Array, fortran: bool, version: tuple[int, int]
) -> None:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns that old versions of numpy cannot read versions 2 and 3
        np.lib.format.write_array(buffer, np.asfortranarray(array) if fortran else array, version)
    path = write_zip(tmp_path / "a.npz", X=buffer.getvalue(), y=npy_bytes(np.zeros(len(array))))
    read = read_npz(path).X_train
    assert read.dtype == array.dtype.newbyteorder("=")
    assert read.flags.c_contiguous
    np.testing.assert_array_equal(read, array.reshape(len(array), -1))


BAD_ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "no arrays": ({}, "holds the arrays none; expected also x_train, y_train, x_test, y_test, or X and y"),
    "other names": ({"images": X, "labels": Y}, "holds the arrays 'images', 'labels'; expected also x_train, y_train"),
    "some names": (
        {"x_train": X, "y_train": Y, "x_test": X},
        "arrays 'x_test', 'x_train', 'y_train'; expected also y_test",
    ),
    "objects": ({"X": np.array([[None]]), "y": Y}, r"X\.npy holds Python objects; expected numbers"),
    "object labels": ({"X": X, "y": np.array([None])}, r"y\.npy holds Python objects; expected numbers"),
    "strings": ({"X": X, "y": np.array(["a", "b", "c"])}, r"y\.npy has the type 'U1'; expected real numbers"),
    "complex": ({"X": X * 1j, "y": Y}, r"X\.npy has the type 'c16'; expected real numbers"),
    "dates": ({"X": X.astype("M8[s]"), "y": Y}, r"X\.npy has the \.npy header .*; expected a plain type"),
    "records": ({"X": np.zeros(3, "i4,f4"), "y": Y}, r"X\.npy has the \.npy header .*; expected a plain type"),
    "lengths": ({"X": X, "y": Y[:2]}, "X, y has 2 labels; expected 3, one for each row of features"),
    "one-hot": ({"X": X, "y": np.eye(3)}, r"labels of shape \(3, 3\); expected one dimension"),
    "scalar label": ({"X": X[:1], "y": np.array(1)}, r"labels of shape \(\); expected one dimension"),
    "flat features": ({"X": Y, "y": Y}, r"features of shape \(3,\); expected \(m, K\)"),
    "no rows": ({"X": X[:0], "y": Y[:0]}, r"features of shape \(0, 4\); expected \(m, K\)"),
    "no columns": ({"X": X[:, :0], "y": Y}, r"features of shape \(3, 0\); expected \(m, K\)"),
    "huge label": ({"X": X, "y": np.full(3, 2**64 - 1, np.uint64)}, "the label 18446744073709551615; expected at most"),
    "test lengths": ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y[:1]}, "x_test, y_test has 1 labels"),
    "test columns": (
        {"x_train": X, "y_train": Y, "x_test": X[:, 1:], "y_test": Y},
        "has 3 features in a test row; expected 4 as in a training row",
    ),
}


@pytest.mark.parametrize(("arrays", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS.keys())
def test_arrays_that_are_no_dataset(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    path = save(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message) as caught:
        read_npz(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


BAD_MEMBERS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "begins with the bytes ; expected an .npy header"),
    "no magic": (b"x" * 200, "begins with the bytes 78 78 78 78 78 78 78 78; expected an .npy header"),
    "version": (npy_header("{}", b"\4\0"), "begins with the bytes .* 04 00; expected an .npy header of version 1 to 3"),
    "long header": (b"\x93NUMPY\2\0" + b"\xff" * 4, "header of 4294967295 bytes; expected at most 10000"),
    "code": (npy_header("__import__('os').abort()"), "has the .npy header .*; expected a plain type, an order"),
    "negative": (described(shape="(-3, 4)"), "has the .npy header .*; expected a plain type, an order and a shape"),
    "unknown type": (described("<f3"), "has the type 'f3'; expected a type that numpy knows"),
    "short": (described() + bytes(11), r"holds 11 bytes of data; expected 12 for the shape \(3, 4\) of uint8"),
    "long": (described() + bytes(13), r"holds 13 bytes of data; expected 12 for the shape \(3, 4\) of uint8"),
    "overflow": (described(shape=f"({2**32}, {2**32})") + bytes(12), "expected at most 9223372036854775807 bytes"),
    "overflow with a 0": (described(shape=f"(0, {2**62}, 8)"), "expected at most 9223372036854775807 bytes"),
    "dimensions": (described(shape=f"({'1, ' * 33})") + b"1", "declares 33 dimensions; expected at most 32"),
    "long number": (described(shape=f"({'1' * 5000},)"), "has the .npy header .*; expected a plain type"),
}


@pytest.mark.parametrize(("member", "message"), BAD_MEMBERS.values(), ids=BAD_MEMBERS.keys())
def test_members_that_are_no_array(tmp_path: Path, member: bytes, message: str) -> None:
    path = write_zip(tmp_path / "a.npz", X=member, y=npy_bytes(Y))
    with pytest.raises(ValueError, match=message) as caught:
        read_npz(path)
    assert str(caught.value).startswith(f"{path}: X.npy ")


def test_headers_as_other_writers_spell_them(tmp_path: Path) -> None:
    header = b'{"shape": (3,4), "fortran_order": False, "descr": "|u1"}'
    path = write_zip(tmp_path / "a.npz", X=npy_header(header.decode()) + X.tobytes(), y=npy_bytes(Y))
    np.testing.assert_array_equal(read_npz(path).X_train, X)


def test_a_missing_file_and_one_that_is_no_zip(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        read_npz(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(ValueError, match=r"text\.npz is damaged or cut short .*not a zip"):
        read_npz(str(tmp_path / "text.npz"))


def test_two_arrays_of_one_meaning_are_refused(tmp_path: Path) -> None:
    data = {"y": npy_bytes(Y), "X": npy_bytes(X)}
    with pytest.raises(ValueError, match=r"both\.npz holds the arrays 'X', 'x'; expected one of them"):
        read_npz(write_zip(tmp_path / "both.npz", **data, x=npy_bytes(X)))
    twice = write_zip(tmp_path / "twice.npz", **data)
    with warnings.catch_warnings(), zipfile.ZipFile(twice, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("X.npy", npy_bytes(X))
    with pytest.raises(ValueError, match=r"twice\.npz holds the arrays 'X', 'X'; expected one of them"):
        read_npz(twice)
