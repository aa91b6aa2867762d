"""Kernels that other processes lower, and what becomes of them when those processes end, hang or cannot be made."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastnn.kernels.compiling import cache, helpers, interrupts, lowering
from fastnn.kernels.compiling.compile import entry, intrinsic, kernel
from fastnn.kernels.compiling.helpers import Helper
from fastnn.kernels.compiling.lowering import Part

pytestmark = pytest.mark.skipif(helpers.sys.platform != "linux", reason="processes are not copied here")

SECONDS = 20.0


def take_all(helper: Helper) -> list[tuple[int, Any]]:
    taken: list[tuple[int, Any]] = []
    end = time.monotonic() + SECONDS
    while helper.works and time.monotonic() < end:
        taken += helper.take()
    assert not helper.works
    helper.dismiss()
    return taken


def hang() -> None:
    time.sleep(SECONDS)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    raise ValueError("This is printed nowhere.")


def nothing() -> None:
    pass


# --- a helper


def test_a_helper_sends_what_comes_out_in_order() -> None:
    taken = take_all(Helper(nothing, [lambda: "one", lambda: b"two" * 100_000, os.getppid]))
    assert taken == [(0, "one"), (1, b"two" * 100_000), (2, os.getpid())]


@pytest.mark.parametrize("end", [die, fail])
def test_a_helper_may_end_early(end: Callable[[], None], capfd: pytest.CaptureFixture[str]) -> None:
    assert take_all(Helper(nothing, [lambda: "one", end, lambda: "three"])) == [(0, "one")]
    assert capfd.readouterr() == ("", "")


def test_a_helper_that_hangs_is_ended() -> None:
    helper, began = Helper(nothing, [hang]), time.monotonic()
    assert list(helper.take()) == []
    assert helper.works
    helper.dismiss()
    assert time.monotonic() - began < SECONDS / 2


def test_a_helper_hears_no_signals() -> None:
    def raise_it() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "goes on"

    assert take_all(Helper(nothing, [raise_it])) == [(0, "goes on")]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_helper_that_nobody_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "SECONDS", 1)
    helper = Helper(nothing, [hang])
    assert os.WTERMSIG(os.waitpid(helper._process, 0)[1]) == signal.SIGALRM
    assert take_all(helper) == []


def test_a_helper_that_somebody_else_has_waited_for() -> None:
    helper = Helper(nothing, [lambda: "one"])
    os.waitpid(helper._process, 0)
    assert take_all(helper) == [(0, "one")]


def test_a_helper_ends_with_its_reader() -> None:
    helper = Helper(nothing, [lambda: b"more than a pipe holds" * 100_000])
    helper._results.close()
    assert os.waitstatus_to_exitcode(os.waitpid(helper._process, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_copy_of_this_process_has_no_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    helper = Helper(nothing, [lambda: "one"])
    monkeypatch.setattr(lowering.lowering, "_helpers", [(helper, [])])
    child = os.fork()
    if child == 0:
        os._exit(len(lowering.lowering._helpers) or len(list(helper.take())))
    assert os.waitpid(child, 0)[1] == 0
    assert take_all(helper) == [(0, "one")]


# --- kernels


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function with eight kernels, each with a call of its own and one of numba's functions."""

    monkeypatch.setattr(cache, "keep", lambda made: made)

    def make(inner: Any, number: int) -> Any:
        @kernel
        def link(x: float) -> float:
            return max(inner(x), float(number))

        return link

    @kernel
    def twice(x: float) -> float:
        return 2.0 * x

    link = twice
    for number in range(8):
        link = make(link, number)

    @entry
    def chain(x: float) -> float:
        result: float = link(x)
        return result

    return chain


@intrinsic
def no_code(typing_context: Any, x: Any) -> Any:
    def generate(*_: Any) -> Any:
        raise NotImplementedError("It has no code.")

    return x(x), generate


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Part]]:
    """The kernels that helpers have lowered; each has time to lower one."""
    monkeypatch.setattr(lowering, "BATCH", 3)
    monkeypatch.setattr(lowering, "most_helpers", lambda: 2)
    parts: list[Part] = []
    be_lowered = Part.be_lowered

    def and_note(part: Part, *lowered: Any) -> None:
        parts.append(part)
        be_lowered(part, *lowered)

    def wait() -> bool:
        for helper, _ in lowering.lowering._helpers:
            if helper.works:
                helper._results.poll(SECONDS)
        return False

    monkeypatch.setattr(Part, "be_lowered", and_note)
    monkeypatch.setattr(interrupts, "waits", wait)
    yield parts
    assert lowering.lowering._helpers == []


def test_helpers_lower(uncompiled: Any, received: list[Part]) -> None:
    assert (uncompiled(3.0), uncompiled(5.0)) == (7.0, 10.0)
    assert len(received) >= 3


@pytest.mark.parametrize("end", [die, fail])
def test_helpers_that_end(
    uncompiled: Any, received: list[Part], end: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Part, "as_lowered", lambda part: end())
    assert (uncompiled(3.0), uncompiled(5.0)) == (7.0, 10.0)
    assert received == []


def test_helpers_that_hang(uncompiled: Any, received: list[Part], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Part, "as_lowered", lambda part: hang())
    monkeypatch.setattr(interrupts, "waits", lambda: False)
    began = time.monotonic()
    assert (uncompiled(3.0), uncompiled(5.0)) == (7.0, 10.0)
    assert time.monotonic() - began < SECONDS / 2
    assert received == []


def test_processes_give_functions_different_names(received: list[Part], monkeypatch: pytest.MonkeyPatch) -> None:
    """While a kernel is lowered numba may make others, whose names hold a number."""
    monkeypatch.setattr(cache, "keep", lambda made: made)

    def make(factor: float) -> Any:
        @intrinsic
        def times(typing_context: Any, x: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                def impl(x: float) -> float:
                    return x * factor

                return context.compile_internal(builder, impl, signature, arguments)

            return x(x), generate

        @kernel
        def made(x: float) -> float:
            result: float = times(x)
            return result

        return made

    two, three, five, seven, eleven = map(make, (2.0, 3.0, 5.0, 7.0, 11.0))

    @entry
    def total(x: float) -> float:
        result: float = two(x) + three(x) + five(x) + seven(x) + eleven(x)
        return result

    assert total(10.0) == 280.0
    assert len(received) > 0


@pytest.mark.parametrize("error", [BlockingIOError("no more processes"), RuntimeError("can't fork at shutdown")])
def test_no_helpers(error: Exception, uncompiled: Any, received: list[Part], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise error

    monkeypatch.setattr(os, "fork", refuse)
    assert (uncompiled(3.0), uncompiled(5.0)) == (7.0, 10.0)
    assert received == []


def test_a_kernel_that_cannot_be_lowered(uncompiled: Any, received: list[Part]) -> None:
    """Where it is called it fails, each time, and nowhere else."""

    @kernel
    def wrong(x: float) -> float:
        return no_code(x)

    @entry
    def calls_it(x: float) -> float:
        return wrong(x)

    for _ in range(2):
        with pytest.raises(NotImplementedError, match="has no code"):
            calls_it(3.0)
    assert uncompiled(3.0) == 7.0


def test_an_interruption_just_before_a_kernel_is_lowered(
    uncompiled: Any, received: list[Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_ir_module, interruptions = Part.add_ir_module, [KeyboardInterrupt]

    def add_and_be_interrupted(part: Part, module: Any) -> None:
        add_ir_module(part, module)
        if interruptions:
            raise interruptions.pop()

    monkeypatch.setattr(lowering, "most_helpers", lambda: 0)
    monkeypatch.setattr(Part, "add_ir_module", add_and_be_interrupted)
    with pytest.raises(KeyboardInterrupt):
        uncompiled(3.0)
    assert uncompiled(3.0) == 7.0


def test_helpers_end_with_an_interruption(
    uncompiled: Any, received: list[Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    def waits() -> bool:
        return len(lowering.lowering._helpers) > 0

    def interrupt() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(interrupts, "waits", waits)
        interrupted.setattr(interrupts, "hear", interrupt)
        with pytest.raises(KeyboardInterrupt):
            uncompiled(3.0)
    assert lowering.lowering._helpers == []
    assert uncompiled(3.0) == 7.0
