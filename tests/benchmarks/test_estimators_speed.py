"""What the comparison with scikit-learn's times does and prints."""

from pathlib import Path

import pytest

from benchmarks import estimators_speed
from benchmarks.estimators_speed import WORKS, Work, hidden, main, make

pytest.importorskip("sklearn")


def test_both_do_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORKS, "small", Work("digits", "fit", hidden(10, epochs=3), 8))
    losses = [make("small", library, "float64").first() for library in estimators_speed.LIBRARIES]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


def test_the_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(estimators_speed, "SLEEP_SECONDS", 0.0)
    page = tmp_path / "page.md"
    page.write_text("a<!-- estimators-speed:begin -->b<!-- estimators-speed:end -->c")
    assert main(["predict_proba of one row", "--rounds", "1", "--write", str(page)]) == 0
    (row,) = [line for line in page.read_text().splitlines() if line.startswith("| predict_proba of one row |")]
    assert row in capsys.readouterr().out
    assert all(float(cell) > 0 for cell in row.split("|")[2:-1])
    with pytest.raises(SystemExit):
        main(["fit everything"])
    assert "'fit everything' is not measured" in capsys.readouterr().err
