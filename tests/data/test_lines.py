"""Where a table's lines come from: plain, gzipped or the one .csv of a zip, each read within its bounds."""

import gzip
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from fastnn.data import lines, read_csv

MB = 1 << 20
ROWS = "7,0,255\n2,128,1\n"


def write_zip(path: Path, **members: str | bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_lines_are_numbered_over_blank_ones(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("\na\n \nb")
    with lines.opened_lines(tmp_path / "t") as numbered:
        assert list(numbered) == [(2, "a\n"), (4, "b")]


def test_one_csv_in_a_zip(tmp_path: Path) -> None:
    members = {"__MACOSX/._train.csv": "shadow", "folder/": "", "folder/Train.CSV": ROWS}
    features, labels = read_csv(write_zip(tmp_path / "t.zip", **members))
    assert (features.tolist(), labels.tolist()) == ([[0, 255], [128, 1]], [7, 2])
    assert [path.name for path in tmp_path.iterdir()] == ["t.zip"]


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({}, "no files"),
        ({"train.csv": ROWS, "test.csv": ROWS}, "'train.csv', 'test.csv'"),
        ({"readme.txt": ROWS}, "'readme.txt'"),
        ({"readme.txt": ROWS, "train.csv": ROWS}, "'readme.txt', 'train.csv'"),
    ],
)
def test_a_zip_without_exactly_one_csv(tmp_path: Path, members: dict[str, str], found: str) -> None:
    path = write_zip(tmp_path / "t.zip", **members)
    with pytest.raises(ValueError, match="expected") as caught:
        read_csv(path)
    assert str(caught.value) == f"{path} holds {found}; expected exactly one .csv."


def test_a_zip_truncated_at_every_byte(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "whole.zip", **{"train.csv": ROWS}).read_bytes()
    for end in range(len(whole)):
        (tmp_path / "cut.zip").write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"cut\.zip.* expected"):
            read_csv(tmp_path / "cut.zip")


@pytest.mark.parametrize("form", ["plain", "gz", "zip"])
def test_an_endless_line_is_read_no_further_than_its_bound(tmp_path: Path, form: str) -> None:
    data, path = bytes(100 * MB), tmp_path / "t"
    if form == "zip":
        write_zip(path, **{"t.csv": data})
    else:
        path.write_bytes(gzip.compress(data, 1) if form == "gz" else data)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"row 1 has {lines.MAX_LINE} characters or more; expected fewer"):
            read_csv(path)
        assert tracemalloc.get_traced_memory()[1] < 40 * MB
    finally:
        tracemalloc.stop()


def test_a_text_longer_than_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t").write_bytes(gzip.compress(ROWS.encode() * 1000))
    assert len(read_csv(tmp_path / "t")[0]) == 2000
    monkeypatch.setattr(lines, "MAX_TEXT", len(ROWS) * 1000 - 1)
    with pytest.raises(ValueError, match="t has more than 15999 characters; expected at most that"):
        read_csv(tmp_path / "t")
