"""`python -m benchmarks.peers`, on a few rows."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import contest, peers
from benchmarks.rivals import RIVALS

QUICK = ("--rows", "300", "--rounds", "2", "--seconds", "0.01")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a run."""
    folder = tmp_path_factory.mktemp("peers")
    (folder / "page.md").write_text("before\n<!-- peers:begin -->\n<!-- peers:end -->\nafter\n", encoding="utf-8")
    flags = ("--json", str(folder / "times.json"), "--write", str(folder / "page.md"))
    assert peers.main(["--workload", "table-64", "table-100-100", "--rivals", "numpy32", *QUICK, *flags]) == 0
    return folder


def load(folder: Path) -> Any:
    return json.loads((folder / "times.json").read_text(encoding="utf-8"))


def test_every_time_is_kept(measured: Path) -> None:
    results = load(measured)["results"]
    assert [result["workload"] for result in results] == ["table-64", "table-100-100"]
    for result in results:
        assert set(result["entries"]) == {"fastnn", "numpy32"}
        assert all(len(entry["seconds"]) == 2 for entry in result["entries"].values())
        medians = {name: entry["median"] for name, entry in result["entries"].items()}
        assert result["ratio"] == pytest.approx(medians["numpy32"] / medians["fastnn"])


def test_the_page_has_the_table(measured: Path) -> None:
    lines = (measured / "page.md").read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert lines[2] == "| workload | fastnn, ms | NumPy float32, ms | best peer / fastnn | at least |"
    rows = [line for line in lines if line.startswith("| 24-")]
    assert [row.rsplit("|", 2)[1].strip() for row in rows] == ["1.6", "1.8"]
    assert all("NumPy float32)" in row for row in rows)
    assert any("cores, Python" in line for line in lines)


def test_a_table_of_earlier_runs(measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert peers.main(["--read", str(measured / "times.json")]) == 0
    assert "24-64-8 relu, B=32, Adam, table 20000x24, first 300 rows, an epoch" in capsys.readouterr().out
    other = load(measured) | {"machine": "another"}
    (measured / "other.json").write_text(json.dumps(other), encoding="utf-8")
    with pytest.raises(ValueError, match="different machines or versions"):
        peers.main(["--read", str(measured / "times.json"), str(measured / "other.json")])


def test_a_table_of_another_machine_between_markers_of_its_own(measured: Path, tmp_path: Path) -> None:
    page, times = tmp_path / "page.md", measured / "times.json"
    page.write_text("<!-- peers:begin -->\n<!-- other:begin -->\n<!-- other:end -->\n", encoding="utf-8")
    assert peers.main(["--read", str(times), "--write", str(page), "--marker", "other"]) == 0
    lines = page.read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["<!-- peers:begin -->", "<!-- other:begin -->"]
    assert lines[2].startswith("| workload |")
    assert lines[-1] == "<!-- other:end -->"


def test_a_plot_begins_at_zero(measured: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    from benchmarks.plot import peers_figure

    report = load(measured)
    figure = peers_figure(report["results"], report["machine"])
    panels = [panel for panel in figure.axes if panel.get_visible()]
    assert [panel.get_xlim()[0] for panel in panels] == [0, 0]
    assert report["machine"][:20] in figure.get_supxlabel()
    assert peers.main(["--read", str(measured / "times.json"), "--plot", str(measured / "plot.png")]) == 0
    assert (measured / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_who_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(RIVALS, "jax", RIVALS["jax"]._replace(package="no_such_package"))
    with pytest.raises(SystemExit, match="None of the libraries to compare with is installed"):
        peers.main(["--rivals", "jax", *QUICK])
    assert "JAX is not installed and left out: pip install -e '.[bench]'" in capsys.readouterr().err


def test_other_losses_are_said_and_not_timed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(contest, "_shuffle_tolerance", lambda workload: 0.0)  # other shuffles, other losses
    flags = ("--workload", "table-64", "--rivals", "numpy32", "--json", str(tmp_path / "times.json"))
    assert peers.main([*flags, *QUICK]) == 1
    assert "table-64: NumPy float32 has a loss of" in capsys.readouterr().err
    assert load(tmp_path)["results"] == []


@pytest.mark.parametrize("flags", [["--rounds", "0"], ["--seconds", "0"], ["--rows", "0"], ["--workload", "x"]])
def test_flags_of_no_use(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        peers.main(flags)
    assert flags[0] in capsys.readouterr().err
