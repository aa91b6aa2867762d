"""Numpy's .npz: a zip of .npy members. Nothing is unpickled and nothing is evaluated.

The reference is numpy.lib.format: a magic, a version, the header's length, the header as text, the elements.
"""

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .archive import opened_member, opened_zip
from .parts import REAL_KINDS, Dataset, join_parts, make_part
from .source import Array, Stream, StrPath, byte_count, opened, read_array, read_up_to

MAGIC = b"\x93NUMPY"
LENGTH_BYTES = {1: 2, 2: 4, 3: 4}  # of the header's length, for each version of the format
MAX_HEADER = 10_000  # numpy's own bound
_DESCR = re.compile(r"""['"]descr['"]\s*:\s*['"]([<>|=]?)([A-Za-z])(\d{0,4})['"]""")
_ORDER = re.compile(r"""['"]fortran_order['"]\s*:\s*(True|False)""")
_SHAPE = re.compile(r"""['"]shape['"]\s*:\s*\(((?:\d{1,19}\s*,\s*)*(?:\d{1,19}\s*)?)\)""")

Header = tuple[np.dtype[Any], tuple[int, ...], bool]


def read_npz(path: StrPath) -> Dataset:
    """The arrays x_train, y_train, x_test, y_test of an .npz, or its X and y; x and X are both accepted in each name.

    Features (m, ...) come back as (m, K) in their own type, labels as (m,), int64 where they are whole numbers.

    Raises FileNotFoundError, or ValueError where the archive is damaged, a name is missing, a header lies, an array
    holds no real numbers or features and labels differ in length.
    """
    path = Path(path)
    with opened_zip(path) as (archive, infos):
        found = [info for info in infos if info.filename.endswith(".npy")]
        members = {info.filename.removesuffix(".npy"): info for info in found}
        x, y, *test = _names([info.filename.removesuffix(".npy") for info in found], path)
        arrays = {name: read_member(archive, members[name], path) for name in (x, y, *test)}
    train = make_part(arrays[x], arrays[y], f"{path}: {x}, {y}")
    if not test:
        return Dataset(*train)
    x, y = test
    return join_parts(train, make_part(arrays[x], arrays[y], f"{path}: {x}, {y}"), str(path))


def _names(found: list[str], path: Path) -> list[str]:
    """The names to read: four, or two where there is no test part, each as the file spells it."""
    spelt = {name[:1].lower() + name[1:]: name for name in found}
    for name in spelt:
        same = [other for other in found if other[:1].lower() + other[1:] == name]
        if len(same) > 1:
            raise ValueError(f"{path} holds the arrays {', '.join(map(repr, same))}; expected one of them.")
    four = ["x_train", "y_train", "x_test", "y_test"]
    for names in (four, ["x", "y"]):
        if all(name in spelt for name in names):
            return [spelt[name] for name in names]
    listed = ", ".join(repr(name) for name in sorted(found)[:20]) or "none"
    partly = any(name in spelt for name in four)
    missing = [name for name in four if name not in spelt] if partly else [*four, "or X and y"]
    raise ValueError(f"{path} holds the arrays {listed}; expected also {', '.join(missing)}.")


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Array:
    name = f"{path}: {info.filename}"
    with opened_member(archive, info, name) as stream:
        dtype, shape, fortran = _read_header(stream, name)
        size, left = byte_count(dtype, shape, name), info.file_size - stream.tell()
        if size != left:
            raise ValueError(f"{name} holds {left} bytes of data; expected {size} for the shape {shape} of {dtype}.")
        return read_array(stream, dtype, shape, name, fortran)


def read_npy(path: Path) -> Array:
    """The array of a file of its own."""
    with opened(path) as stream:
        dtype, shape, fortran = _read_header(stream, str(path))
        return read_array(stream, dtype, shape, str(path), fortran)


def _read_header(stream: Stream, name: str) -> Header:
    start = read_up_to(stream, 8)
    if start[:6] != MAGIC or len(start) < 8 or start[6] not in LENGTH_BYTES:
        raise ValueError(f"{name} begins with the bytes {start.hex(' ')}; expected an .npy header of version 1 to 3.")
    length = int.from_bytes(read_up_to(stream, LENGTH_BYTES[start[6]]), "little")
    if length > MAX_HEADER:
        raise ValueError(f"{name} has an .npy header of {length} bytes; expected at most {MAX_HEADER}.")
    return _parse_header(read_up_to(stream, length).decode("latin-1"), name)


def _parse_header(text: str, name: str) -> Header:
    descr, order, shape = (pattern.search(text) for pattern in (_DESCR, _ORDER, _SHAPE))
    if not (descr and order and shape):
        raise ValueError(f"{name} has the .npy header {text[:80]!r}; expected a plain type, an order and a shape.")
    if descr[2] == "O":
        raise ValueError(f"{name} holds Python objects; expected numbers: objects are never unpickled.")
    if descr[2] not in REAL_KINDS:
        raise ValueError(f"{name} has the type {descr[2] + descr[3]!r}; expected real numbers.")
    try:
        dtype = np.dtype(descr[1] + descr[2] + descr[3])
    except TypeError as fault:
        raise ValueError(f"{name} has the type {descr[2] + descr[3]!r}; expected a type that numpy knows.") from fault
    return dtype, tuple(int(n) for n in re.findall(r"\d+", shape[1])), order[1] == "True"
