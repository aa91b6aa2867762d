"""How threads meet: shares of the work, a barrier, and atomic numbers."""

import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastnn.kernels import sync
from fastnn.kernels.compiling.compile import entry
from fastnn.kernels.sync import (
    ABANDONED,
    ARRIVED,
    CONTROL_SIZE,
    DIVERGED,
    ENTERED,
    GENERATION,
    NEXT,
    STEPS,
    STOP,
    STOPPING,
    atomic_add,
    atomic_load,
    atomic_store,
)

Array = NDArray[Any]

TIMES = 20_000
PHASES = 300
PATIENCE_SECONDS = 30.0


@entry
def share(count: int, grain: int, t: int, threads: int) -> tuple[int, int]:
    return sync.share(count, grain, t, threads)


@entry
def barrier(control: Array, threads: int) -> None:
    sync.barrier(control, threads)


def in_threads(work: Callable[[int], None], threads: int) -> None:
    """work(0), ..., work(threads - 1) at once; fails if they never meet."""
    running = [threading.Thread(target=work, args=(t,), daemon=True) for t in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(PATIENCE_SECONDS)
    assert not any(thread.is_alive() for thread in running)


# --- share


@settings(deadline=None)
@given(count=st.integers(0, 2000), grain=st.integers(1, 200), threads=st.integers(1, 70))
def test_shares_cover_everything_once_in_whole_grains(count: int, grain: int, threads: int) -> None:
    parts = [share(count, grain, t, threads) for t in range(threads)]
    assert parts[0][0] == 0
    assert parts[-1][1] == count
    for (begin, end), (next_begin, _) in pairwise(parts):
        assert begin <= end == next_begin
        assert end % grain == 0 or end == count


@settings(deadline=None)
@given(grains=st.integers(0, 500), grain=st.integers(1, 50), threads=st.integers(1, 30))
def test_shares_are_fair(grains: int, grain: int, threads: int) -> None:
    sizes = [end - begin for begin, end in (share(grains * grain, grain, t, threads) for t in range(threads))]
    assert max(sizes) - min(sizes) <= grain


# --- atomic numbers


@entry
def _add_often(control: Array, taken: Array, first: int, times: int) -> None:
    for i in range(first, first + times):
        taken[i] = atomic_add(control, NEXT, 1)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_atomic_add_loses_nothing(threads: int) -> None:
    """Every thread gets numbers that no other gets."""
    control, taken = np.zeros(CONTROL_SIZE, np.int64), np.full(threads * TIMES, -1)
    _add_often(np.zeros(CONTROL_SIZE, np.int64), taken, 0, 0)  # compiles
    in_threads(lambda t: _add_often(control, taken, t * TIMES, TIMES), threads)
    assert control[NEXT] == threads * TIMES
    np.testing.assert_array_equal(np.sort(taken), np.arange(threads * TIMES))
    control[NEXT] = 0
    assert not control.any()


@entry
def _store_and_load(control: Array, slot: int, value: int) -> int:
    atomic_store(control, slot, value)
    before: int = atomic_load(control, slot)
    return before + atomic_add(control, slot, -3)  # type: ignore[no-any-return]


def test_atomic_store_and_load() -> None:
    control = np.zeros(CONTROL_SIZE, np.int64)
    assert _store_and_load(control, STOP, 2**40) == 2**41
    assert _store_and_load(control, STEPS, -5) == -10
    expected = np.zeros(CONTROL_SIZE, np.int64)
    expected[STOP], expected[STEPS] = 2**40 - 3, -8
    np.testing.assert_array_equal(control, expected)


# --- barrier


@entry
def _meet(control: Array, t: int, threads: int, phases: int, seen: Array) -> int:
    """Counts how often another thread was not in this thread's phase between two barriers."""
    early = 0
    for phase in range(1, phases + 1):
        seen[8 * t] = phase
        sync.barrier(control, threads)
        for other in range(threads):
            early += seen[8 * other] != phase
        sync.barrier(control, threads)
    return early


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_nobody_passes_the_barrier_early(threads: int) -> None:
    control, seen = np.zeros(CONTROL_SIZE, np.int64), np.zeros(8 * threads, np.int64)
    early = np.full(threads, -1)
    _meet(np.zeros(CONTROL_SIZE, np.int64), 0, 1, 1, np.zeros(8, np.int64))  # compiles

    def work(t: int) -> None:
        early[t] = _meet(control, t, threads, PHASES, seen)

    in_threads(work, threads)
    np.testing.assert_array_equal(early, 0)
    assert control[ARRIVED] == 0
    assert control[GENERATION] == (2 * PHASES if threads > 1 else 0)


def test_barrier_waits_for_the_last() -> None:
    """One of two threads is not through before the other comes, however long that takes."""
    control, through = np.zeros(CONTROL_SIZE, np.int64), threading.Event()
    barrier(np.zeros(CONTROL_SIZE, np.int64), 1)  # compiles

    def work() -> None:
        barrier(control, 2)
        through.set()

    waiting = threading.Thread(target=work, daemon=True)
    waiting.start()
    assert not through.wait(0.2)
    assert control[ARRIVED] == 1
    barrier(control, 2)
    assert through.wait(PATIENCE_SECONDS)


def test_slots_do_not_share_a_cache_line() -> None:
    slots = sorted([ARRIVED, GENERATION, STOP, STOPPING, DIVERGED, STEPS, NEXT, ABANDONED, ENTERED, CONTROL_SIZE])
    assert all(after - before >= 8 for before, after in pairwise(slots))
