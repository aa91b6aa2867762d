"""What all tests of benchmarks need."""

import pytest

from benchmarks import contest, roofline


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here depends on how long something takes."""
    monkeypatch.setattr(contest, "SLEEP_SECONDS", 0.0)
    monkeypatch.setattr(roofline, "SLEEP_SECONDS", 0.0)
