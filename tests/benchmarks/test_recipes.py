"""The recipes' benchmark, as far as it goes in a few iterations."""

import json
from pathlib import Path

import pytest

from benchmarks.recipes import is_near, main, numpy_seconds


def test_a_run_in_numpy_is_timed() -> None:
    assert numpy_seconds("digits-relu10-41k", 2) > 0.0


def test_numpy_seconds_are_of_all_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of two iterations took 3 seconds, the second 2; so 500 take 1001."""

    def trained(*flags: str) -> None:
        lines = "".join(json.dumps({"seconds": seconds}) + "\n" for seconds in (3.0, 5.0))
        (Path(flags[-1]) / "metrics.jsonl").write_text(lines, encoding="utf-8")

    monkeypatch.setattr("benchmarks.recipes.train", trained)
    assert numpy_seconds("digits-relu10", 2) == 3.0 + 2.0 * 499


def test_what_is_near() -> None:
    assert is_near("digits-relu10", "test_accuracy", 0.864 - 0.0149)
    assert not is_near("digits-relu10", "test_accuracy", 0.864 - 0.0151)
    assert is_near("zero-logistic", "final_loss", 0.0251 * 1.14)
    assert not is_near("zero-logistic", "final_loss", 0.0251 * 1.16)


def test_unknown_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["digits"])
    assert "'digits' is no recipe; expected some of zero-logistic" in capsys.readouterr().err
