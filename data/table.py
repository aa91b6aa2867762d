"""Tables of comma-separated numbers in Kaggle's form: one row a line, the label first, with a header line or none.

A row's number in a message is its line's number in the file, from 1, and a column's counts the label as 1.
"""

import csv
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .lines import opened_lines
from .parts import make_labels, make_part
from .source import Array, StrPath

LABEL_NAMES = ("label", "class", "target")
COUNTED = 10  # columns from which on a first line of 0, 1, 2, ... is taken for their numbers, as pandas writes them


def read_csv(path: StrPath, dtype: DTypeLike | None = None) -> tuple[Array, Array]:
    """Features (m, K) and labels (m,) of a .csv, a .csv.gz or a .zip that holds one .csv.

    Without `dtype` the features are uint8 where every one is an integer from 0 to 255, else float64. Labels are int64
    where all are whole numbers, else float64. NaN and infinities are kept. The first line is a header where its
    first field is no number, or most are none (empty fields are none, but no names either), or where its fields are 0,
    1, 2 and on, ten or more.

    Raises FileNotFoundError, TypeError where `dtype` is no integer or floating type, or ValueError that names the row:
    one too short or too long, or a cell that is no number of its type.
    """
    return read_table(Path(path), None if dtype is None else _feature_type(dtype), least=2)


def read_table(path: Path, chosen: np.dtype[Any] | None, least: int) -> tuple[Array, Array]:
    """The same of rows of `least` numbers and more, the first of which may be anything; K may be 0."""
    header, fields = _layout(path, least)
    if chosen is None:
        with suppress(ValueError):  # a value that is no uint8 ends this at its row
            return _read(path, header, fields, np.dtype(np.uint8))
        chosen = np.dtype(np.float64)
    try:
        return _read(path, header, fields, chosen)
    except ValueError as fault:
        raise _first_fault(path, header, fields, chosen, fault) from fault


def names_label(path: Path) -> bool:
    """Whether its first line says that the first column is the label."""
    with opened_lines(path) as lines:
        _, first = next(lines, (0, ""))
    return _split(first)[0].strip().lower() in LABEL_NAMES


def _feature_type(dtype: DTypeLike) -> np.dtype[Any]:
    chosen = np.dtype(dtype)
    if chosen.kind not in "uif":
        raise TypeError(f"dtype is {chosen}; expected an integer or floating type.")
    return chosen


def _layout(path: Path, least: int) -> tuple[int, int]:
    """The number of the header's line, 0 where there is none, and the count of fields in a row."""
    with opened_lines(path) as lines:
        number, first = next(lines, (0, ""))
        if not first:
            expected = "a label and its features" if least > 1 else "features"
            raise ValueError(f"{path} is empty; expected rows of {expected}.")
        names = _split(first)
        header = number if _are_names(names) else 0
        if header and next(lines, None) is None:
            raise ValueError(f"{path} holds one line that is no row of numbers; expected rows after a header.")
    if len(names) < least:
        raise ValueError(f"{path}, row {number} has 1 field; expected a label and at least one feature between commas.")
    if header:
        _check_label_first(names, path)
    return header, len(names)


def _are_names(cells: list[str]) -> bool:
    """Whether a line is a header. A first row with a bad cell is none: it would be lost without a word."""
    if len(cells) >= COUNTED and cells == [str(column) for column in range(len(cells))]:
        return True
    words = [not _is_number(cell) for cell in cells]
    named = [word and cell.strip() != "" for word, cell in zip(words, cells, strict=True)]
    return any(named) and (named[0] or 2 * sum(words) > len(cells))


def _check_label_first(names: list[str], path: Path) -> None:
    # A label in another place would be trained on as a feature, and the first feature taken as the label.
    lower = [name.strip().lower() for name in names]
    for name in LABEL_NAMES:
        if name in lower and lower[0] not in LABEL_NAMES:
            raise ValueError(f"{path} has {name!r} in column {lower.index(name) + 1}; expected the label in column 1.")


def _read(path: Path, header: int, fields: int, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    with opened_lines(path) as lines:
        table = _parse((line for number, line in lines if number != header), fields, dtype)
    X, y = table["X"], table["y"]
    return make_part(X, y, str(path)) if fields > 1 else (X, make_labels(y, str(path)))


def _parse(lines: Iterable[str], fields: int, dtype: np.dtype[Any]) -> Array:
    """Rows as records of a float64 `y` and `fields - 1` values `X`: loadtxt reads them as fast as plain numbers."""
    record = np.dtype([("y", np.float64), ("X", dtype, (fields - 1,))])
    with warnings.catch_warnings():
        # Before numpy 2.4 loadtxt cut 3.7 down to the integer 3 and only warned.
        warnings.simplefilter("error", DeprecationWarning)
        return np.loadtxt(lines, record, comments=None, delimiter=",", quotechar='"', ndmin=1)


def _first_fault(path: Path, header: int, fields: int, dtype: np.dtype[Any], fault: ValueError) -> ValueError:
    """What is wrong with the first row that does not parse on its own, found a line at a time."""
    with opened_lines(path) as lines:
        for number, line in lines:
            if number == header:
                continue
            cells = _split(line)
            if len(cells) != fields:
                return ValueError(f"{path}, row {number} has {len(cells)} fields; expected {fields}.")
            if not _parses(line, fields, dtype):
                return _cell_fault(f"{path}, row {number}", cells, dtype)
    return ValueError(f"{path} is no table of {fields} columns of numbers: {fault}")


def _cell_fault(row: str, cells: list[str], dtype: np.dtype[Any]) -> ValueError:
    for column, cell in enumerate(cells, 1):
        if not _parses(f"0,{cell}" if column > 1 else f"{cell},0", 2, dtype):
            expected = "a number" if column == 1 or dtype.kind == "f" else f"a number of type {dtype}"
            return ValueError(f"{row}, column {column} holds {cell[:40]!r}; expected {expected}.")
    return ValueError(f"{row} is not {len(cells)} numbers between commas; expected no other quoting.")


def _parses(line: str, fields: int, dtype: np.dtype[Any]) -> bool:
    try:
        return len(_parse([line], fields, dtype)) == 1
    except ValueError:
        return False


def _split(line: str) -> list[str]:
    return next(csv.reader([line]))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
