"""Members of a zip archive, read in place: nothing is extracted and no member outgrows its declared size."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .source import Stream, check_regular, faults_of

# Other methods are left out: an LZMA member may ask for a window of 4 GB.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 1


def is_member(info: zipfile.ZipInfo) -> bool:
    """Whether an entry is a file of the archive's author: no folder, nor the shadow files macOS adds."""
    return not info.filename.endswith("/") and not info.filename.startswith("__MACOSX/")


@contextmanager
def opened_zip(path: Path) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """An archive and its files; ValueError where it is damaged."""
    check_regular(path)
    with faults_of(path), zipfile.ZipFile(path) as archive:
        yield archive, [info for info in archive.infolist() if is_member(info)]


@contextmanager
def opened_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Iterator[Stream]:
    """The inflated bytes of one member, which end at its declared size and must match its checksum there."""
    if info.flag_bits & ENCRYPTED:
        raise ValueError(f"{name} is encrypted; expected a plain member.")
    if info.compress_type not in METHODS:
        raise ValueError(f"{name} has compression method {info.compress_type}; expected stored (0) or deflated (8).")
    with archive.open(info) as stream:
        yield stream
