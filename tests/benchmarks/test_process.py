"""An object in another process: made there, told what to do, forgotten."""

import os
from collections.abc import Iterator
from fractions import Fraction

import pytest

from benchmarks import process as processes
from benchmarks.process import TURNS, Loop, Process, in_turns


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    made = Process(FASTNN_TRIED="yes")
    yield made
    made.close()


def test_it_holds_one_object(process: Process) -> None:
    process.hold(Fraction, 7, 3)
    assert process.call("as_integer_ratio") == (7, 3)
    process.hold(Fraction, 1, 2)
    assert process.call("limit_denominator", 10) == Fraction(1, 2)
    process.drop()
    with pytest.raises(IndexError):
        process.call("as_integer_ratio")


def test_it_is_another_process_with_its_own_environment(process: Process) -> None:
    process.hold(Loop, os.getpid)
    assert process.call("first") != os.getpid()
    process.hold(read_variable)
    assert process.call("strip") == "yes"
    assert "FASTNN_TRIED" not in os.environ


def read_variable() -> str:
    return os.environ["FASTNN_TRIED"]


def test_errors_come_back(process: Process) -> None:
    with pytest.raises(ZeroDivisionError):
        process.hold(Fraction, 1, 0)
    process.hold(Fraction, 1, 2)
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        process.call("fit")


def test_short_calls_are_timed_together() -> None:
    calls = []
    loop = Loop(lambda: calls.append(1))
    assert len(calls) == 1
    assert 0 < loop.seconds() < 1e-3
    assert loop.count > 10
    assert len(calls) == 2 + loop.count


def test_turns_alternate_and_each_keeps_its_own_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "SLEEP_SECONDS", 0.0)
    called: list[str] = []

    def seconds_of(library: str, seconds: float) -> float:
        called.append(library)
        return seconds

    found = in_turns(lambda: seconds_of("fastnn", 0.01), lambda: seconds_of("NumPy", 0.02))
    assert found == {"fastnn": [0.01] * 2 * TURNS, "NumPy": [0.02] * 2 * TURNS}
    assert called[2:] == [library for _ in range(TURNS) for library in ("fastnn", "NumPy") for _ in range(3)]


def test_calls_that_take_long_have_one_round_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "SLEEP_SECONDS", 0.0)
    assert len(in_turns(lambda: 1.0, lambda: 0.001)["NumPy"]) == TURNS
