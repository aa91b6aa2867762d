"""read_idx: every type and shape comes back as written, and no damaged or lying file gets further than a ValueError."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastnn.data import read_idx
from fastnn.data.source import MAX_DIMS, Array

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
MB = 1 << 20


def idx_bytes(array: Array) -> bytes:
    head = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def declared(*sizes: int, code: int = 0x08) -> bytes:
    return bytes([0, 0, code, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)


def write(path: Path, data: bytes, gzipped: bool) -> Path:
    path.write_bytes(gzip.compress(data) if gzipped else data)
    return path


@pytest.fixture(params=[False, True], ids=["plain", "gz"])
def gzipped(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


arrays = st.sampled_from(sorted(CODES)).flatmap(
    lambda code: hnp.arrays(np.dtype(code), hnp.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=5))
)


@given(array=arrays, zipped=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(tmp_path: Path, array: Array, zipped: bool) -> None:
    read = read_idx(write(tmp_path / "array", idx_bytes(array), zipped))
    assert (read.dtype, read.shape) == (array.dtype, array.shape)
    assert read.dtype.isnative
    assert read.flags.c_contiguous
    assert read.flags.writeable
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("size", [1, 2, 3, 15, 16, 17, 63, 100, 783])
def test_awkward_sizes(tmp_path: Path, size: int, gzipped: bool) -> None:
    array = np.arange(2 * size, dtype=np.int32).reshape(2, size)
    np.testing.assert_array_equal(read_idx(write(tmp_path / "array", idx_bytes(array), gzipped)), array)


@pytest.mark.parametrize("name", ["images.gz", "images"])
def test_gzip_is_told_by_the_bytes_not_the_name(tmp_path: Path, name: str, gzipped: bool) -> None:
    np.testing.assert_array_equal(read_idx(write(tmp_path / name, idx_bytes(IMAGES), gzipped)), IMAGES)


def test_a_path_may_be_a_string_and_a_missing_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "array", idx_bytes(IMAGES), False)
    np.testing.assert_array_equal(read_idx(str(path)), IMAGES)
    with pytest.raises(FileNotFoundError, match="absent"):
        read_idx(tmp_path / "absent")


def test_a_gzip_file_may_have_several_members(tmp_path: Path) -> None:
    data = idx_bytes(IMAGES)
    (tmp_path / "array").write_bytes(gzip.compress(data[:9]) + gzip.compress(data[9:]))
    np.testing.assert_array_equal(read_idx(tmp_path / "array"), IMAGES)


def test_truncated_at_every_byte(tmp_path: Path, gzipped: bool) -> None:
    whole = write(tmp_path / "whole", idx_bytes(IMAGES), gzipped).read_bytes()
    for end in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"cut .*; expected "):
            read_idx(tmp_path / "cut")


def test_any_changed_byte_is_refused_or_read_but_nothing_else(tmp_path: Path, gzipped: bool) -> None:
    whole = write(tmp_path / "whole", idx_bytes(IMAGES), gzipped).read_bytes()
    refused = 0
    for at in range(len(whole)):
        for flip in (0x01, 0x80, 0xFF):
            changed = bytearray(whole)
            changed[at] ^= flip
            (tmp_path / "changed").write_bytes(changed)
            try:
                assert isinstance(read_idx(tmp_path / "changed"), np.ndarray)
            except ValueError as fault:
                refused += 1
                assert "changed" in str(fault)  # noqa: PT017
    assert refused > 0


FAULTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "holds 0 bytes; expected an IDX header"),
    "not idx": (b"PNG data", "begins with the bytes 50 4e; expected the 00 00"),
    "type": (declared(1, code=0x0A) + b"1", "element type 0x0A; expected one of 0x08, 0x09, 0x0B, 0x0C, 0x0D, 0x0E"),
    "no dimensions": (bytes([0, 0, 8, 0]), "0 dimensions; expected at least 1"),
    "no sizes": (bytes([0, 0, 8, 3, 0, 0]), "ends in its header; expected the sizes of 3 dimensions"),
    "short": (idx_bytes(IMAGES)[:-1], r"holds 23 bytes of data; expected 24 for the shape \(2, 3, 4\) of uint8"),
    "long": (idx_bytes(IMAGES) + b"\0", r"holds bytes after its data; expected 24 for the shape \(2, 3, 4\)"),
    "overflow": (declared(*[0xFFFFFFFF] * 4), "expected at most 9223372036854775807 bytes"),
    "overflow to 0": (declared(*[1 << 31] * 4, 1 << 4), "expected at most 9223372036854775807 bytes"),
    "overflow with a 0": (declared(0, *[0xFFFFFFFF] * 3), "expected at most 9223372036854775807 bytes"),
    "dimensions": (declared(*[1] * (MAX_DIMS + 1)) + b"1", "33 dimensions; expected at most 32"),
}


@pytest.mark.parametrize(("data", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_faults_are_one_sentence_naming_the_file(tmp_path: Path, data: bytes, message: str, gzipped: bool) -> None:
    path = write(tmp_path / "faulty", data, gzipped)
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(path)
    assert str(caught.value).startswith(f"{path} ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("end", [b"garbage", b"\x1f\x8b"], ids=["text", "half a member"])
def test_bytes_after_the_gzip_stream_are_refused(tmp_path: Path, end: bytes) -> None:
    (tmp_path / "array").write_bytes(gzip.compress(idx_bytes(IMAGES)) + end)
    with pytest.raises(ValueError, match="damaged or cut short"):
        read_idx(tmp_path / "array")


def test_a_wrong_gzip_length_or_checksum_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(idx_bytes(IMAGES))
    for lie in (whole[:-4] + struct.pack("<I", 1 << 31), whole[:-8] + b"\0\0\0\0" + whole[-4:]):
        (tmp_path / "array").write_bytes(lie)
        with pytest.raises(ValueError, match="damaged or cut short"):
            read_idx(tmp_path / "array")


def peak_of_refusal(path: Path) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="expected"):
            read_idx(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("sizes", [(60000, 28, 28), (0x7FFFFFFF, 0x7FFFFFFF), (0xFFFFFFFF,)])
def test_a_header_that_declares_too_much_allocates_little(
    tmp_path: Path, sizes: tuple[int, ...], gzipped: bool
) -> None:
    assert peak_of_refusal(write(tmp_path / "array", declared(*sizes) + bytes(MB), gzipped)) < 8 * MB


def test_a_bomb_is_inflated_no_further_than_its_header_says(tmp_path: Path, gzipped: bool) -> None:
    path = write(tmp_path / "array", declared(10, 10) + bytes(100 * MB), gzipped)
    assert peak_of_refusal(path) < 2 * MB
