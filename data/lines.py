"""The lines of a CSV file, plain, gzipped or alone in a zip, read within bounds."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .archive import opened_member, opened_zip
from .source import ZIP_MAGICS, Stream, check_regular, opened

MAX_LINE = 1 << 22  # characters, some 200 000 numbers of 20 digits
MAX_TEXT = 1 << 32  # characters, 39 times MNIST's: what a compressed file of a few MB may unfold to


def is_zip(path: Path) -> bool:
    """Whether a file begins as a zip archive does."""
    check_regular(path)
    with path.open("rb") as raw:
        return raw.read(4) in ZIP_MAGICS


@contextmanager
def opened_lines(path: Path) -> Iterator[Iterator[tuple[int, str]]]:
    """The lines that are not blank, each with its number counted from 1 over all lines."""
    # Bytes that are not UTF-8 may stand in a header, where nothing depends on them; in a cell they are no number.
    with _opened_csv(path) as stream, io.TextIOWrapper(stream, "utf-8-sig", "replace") as text:
        yield _bounded(text, path)


@contextmanager
def _opened_csv(path: Path) -> Iterator[Stream]:
    if not is_zip(path):
        with opened(path) as stream:
            yield stream
        return
    with opened_zip(path) as (archive, infos):
        tables = [info for info in infos if info.filename.lower().endswith(".csv")]
        if len(tables) != 1 or len(infos) != 1:
            found = ", ".join(repr(info.filename) for info in infos[:20]) or "no files"
            raise ValueError(f"{path} holds {found}; expected exactly one .csv.")
        with opened_member(archive, tables[0], f"{path}: {tables[0].filename!r}") as stream:
            yield stream


def _bounded(text: io.TextIOWrapper, path: Path) -> Iterator[tuple[int, str]]:
    total = number = 0
    while line := text.readline(MAX_LINE):
        number += 1
        total += len(line)
        if len(line) == MAX_LINE:
            raise ValueError(f"{path}, row {number} has {MAX_LINE} characters or more; expected fewer.")
        if total > MAX_TEXT:
            raise ValueError(f"{path} has more than {MAX_TEXT} characters; expected at most that.")
        if not line.isspace():
            yield number, line
