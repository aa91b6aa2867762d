"""Threads that stay: every one has its part, and nothing that goes wrong is left behind."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import cpus, ops, team, workers
from fastnn.kernels.compiling.compile import entry
from fastnn.kernels.compiling.helpers import Helper
from fastnn.kernels.sync import begin_together, end_together

Array = NDArray[Any]
PATIENCE_SECONDS = 30.0
SIZE = 300  # a product of so many rows and columns is worth a thread


@entry
def count(t: int, threads: int, control: Array, parts: Array) -> None:
    begin_together(control, t)
    parts[t] += threads
    end_together(control, t, threads)


def parts_of(threads: int) -> list[float]:
    """What each thread has added."""
    parts = np.zeros(threads)
    team.run(lambda t, among, control: count(t, among, control, parts), threads)
    return parts.tolist()


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize("pause", [0.0, 0.01], ids=["awake", "asleep"])
def test_every_thread_has_its_part(threads: int, pause: float) -> None:
    for _ in range(20):
        assert parts_of(threads) == [threads] * threads
        time.sleep(pause)


def test_a_team_that_is_dismissed_before_it_gets_its_work() -> None:
    """As by a fork in another thread: the caller does all of it, and does not wait for anybody."""
    gone, parts = team.Team(), np.zeros(2)
    gone.dismiss()
    gone.run(lambda t, among, control: count(t, among, control, parts), 2)
    assert parts.tolist() == [1, 0]


def test_all_calls_share_their_helpers() -> None:
    """There are as many as the largest call needs, and smaller ones leave the others asleep."""
    for threads in (2, 5, 3, 4, 2, 5):
        assert parts_of(threads) == [threads] * threads
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("fastnn-")]
    assert {f"fastnn-{t}" for t in range(1, 5)} <= set(names)
    assert len(names) == len(set(names))


def test_no_more_threads_than_the_system_has(monkeypatch: pytest.MonkeyPatch) -> None:
    few, parts, start = team.Team(), np.zeros(4), threading.Thread.start

    def start_three(thread: threading.Thread) -> None:
        if len(few.helpers) == 2:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_three)
    for _ in range(2):
        few.run(lambda t, among, control: count(t, among, control, parts), 4)
    monkeypatch.undo()
    assert parts.tolist() == [6, 6, 6, 0]
    few.run(lambda t, among, control: count(t, among, control, parts), 4)
    few.dismiss()
    assert parts.tolist() == [10, 10, 10, 4]


def test_what_a_signal_raises_while_a_helper_begins_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time limit, say: it does not mean that the system has no more threads."""
    few, start = team.Team(), threading.Thread.start

    def start_and_raise(thread: threading.Thread) -> None:
        start(thread)
        raise RuntimeError("time is up")

    monkeypatch.setattr(threading.Thread, "start", start_and_raise)
    with pytest.raises(RuntimeError, match="time is up"):
        few.run(lambda t, among, control: None, 2)
    few.dismiss()


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_failure_is_raised_and_the_next_call_works(failing: int) -> None:
    parts = np.zeros(3)

    def work(t: int, threads: int, control: Array) -> None:
        if t == failing:
            raise MemoryError(f"part {t}")
        count(t, threads, control, parts)

    before = threading.active_count()
    parts_of(3)
    with pytest.raises(MemoryError, match=f"part {failing}"):
        team.run(work, 3)
    assert parts_of(3) == [3, 3, 3]
    assert threading.active_count() <= before + 2


def test_callers_at_once() -> None:
    """One has the helpers, the others work alone."""
    rng = np.random.default_rng(0)
    X, W = rng.normal(size=(2, SIZE, SIZE))
    b = np.zeros(SIZE)
    expected = ops.matmul_bias(X, W, b, threads=1)
    wrong: list[int] = []

    def call(number: int) -> None:
        for _ in range(20):
            if not np.array_equal(ops.matmul_bias(X, W, b, threads=2), expected):
                wrong.append(number)

    callers = [threading.Thread(target=call, args=(number,), daemon=True) for number in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(PATIENCE_SECONDS)
    assert not any(caller.is_alive() for caller in callers)
    assert wrong == []


def test_helpers_sleep() -> None:
    parts_of(2)
    time.sleep(0.1)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.25


def in_a_team() -> None:
    pair = team.Team()
    for _ in range(2):
        pair.run(lambda t, threads, control: count(t, threads, control, np.zeros(2)), 2)
    pair.dismiss()


def in_workers() -> None:
    workers.run(lambda t: None, 2)


@pytest.mark.parametrize("run", [in_a_team, in_workers])
def test_threads_leave_the_core_of_their_caller(run: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system puts threads cannot be arranged: here all seem to be on core 7, until they leave it."""
    left: list[list[int]] = []
    for module in (team, workers, cpus):
        monkeypatch.setattr(module, "current_cpu", lambda: 8 if left else 7)
    monkeypatch.setattr(cpus, "leave_cpus", lambda taken: left.append(list(taken)))
    run()
    assert left[0] == [7]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be moved")
def test_leaving_a_core() -> None:
    """The thread is elsewhere at once, if there is another core, and may go back."""
    allowed = os.sched_getaffinity(0)
    for taken in (allowed, {min(allowed)}):
        cpus.leave_cpus(taken)
        assert os.sched_getaffinity(0) == allowed
        assert cpus.current_cpu() in allowed
    assert cpus.current_cpu() != min(allowed) or len(allowed) == 1


def run_after_sleep(pair: team.Team, work: team.Work) -> None:
    """work in the team, once its helper has done everything before."""
    end = time.monotonic() + PATIENCE_SECONDS
    while pair.helpers and not pair.asleep[1]:
        assert time.monotonic() < end
        time.sleep(0.001)
    pair.run(work, 2)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be moved")
def test_a_sleeper_wakes_up_elsewhere_and_may_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    pair, allowed = team.Team(), os.sched_getaffinity(0)
    woken: list[tuple[set[int], set[int]]] = []
    seen: list[set[int]] = []

    def wake(thread: threading.Thread, cpu: int) -> set[int]:
        before = cpus.wake_elsewhere(thread, cpu)
        woken.append((os.sched_getaffinity(thread.native_id or 0), allowed - {cpu} or allowed))
        return before

    def work(t: int, threads: int, control: Array) -> None:
        seen.append(os.sched_getaffinity(0))
        count(t, threads, control, np.zeros(2))

    monkeypatch.setattr(team, "wake_elsewhere", wake)
    for _ in range(5):
        run_after_sleep(pair, work)
    pair.dismiss()
    assert len(woken) == 5
    assert all(now == expected for now, expected in woken)
    assert seen == [allowed] * 10


def forbidden(thread: int, allowed: set[int]) -> None:
    raise PermissionError(thread)


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [(os, "sched_setaffinity", forbidden), (team, "current_cpu", lambda: -1)],
    ids=["forbidden", "unknown"],
)
def test_a_sleeper_that_cannot_be_moved(module: Any, name: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pair, parts = team.Team(), np.zeros(2)
    monkeypatch.setattr(module, name, value, raising=False)
    for _ in range(3):
        run_after_sleep(pair, lambda t, threads, control: count(t, threads, control, parts))
    pair.dismiss()
    assert parts.tolist() == [6, 6]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_has_helpers_of_its_own() -> None:
    parts_of(2)
    child = os.fork()
    if child == 0:
        os._exit(0 if parts_of(2) == [2, 2] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert parts_of(2) == [2, 2]


@pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked to compile")
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_fork_to_compile_leaves_the_team() -> None:
    """A kernel is first compiled by a thread of the team while the others wait for it."""
    parts_of(2)
    before = team._team

    def work(t: int, threads: int, control: Array) -> None:
        Helper(lambda: None, []).dismiss()
        count(t, threads, control, np.zeros(2))

    began = time.monotonic()
    team.run(work, 2)
    assert team._team is before is not None
    assert time.monotonic() - began < team.PATIENCE_SECONDS


def test_a_process_ends_right_after_a_call() -> None:
    call = "import numpy as np; from fastnn import ops; x = np.ones((300, 300)); ops.matmul_bias(x, x, x[0], threads=2)"
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
