"""A file is replaced as a whole, or left alone."""

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest

from fastnn import files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


def test_the_new_content_is_all_there_is(path: Path) -> None:
    files.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("step", ["write", "fsync", "chmod", "replace"])
def test_a_failure_names_the_path_and_leaves_the_old_file(
    step: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if step == "write":
            patch.setattr(os, "fdopen", full)
        else:
            patch.setattr(os, step, full)
        with pytest.raises(OSError, match="No space left on device") as caught:
            files.replace(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]


def test_the_order_of_what_is_done(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content is on the disk before it gets its name, and the name before `replace` returns."""
    done: list[str] = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, _n=name, _o=original: (done.append(_n), _o(*a)))
    files.replace(path, b"new")
    assert done == (["fsync", "replace", "fsync"] if hasattr(os, "O_DIRECTORY") else ["fsync", "replace"])


def test_a_folder_that_is_gone(path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        files.replace(path.parent / "gone" / "file", b"new")
    assert caught.value.filename == str(path.parent / "gone" / "file")


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_no_name(path: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"path is {path!r}; expected a file's name.")):
        files.replace(path, b"new")


@pytest.mark.parametrize("path", [b"file", 3, None])
def test_no_text(path: Any) -> None:
    with pytest.raises(TypeError, match=re.escape(f"path is {path!r}; expected a file's name, text or a Path.")):
        files.replace(path, b"new")


def test_a_symbolic_link_is_not_followed(path: Path) -> None:
    link = path.parent / "link"
    link.symlink_to(path)
    files.replace(link, b"new")
    assert (path.read_bytes(), link.read_bytes(), link.is_symlink()) == (b"old", b"new", False)


def test_leftovers(path: Path) -> None:
    for name in (".file.abcd1234", ".file.short", ".other.abcd1234"):
        (path.parent / name).touch()
    files.remove_leftovers(path.parent, "file")
    assert sorted(os.listdir(path.parent)) == [".file.short", ".other.abcd1234", "file"]


@pytest.mark.skipif(os.name == "nt", reason="permission bits")
def test_permissions_of_a_new_file_follow_the_umask(path: Path) -> None:
    path.unlink()
    old = os.umask(0o027)
    try:
        files.replace(path, b"new")
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name == "nt", reason="permission bits")
def test_permissions_are_those_of_the_file_before(path: Path) -> None:
    path.chmod(0o600)
    files.replace(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_pipe_or_a_device_is_refused(tmp_path: Path) -> None:
    """To rename a file over one would take it from everybody else."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"pipe', a pipe or a device; expected a file's name\.$"):
        files.replace(path, b"new")
    assert path.is_fifo()


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127])
def test_the_longest_names(name: str, tmp_path: Path) -> None:
    files.replace(tmp_path / name, b"new")
    assert (tmp_path / name).read_bytes() == b"new"
    (tmp_path / f".{name[:60]}.12345678").touch()
    files.remove_leftovers(tmp_path, name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_name_with_a_null_character(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a file's name"):
        files.replace(tmp_path / "a\0b", b"new")
