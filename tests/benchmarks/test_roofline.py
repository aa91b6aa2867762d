"""`python -m benchmarks.roofline`, on a few rows, and what it takes for a peak."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import peaks, roofline
from fastnn.kernels.simd.vectors import REGISTER_BYTES, TILE_ROWS


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks, "MULTIPLY_ADDS", 1 << 16)
    monkeypatch.setattr(peaks, "MEMORY_BYTES", 1 << 22)
    monkeypatch.setattr(peaks, "READ_BYTES", 1 << 22)


def test_the_command(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- roofline:begin -->\n<!-- roofline:end -->\n", encoding="utf-8")
    flags = ("--rows", "500", "--rounds", "1", "--seconds", "0.01", "--threads", "1", "2")
    files = ("--json", str(tmp_path / "shares.json"), "--write", str(page))
    assert roofline.main(["--workload", "table-100-100", "--dtype", "float32", "float64", *flags, *files]) == 0
    report = json.loads((tmp_path / "shares.json").read_text(encoding="utf-8"))
    assert [(share["dtype"], share["threads"]) for share in report["shares"]] == [
        ("float32", 1),
        ("float32", 2),
        ("float64", 1),
        ("float64", 2),
    ]
    for share in report["shares"]:
        peak = report["peaks"]["operations_per_second"][f"{share['dtype']} x{share['threads']}"]
        # No zeros: 4 operations a row for each weight of the first layer, 6 for those of the others.
        assert share["operations"] == share["dense_operations"] == 500 * (4 * 24 * 100 + 6 * (100 * 100 + 100 * 8))
        assert share["share"] == pytest.approx(share["operations"] / share["seconds"] / peak)
        assert 0 < share["share"] < 1
    text = page.read_text(encoding="utf-8")
    assert text.count("| 24-100-100-8 relu, B=200, Adam, table 20000x24, an epoch |") == 4
    assert "GFLOP/s in float64 on 2 threads" in text


def test_zeros_are_no_work() -> None:
    X = np.zeros((4, 10), np.uint8)
    X[:, :2] = 7
    dense, needed = roofline.operations((10, 3, 5), X)
    assert (dense, needed) == (4 * (4 * 30 + 6 * 15), 4 * (4 * 6 + 6 * 15))


@pytest.mark.parametrize(
    ("workload", "left", "goal"),
    [("batch-128-dense", 1.0, 0.85), ("batch-128", 0.2, 1.0), ("table-64", 1.0, None), ("batch-512-512", 0.8, 0.85)],
)
def test_what_should_be_reached(workload: str, left: float, goal: float | None) -> None:
    assert roofline.goal(roofline.Timed(workload, "float32", 2, 1.0, 100.0, 100 * left, 1)) == goal


def test_a_disturbed_measurement_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    speeds = iter([5.0, 9.0, 7.0])
    monkeypatch.setattr(peaks, "operations", lambda dtype, threads: next(speeds))
    found = peaks.Peaks({}, {1: 4.0}, {})
    for expected in (5.0, 9.0, 9.0):
        found.see("float32", 1)
        assert found.operations == {("float32", 1): expected}
    timed = roofline.Timed("table-64", "float32", 1, 2.0, 9.0, 6.0, 2)
    assert timed.shares(found) == {"dense_share": 0.5, "share": pytest.approx(1 / 3), "memory_share": 0.25}


@pytest.mark.parametrize("dtype", peaks.DTYPES)
def test_multiply_adds_happen(dtype: str) -> None:
    width = 2 * REGISTER_BYTES // np.dtype(dtype).itemsize
    out, factors = np.zeros(TILE_ROWS * width, dtype), np.arange(1, 1 + max(width, TILE_ROWS)).astype(dtype)
    peaks.multiply_adds(factors, out, 10)
    np.testing.assert_array_equal(out.reshape(TILE_ROWS, width), 10 * np.outer(factors[:TILE_ROWS], factors[:width]))


def test_all_of_an_array_is_read() -> None:
    width = REGISTER_BYTES // 4
    numbers, out = np.arange(32 * width, dtype=np.float32), np.zeros(8 * width, np.float32)
    peaks.read(numbers, out, 3)
    np.testing.assert_array_equal(out, 3 * numbers.reshape(4, 8 * width).sum(axis=0))


def test_flags_of_no_use(capsys: pytest.CaptureFixture[str]) -> None:
    for flags in (["--threads", "0"], ["--rounds", "0"], ["--rows", "0"], ["--seconds", "0"]):
        with pytest.raises(SystemExit):
            roofline.main(flags)
        assert flags[0] in capsys.readouterr().err
