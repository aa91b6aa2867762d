"""read_dataset: a folder or a file of any form, told by its content; labels are found beside images."""

import gzip
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from fastnn.data import Dataset, read_dataset
from fastnn.data.source import Array

X = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
Y = np.array([2, 0, 1], dtype=np.uint8)
ROWS = "".join(f"{label},{','.join(map(str, row))}\n" for label, row in zip(Y, X.reshape(3, 8).tolist(), strict=True))
NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
PARTS = dict(zip(NAMES, (X, Y, X[:2], Y[:2]), strict=True))


def idx_bytes(array: Array) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_folder(
    folder: Path, old: str = "", new: str = "", end: str = "", changed: Mapping[str, Array] = MappingProxyType({})
) -> Path:
    for name, array in {**PARTS, **changed}.items():
        data = idx_bytes(array)
        (folder / (name.replace(old, new, 1) + end)).write_bytes(gzip.compress(data) if end == ".gz" else data)
    return folder


def assert_train(data: Dataset) -> None:
    np.testing.assert_array_equal(data.X_train, X.reshape(3, 8))
    np.testing.assert_array_equal(data.y_train, Y)
    assert data.X_train.dtype == np.uint8
    assert data.y_train.dtype == np.int64


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("new", ["-idx", ".idx"])
def test_a_folder(tmp_path: Path, new: str, end: str) -> None:
    data = read_dataset(write_folder(tmp_path, "-idx", new, end))
    assert_train(data)
    np.testing.assert_array_equal(data.X_test, X[:2].reshape(2, 8))
    np.testing.assert_array_equal(data.y_test, Y[:2])


@pytest.mark.parametrize("missing", NAMES)
def test_a_folder_without_one_of_the_four(tmp_path: Path, missing: str) -> None:
    (write_folder(tmp_path) / missing).unlink()
    (tmp_path / missing).mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        read_dataset(tmp_path)
    assert str(caught.value) == f"{tmp_path} holds no {missing} or {missing}.gz; expected it there."


BAD_FOLDERS: dict[str, tuple[dict[str, Array], str]] = {
    "labels as images": ({NAMES[0]: Y}, "has 1 dimension, as labels do; expected the 2 or more of images"),
    "images as labels": ({NAMES[1]: X}, "has 3 dimensions; expected the 1 of labels"),
    "lengths": ({NAMES[1]: Y[:2]}, "has 2 labels; expected 3, one for each row of features"),
    "test lengths": ({NAMES[3]: Y}, "has 3 labels; expected 2, one for each row of features"),
    "no rows": ({NAMES[0]: X[:0]}, r"has features of shape \(0, 2, 4\); expected"),
    "other pixels": ({NAMES[2]: X[:2, :, 1:]}, "has 6 features in a test row; expected 8 as in a training row"),
}


@pytest.mark.parametrize(("changed", "message"), BAD_FOLDERS.values(), ids=BAD_FOLDERS.keys())
def test_folders_that_do_not_match(tmp_path: Path, changed: dict[str, Array], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_dataset(write_folder(tmp_path, changed=changed))
    assert str(caught.value).startswith(str(tmp_path))


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("new", ["-idx", ".idx"])
def test_one_images_file_with_its_labels_beside(tmp_path: Path, new: str, end: str) -> None:
    data = read_dataset(write_folder(tmp_path, "-idx", new, end) / f"train-images{new}3-ubyte{end}")
    assert_train(data)
    assert data.X_test is None
    assert data.y_test is None


def test_labels_beside_may_be_gzipped_where_images_are_not(tmp_path: Path) -> None:
    (tmp_path / "my-images-idx2-ubyte").write_bytes(idx_bytes(X.reshape(3, 8)))
    (tmp_path / "my-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(Y)))
    assert_train(read_dataset(tmp_path / "my-images-idx2-ubyte"))


def test_images_without_labels(tmp_path: Path) -> None:
    for name in ("train-images-idx3-ubyte", "digits"):
        (tmp_path / name).write_bytes(idx_bytes(X))
    with pytest.raises(FileNotFoundError, match=r"holds no train-labels-idx1-ubyte or .*\.gz; expected it there"):
        read_dataset(tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(ValueError, match="digits has no 'images' in its name; expected it there"):
        read_dataset(tmp_path / "digits")


@pytest.mark.parametrize("name", ["data.csv", "data.csv.gz", "data.zip", "data.npz", "data"])
@pytest.mark.parametrize("form", ["csv", "csv.gz", "zip", "npz"])
def test_a_file_is_told_by_its_content(tmp_path: Path, form: str, name: str) -> None:
    path = tmp_path / name
    if form == "npz":
        with path.open("wb") as file:
            np.savez(file, X=X, y=Y)
    elif form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data.csv", ROWS)
    else:
        path.write_bytes(gzip.compress(ROWS.encode()) if form == "csv.gz" else ROWS.encode())
    data = read_dataset(str(path))
    assert_train(data)
    assert data[2:] == (None, None)


OTHER_FORMS = {"png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "npy": b"\x93NUMPY\1\0v\0{", "utf-16": "1,2".encode("utf-16")}


@pytest.mark.parametrize("data", OTHER_FORMS.values(), ids=OTHER_FORMS.keys())
def test_other_forms_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "other").write_bytes(data)
    message = rf"other begins with the bytes {data[:4].hex(' ')}; expected an IDX, an \.npz or a \.csv file"
    with pytest.raises(ValueError, match=message):
        read_dataset(tmp_path / "other")


def test_an_npz_without_arrays_is_not_taken_for_a_table(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="holds the arrays none; expected also x_train"):
        read_dataset(tmp_path / "a.npz")


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        read_dataset(tmp_path / "absent")
    (tmp_path / "empty").touch()
    with pytest.raises(ValueError, match="empty is empty; expected rows"):
        read_dataset(tmp_path / "empty")
