"""Zip archives that are cut, changed, lying, packed otherwise or locked, as read_npz meets them."""

import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn.data import read_npz
from fastnn.data.source import Array

MB = 1 << 20
X = np.arange(12, dtype=np.uint8).reshape(3, 4)
Y = np.array([2, 0, 1], dtype=np.uint8)


def npy_bytes(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def described(shape: str) -> bytes:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n"
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode()


def write_zip(path: Path, method: int = zipfile.ZIP_STORED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def test_truncated_at_every_byte(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "whole.npz", X=X, y=Y)
    whole = (tmp_path / "whole.npz").read_bytes()
    for end in range(len(whole)):
        (tmp_path / "cut.npz").write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"cut\.npz .*; expected "):
            read_npz(tmp_path / "cut.npz")


@pytest.mark.parametrize("saver", [np.savez, np.savez_compressed])
def test_any_changed_byte_is_refused_or_read_but_nothing_else(tmp_path: Path, saver: Any) -> None:
    saver(tmp_path / "whole.npz", X=X, y=Y)
    whole = (tmp_path / "whole.npz").read_bytes()
    refused = 0
    for at in range(len(whole)):
        for flip in (0x01, 0x80, 0xFF):
            changed = bytearray(whole)
            changed[at] ^= flip
            (tmp_path / "changed.npz").write_bytes(changed)
            try:
                assert len(read_npz(tmp_path / "changed.npz").X_train) == 3
            except ValueError as fault:
                refused += 1
                assert "changed.npz" in str(fault)  # noqa: PT017
    assert refused > len(whole)


def with_declared_size(path: Path, old: int, new: int) -> Path:
    """Change a member's uncompressed size in both of the zip's directories."""
    data = path.read_bytes()
    assert data.count(old.to_bytes(4, "little")) >= 2
    path.write_bytes(data.replace(old.to_bytes(4, "little"), new.to_bytes(4, "little")))
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_sizes_that_lie_in_the_zip_and_in_the_header_allocate_little(tmp_path: Path, method: int) -> None:
    size = 2_000_000_000
    member = described(f"({size}, 1)") + bytes(MB)
    path = write_zip(tmp_path / "a.npz", method, X=member, y=npy_bytes(Y))
    with_declared_size(path, len(member), len(member) - MB + size)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="expected"):
            read_npz(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * MB
    finally:
        tracemalloc.stop()


def test_a_bomb_is_inflated_no_further_than_it_declares(tmp_path: Path) -> None:
    member = described("(3, 4)") + bytes(100 * MB)
    path = write_zip(tmp_path / "a.npz", zipfile.ZIP_DEFLATED, X=member, y=npy_bytes(Y))
    with_declared_size(path, len(member), len(member) - 100 * MB + 12)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="expected"):
            read_npz(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compression_is_refused(tmp_path: Path, method: int) -> None:
    path = write_zip(tmp_path / "a.npz", method, X=npy_bytes(X), y=npy_bytes(Y))
    with pytest.raises(ValueError, match=rf"X\.npy has compression method {method}; expected stored"):
        read_npz(path)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.npz", X=npy_bytes(X), y=npy_bytes(Y))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"X\.npy is encrypted; expected a plain member"):
        read_npz(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [(b"\xff.npy", "is damaged or cut short .*; expected a whole file"), (b"\n.npy", r"holds the arrays '\\n', 'y'")],
    ids=["not utf-8", "newline"],
)
def test_odd_names(tmp_path: Path, name: bytes, message: str) -> None:
    path = write_zip(tmp_path / "a.npz", X=npy_bytes(X), y=npy_bytes(Y))
    data = bytearray(path.read_bytes().replace(b"X.npy", name))
    data[data.index(b"PK\1\2") + 9] |= 8  # the name is said to be UTF-8
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_npz(path)


def test_an_empty_name_is_passed_over(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.npz", X=npy_bytes(X), y=npy_bytes(Y), Q=b"")
    path.write_bytes(path.read_bytes().replace(b"Q.npy", b"\0.npy"))  # zipfile ends a name at a zero byte
    np.testing.assert_array_equal(read_npz(path).X_train, X)


def test_a_member_said_to_begin_before_the_file_is_refused(tmp_path: Path) -> None:
    data = write_zip(tmp_path / "a.npz", X=npy_bytes(X), y=npy_bytes(Y)).read_bytes()
    (tmp_path / "a.npz").write_bytes(data[10:])
    with pytest.raises(ValueError, match=r"is damaged or cut short .*; expected a whole file"):
        read_npz(tmp_path / "a.npz")
