"""How many threads are used: whatever a machine of known speed makes fastest."""

import math
import time

import pytest

from fastnn.pace import AGAIN_SECONDS, KINDS, TRIAL_SECONDS, Pace, keep, recall

START = 6e-5  # seconds to start threads, which a run of one step is mostly made of


def train(pace: Pace, step_seconds: dict[int, float], seconds: float) -> dict[int, float]:
    """The time that each number of threads was used for, where steps take so long with them."""
    used = dict.fromkeys(step_seconds, 0.0)
    while sum(used.values()) < seconds:
        threads, steps = pace.next()
        taken = START + steps * step_seconds[threads]
        pace.measured(threads, steps, taken)
        used[threads] += taken
    return used


def test_two_threads_where_they_are_faster() -> None:
    used = train(Pace(2), {1: 100e-6, 2: 60e-6}, 3.0)
    assert used[1] < 0.01 * used[2]


def test_one_thread_for_tiny_steps() -> None:
    used = train(Pace(2), {1: 5e-6, 2: 8e-6}, 3.0)
    assert used[2] < 0.02 * used[1]


def test_a_neighbour_comes_and_goes() -> None:
    pace = Pace(2)
    train(pace, {1: 100e-6, 2: 60e-6}, 2.0)
    beside = train(pace, {1: 100e-6, 2: 250e-6}, 10 * AGAIN_SECONDS)
    assert beside[2] < 0.25 * beside[1]
    after = train(pace, {1: 100e-6, 2: 60e-6}, 10 * AGAIN_SECONDS)
    assert after[1] < 0.25 * after[2]


def test_long_steps_are_not_tried_with_fewer_threads() -> None:
    assert train(Pace(2), {1: 3 * TRIAL_SECONDS, 2: 2 * TRIAL_SECONDS}, 1.0)[1] == 0.0


def test_a_single_thread() -> None:
    assert Pace(1).next() == (1, 1)
    assert train(Pace(1), {1: 50e-6}, 1.0)[1] > 0.9


def test_one_slow_moment_changes_nothing() -> None:
    pace = Pace(2)
    pace.measured(2, 37, 75e-3)  # another program had the core
    used = train(pace, {1: 80e-6, 2: 46e-6}, 0.5)
    assert used[1] < 0.05 * used[2]


def test_the_next_work_of_a_kind_knows() -> None:
    kind = "test_the_next_work_of_a_kind_knows"
    assert recall(kind, 2).next() == (2, 1)
    pace = Pace(2)
    train(pace, {1: 5e-6, 2: 2e-6}, 0.2)
    keep(kind, 2, pace)
    train(pace, {1: 5e-6, 2: 8e-6}, 3.0)  # what goes on with it does not change what was kept
    threads, steps = recall(kind, 2).next()
    assert threads == 2
    assert steps > 1000
    assert recall(kind, 3).next() == (3, 1)


def test_what_is_expected() -> None:
    pace = Pace(2)
    assert pace.expected(2, 3) == math.inf
    pace.measured(2, 10, 0.5)
    assert pace.expected(2, 3) == pytest.approx(0.15)
    assert pace.expected(1, 3) == math.inf


def test_that_one_thread_is_faster_is_tried_again() -> None:
    pace = Pace(2)
    train(pace, {1: 5e-6, 2: 8e-6}, 0.2)
    assert pace.next()[0] == 1
    keep("unlucky", 2, pace)
    used = train(recall("unlucky", 2), {1: 5e-6, 2: 3e-6}, 0.2)
    assert used[1] < 0.25 * used[2]


def test_what_is_old_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = Pace(2)
    train(pace, {1: 100e-6, 2: 60e-6}, 0.2)
    keep("old", 2, pace)
    assert recall("old", 2).next()[0] == 2
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 2 * AGAIN_SECONDS)
    assert recall("old", 2).next()[0] == 1


def test_so_many_kinds_are_kept() -> None:
    pace = Pace(2)
    train(pace, {1: 5e-6, 2: 8e-6}, 0.2)
    for number in range(KINDS + 1):
        keep(number, 2, pace)
    assert not recall(0, 2).known
    assert recall(1, 2).known
