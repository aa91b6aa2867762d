"""Bounded reading: a file's bytes, gzipped or plain, and the arrays in them.

No header is believed: a buffer grows only with the bytes that have arrived.
"""

import csv
import errno
import gzip
import math
import os
import stat
import struct
import textwrap
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
StrPath = str | os.PathLike[str]
Stream = gzip.GzipFile | IO[bytes]

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")  # the second begins an archive without members
PIECE = 1 << 20
MAX_BYTES = (1 << 63) - 1  # numpy counts the bytes of an array in a signed 64-bit integer
MAX_DIMS = 32  # numpy 1 allowed no more
LONGEST = 200  # letters of what the standard library says of a damaged file, which may have a name of its in it

_FAULTS = (
    *(EOFError, OSError, OverflowError, RuntimeError, UnicodeDecodeError),  # zipfile raises all of these as well
    *(csv.Error, struct.error, zipfile.BadZipFile, zlib.error),
)
_DAMAGE = (None, errno.EINVAL)  # errno of gzip's complaint about a bad file, and of a seek to a place that cannot be


@contextmanager
def faults_of(path: Path) -> Iterator[None]:
    """Turn what the standard library raises on a damaged file into a ValueError that names the file."""
    try:
        yield
    except _FAULTS as fault:
        if isinstance(fault, OSError) and fault.errno not in _DAMAGE:
            raise
        said = textwrap.shorten(str(fault), LONGEST, placeholder=" …")
        raise ValueError(f"{path} is damaged or cut short ({said}); expected a whole file.") from fault


def check_regular(path: Path) -> None:
    """Refuse a pipe or a device: a file is opened several times, and each time a pipe would lose what was read."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ValueError(f"{path} is a pipe or a device; expected a file, which can be read more than once.")


@contextmanager
def opened(path: Path) -> Iterator[Stream]:
    """The bytes of a file, inflated as they are read where the first two bytes say gzip."""
    check_regular(path)
    with faults_of(path), path.open("rb") as raw:
        if raw.peek(2)[:2] == GZIP_MAGIC:
            with gzip.GzipFile(fileobj=raw) as inflated:
                yield inflated
        else:
            yield raw


def read_up_to(stream: Stream, size: int) -> bytearray:
    """The next `size` bytes of a stream, or all that are left where there are fewer."""
    data = bytearray()
    while len(data) < size and (piece := stream.read(min(PIECE, size - len(data)))):
        data += piece
    return data


def byte_count(dtype: np.dtype[Any], shape: tuple[int, ...], name: str) -> int:
    """The bytes of an array of `shape`, as an exact integer; ValueError where numpy could not hold its shape."""
    if len(shape) > MAX_DIMS:
        raise ValueError(f"{name} declares {len(shape)} dimensions; expected at most {MAX_DIMS}.")
    if math.prod(max(n, 1) for n in shape) * dtype.itemsize > MAX_BYTES:
        raise ValueError(f"{name} declares the shape {shape} of {dtype}; expected at most {MAX_BYTES} bytes.")
    return math.prod(shape) * dtype.itemsize


def read_array(stream: Stream, dtype: np.dtype[Any], shape: tuple[int, ...], name: str, fortran: bool = False) -> Array:
    """The rest of a stream as a writable C-contiguous array of `shape` in native byte order.

    Raises ValueError where the stream holds fewer or more bytes than `shape` needs; at most one byte more is read.
    """
    size = byte_count(dtype, shape, name)
    data = read_up_to(stream, size)
    if len(data) < size:
        raise ValueError(f"{name} holds {len(data)} bytes of data; expected {size} for the shape {shape} of {dtype}.")
    if stream.read(1):
        raise ValueError(f"{name} holds bytes after its data; expected {size} for the shape {shape} of {dtype}.")
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), order="C", copy=False)
