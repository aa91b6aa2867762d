"""Ctrl-C where it does no harm.

Python raises KeyboardInterrupt between any two instructions of the main thread: in the middle of importing numba, which
then cannot be imported any more, while machine code is read, or between the weights of two layers.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

# Of Ctrl-C, of being told to end, and of a time limit; Windows knows the first two.
NUMBERS: list[int] = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGALRM") if hasattr(signal, name)]

PATIENCE = 1000  # times that `persist` tries

_handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}  # as they were, while signals are held
_noted: list[int] = []


def in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()  # others may not say what signals do


@contextmanager
def held() -> Iterator[None]:
    """Within it, in the main thread, signals wait for `hear`, or for its end; a second one is handled at once. One
    within another does nothing. Signals that no Python function handles do as ever. Compiling hears between kernels."""
    if _handlers or not in_main_thread():
        yield
        return
    _noted.clear()  # of one that came between the last two lines of an earlier end
    try:
        for number in NUMBERS:
            handler = signal.getsignal(number)
            if callable(handler):
                _handlers[number] = handler
                signal.signal(number, _note)
        yield
    finally:
        handlers = dict(_handlers)
        _release()
        waiting = tuple(_noted)
        _noted.clear()
        with ExitStack() as last_in_first_out:  # all of them, even if one raises
            for number in reversed(waiting):
                last_in_first_out.callback(handlers[number], number, None)


def waits() -> bool:
    """Whether `hear` would have something to do."""
    return bool(_noted) and in_main_thread()


def hear() -> None:
    """Handle what has been noted: KeyboardInterrupt may be raised here."""
    if in_main_thread():
        while _noted:
            number = _noted.pop(0)
            _handlers[number](number, None)


def persist(work: Callable[[], None]) -> None:
    """Call it until it returns, whatever signals raise meanwhile: for what must not be left halfway, while another
    exception is on its way. What fails so often fails by itself."""
    for _ in range(PATIENCE):
        try:
            return work()
        except BaseException:
            continue
    return work()


def _note(number: int, frame: FrameType | None) -> None:
    _noted.append(number)
    if _noted.count(number) > 1:
        hear()


def _release() -> None:
    try:
        for number, handler in tuple(_handlers.items()):
            if signal.getsignal(number) is _note:  # or somebody has asked for another meanwhile
                signal.signal(number, handler)
        _handlers.clear()  # only now: signals that are still held need them
    except BaseException:  # a signal whose handler is back already
        _forget()
        raise


def _forget() -> None:
    _release()
    _noted.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # a child may leave what is held, and nobody would hear
