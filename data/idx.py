"""IDX, the format of MNIST: two zero bytes, a type code, a count of dimensions, big-endian sizes, the elements.

The reference is the description on MNIST's page, yann.lecun.com/exdb/mnist.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from .source import Array, Stream, StrPath, opened, read_array, read_up_to

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: StrPath) -> Array:
    """The array of an IDX file, gzipped or plain as its first bytes tell.

    The array has the file's shape and element type (uint8, int8, int16, int32, float32 or float64), in native byte
    order, C-contiguous and writable.

    Raises FileNotFoundError, or ValueError where the file is no IDX file or its bytes do not match its header.
    """
    path = Path(path)
    with opened(path) as stream:
        dtype, shape = _read_header(stream, path)
        return read_array(stream, dtype, shape, str(path))


def _read_header(stream: Stream, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = read_up_to(stream, 4)
    if len(magic) < 4:
        raise ValueError(f"{path} holds {len(magic)} bytes; expected an IDX header of at least 8.")
    if magic[:2] != b"\0\0":
        raise ValueError(f"{path} begins with the bytes {magic[:2].hex(' ')}; expected the 00 00 of an IDX file.")
    code, dims = magic[2:]
    if code not in DTYPES:
        known = ", ".join(f"0x{c:02X}" for c in DTYPES)
        raise ValueError(f"{path} has the IDX element type 0x{code:02X}; expected one of {known}.")
    if dims == 0:
        raise ValueError(f"{path} declares 0 dimensions; expected at least 1.")
    sizes = read_up_to(stream, 4 * dims)
    if len(sizes) < 4 * dims:
        raise ValueError(f"{path} ends in its header; expected the sizes of {dims} dimensions.")
    return np.dtype(DTYPES[code]), struct.unpack(f">{dims}I", sizes)
