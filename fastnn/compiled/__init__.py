"""Training and prediction by the compiled kernels: a Backend, see fastnn/trainer.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..kernels.compiling import cache
from .forward import evaluate, predict
from .gradient import Gradient
from .row_order import row_order
from .ways import Trainer

__all__ = ["Gradient", "Trainer", "evaluate", "messages", "predict", "row_order"]


@contextmanager
def messages(tell: Callable[[str], None]) -> Iterator[None]:
    """See trainer.Backend."""

    told: list[str] = []

    def compiling(name: str) -> None:
        if not told:
            tell("compiling the kernels for this CPU, once: some 10 to 20 seconds ...")
        told.append(name)

    cache.listeners.append(compiling)
    try:
        yield
    finally:
        cache.listeners.remove(compiling)
