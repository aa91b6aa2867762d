"""Files that are there as a whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import glob
import os
import stat
import tempfile
from pathlib import Path

StrPath = str | os.PathLike[str]

# Letters of a file's name that its temporary file has: of four bytes each at most, of the 255 that a name may have.
SHORT = 60


def replace(path: StrPath, content: bytes | bytearray) -> None:
    """Write `content` to a temporary file beside `path`, and rename it when it is on the disk.

    Raises OSError that names `path`; what had that name before is then untouched. A symbolic link is replaced, and not
    followed; a pipe or a device is refused. Raises TypeError or ValueError for what is no file's name.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path is {path!r}; expected a file's name, text or a Path.")
    target = Path(path)
    if not target.name or "\0" in target.name:
        raise ValueError(f"path is {os.fspath(path)!r}; expected a file's name.")
    if _is_special(target):
        raise ValueError(f"path is {os.fspath(path)!r}, a pipe or a device; expected a file's name.")
    try:
        _write(target, content)
        _sync_folder(target.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def remove_leftovers(folder: Path, name: str) -> None:
    """Remove the temporary files of a `replace` that was killed."""
    for path in folder.glob(f"{glob.escape(_prefix(name))}????????"):
        path.unlink(missing_ok=True)


def _prefix(name: str) -> str:
    """How a temporary file's name begins; a part of the name, for a longer one may be too long."""
    return f".{name[:SHORT]}."


def _is_special(target: Path) -> bool:
    """Whether something has that name that is neither a file, a folder nor a symbolic link."""
    try:
        mode = os.lstat(target).st_mode
    except (OSError, ValueError):  # nothing, or nothing that could be
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


def _write(target: Path, content: bytes | bytearray) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=_prefix(target.name))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(target))
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Have the new name outlive a loss of power; Windows neither can nor need be asked."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _mode(target: Path) -> int:
    """Who may read it: whoever may read the file that it replaces, or any new one."""
    try:
        mode = os.lstat(target).st_mode
    except OSError:
        mode = 0
    return stat.S_IMODE(mode) if stat.S_ISREG(mode) else 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
