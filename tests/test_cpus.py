"""How many threads are used."""

import os

import pytest

from fastnn.cpus import thread_count


@pytest.fixture(autouse=True)
def usable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six CPUs, of which nothing says that they are not to be used."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    for variable in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)


def test_the_usable_cpus() -> None:
    assert thread_count(None) == 6


@pytest.mark.parametrize("variable", ["NUMBA_NUM_THREADS", "OMP_NUM_THREADS"])
@pytest.mark.parametrize(("value", "expected"), [("2", 2), (" 3,1", 3), ("9", 6), ("0", 6), ("many", 6), ("", 6)])
def test_the_environment_is_honoured(variable: str, value: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    assert thread_count(None) == expected


def test_what_is_asked_for_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    assert thread_count(9) == 9


@pytest.mark.parametrize(("threads", "most", "expected"), [(None, 4, 4), (None, 8, 6), (9, 4, 4), (3, 4, 3)])
def test_no_more_than_have_something_to_do(threads: int | None, most: int, expected: int) -> None:
    assert thread_count(threads, most) == expected


def test_one_is_enough_without_a_question_to_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: pytest.fail("The system was asked."))
    assert thread_count(None, 1) == 1
    with pytest.raises(ValueError, match=r"^threads is 0; expected"):
        thread_count(0, 1)
