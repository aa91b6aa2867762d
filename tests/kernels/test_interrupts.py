"""Ctrl-C waits where it would do harm."""

import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from fastnn.kernels.compiling import cache, interrupts
from fastnn.kernels.compiling.compile import entry, kernel
from fastnn.kernels.compiling.interrupts import hear, held

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a single process")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """As before, whatever happens."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is before[signal.SIGTERM]
    for number, handler in before.items():
        signal.signal(number, handler)


def test_it_waits_for_the_end() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held():  # noqa: PT012
        with held():
            signal.raise_signal(signal.SIGINT)
            done.append("within")
        done.append("between")
    assert done == ["within", "between"]


def test_it_waits_for_who_hears() -> None:
    done = []
    with held():
        hear()
        signal.raise_signal(signal.SIGINT)
        done.append("after")
        with pytest.raises(KeyboardInterrupt):
            hear()
        hear()  # once is enough
    assert done == ["after"]


def test_a_second_one_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt), held():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        hear()


def test_other_handlers_are_called_later_and_errors_pass() -> None:
    heard: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    signal.signal(signal.SIGINT, note)
    with pytest.raises(ZeroDivisionError), held():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        assert heard == []
        raise ZeroDivisionError
    assert heard == [signal.SIGINT]
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_all_that_waited_are_handled_though_one_raises() -> None:
    heard, before = [], signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    with pytest.raises(KeyboardInterrupt), held():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert heard == []
    assert heard == [signal.SIGTERM]
    signal.signal(signal.SIGTERM, before)


def test_a_handler_that_is_set_meanwhile_stays() -> None:
    heard, before = [], signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    with held():
        signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGTERM]
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> Any:
    """x -> 4 * x, of two kernels, and nothing kept of them."""
    monkeypatch.setattr(cache, "keep", lambda made: made)

    def twice(x: float) -> float:
        return x + x

    twice = kernel(twice)

    def four_times(x: float) -> float:
        return twice(twice(x))

    return entry(four_times)


def test_compiling_hears(uncompiled: Any) -> None:
    with held():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            uncompiled(3.0)
        assert uncompiled.signatures == []
        assert uncompiled(3.0) == 12.0


def test_compiling_holds(uncompiled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nobody else does."""
    waits, heard = interrupts.waits, []

    def raise_it() -> bool:
        signal.raise_signal(signal.SIGINT)
        heard.append("goes on")
        return waits()

    monkeypatch.setattr(interrupts, "waits", raise_it)
    with pytest.raises(KeyboardInterrupt):
        uncompiled(3.0)
    assert heard == ["goes on"]


@pytest.mark.parametrize("when", range(1, 8))
def test_compiling_goes_on_after_a_signal_that_raises_nothing(
    uncompiled: Any, when: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever between two kernels that are typed or lowered, or between linking them and machine code, it is heard."""
    heard, looks, wait = [], [], interrupts.waits

    def waits() -> bool:
        looks.append(heard)
        if len(looks) == when:
            signal.raise_signal(signal.SIGINT)
        return wait()

    monkeypatch.setattr(interrupts, "waits", waits)
    signal.signal(signal.SIGINT, lambda *_: heard.append(len(looks)))
    with held():
        assert uncompiled(3.0) == 12.0
        assert heard == ([when] if when <= 6 else [])
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_processes_hold_nothing() -> None:
    with pytest.raises(KeyboardInterrupt), held():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        child = os.fork()
        if child == 0:
            hear()
            os._exit(signal.getsignal(signal.SIGINT) is not signal.default_int_handler)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler


def test_other_threads_hold_nothing() -> None:
    seen = []

    def work() -> None:
        with held():
            seen.append(signal.getsignal(signal.SIGINT))
            hear()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_what_must_not_be_left_halfway() -> None:
    tries = iter(range(5))

    def wait() -> None:
        if next(tries, None) is not None:
            raise KeyboardInterrupt

    interrupts.persist(wait)
    assert next(tries, None) is None
    with pytest.raises(ZeroDivisionError):  # at last
        interrupts.persist(lambda: 1 // 0)
