"""MNIST as it comes with the package: shapes, types, the known counts and sums, the files' checksums."""

import hashlib
import re
import sys

import numpy as np
import pytest

import fastnn.data
from fastnn.data import load_mnist, read_dataset
from fastnn.data.mnist import FOLDER
from fastnn.data.source import Array

TRAIN_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.fixture(scope="module")
def mnist() -> tuple[Array, Array, Array, Array]:
    return load_mnist()


def test_shapes_types_and_layout(mnist: tuple[Array, Array, Array, Array]) -> None:
    assert [a.shape for a in mnist] == [(60000, 784), (60000,), (10000, 784), (10000,)]
    assert [a.dtype for a in mnist] == [np.uint8, np.int64, np.uint8, np.int64]
    assert all(a.flags.c_contiguous and a.flags.writeable and a.flags.aligned for a in mnist)


def test_counts_of_each_class(mnist: tuple[Array, Array, Array, Array]) -> None:
    _, y_train, _, y_test = mnist
    assert np.bincount(y_train).tolist() == TRAIN_COUNTS
    assert np.bincount(y_test).tolist() == TEST_COUNTS


def test_pixels(mnist: tuple[Array, Array, Array, Array]) -> None:
    X_train, y_train, X_test, _ = mnist
    assert (X_train.min(), X_train.max()) == (0, 255)
    assert X_train.mean() == pytest.approx(33.318421, abs=1e-6)
    assert X_test.mean() == pytest.approx(33.791224, abs=1e-6)
    assert y_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert X_train[0].reshape(28, 28)[5, 12:16].tolist() == [3, 18, 18, 18]


def test_checksums_are_those_of_the_readme() -> None:
    rows = re.findall(r"\| `(\S+\.gz)` \| `([0-9a-f]{64})` \|", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert len(rows) == 4
    assert {name for name, _ in rows} == {path.name for path in FOLDER.glob("*.gz")}
    for name, digest in rows:
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest


def test_the_folder_reads_as_a_dataset_too(mnist: tuple[Array, Array, Array, Array]) -> None:
    for read, expected in zip(read_dataset(FOLDER), mnist, strict=True):
        assert read is not None
        np.testing.assert_array_equal(read, expected)


def test_exported_names() -> None:
    assert sorted(fastnn.data.__all__) == sorted(
        ["Dataset", "load_mnist", "read_csv", "read_dataset", "read_features", "read_idx", "read_npz"]
    )
    assert all(hasattr(fastnn.data, name) for name in fastnn.data.__all__)
    assert all(getattr(fastnn.data, name).__doc__ for name in fastnn.data.__all__)


def test_the_package_imports_numpy_and_the_standard_library_only() -> None:
    imported = {
        match[1]
        for path in FOLDER.glob("*.py")
        for match in re.finditer(r"^(?:from|import) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert "numpy" in imported
    assert imported <= {*sys.stdlib_module_names, "numpy"}
