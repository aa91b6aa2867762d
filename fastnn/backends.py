"""The modules that compute, by name."""

from __future__ import annotations

import functools

from .kernels.compiling.interrupts import held
from .trainer import Backend

BACKENDS = ("numba", "numpy")


@functools.cache
def backend_of(name: str) -> Backend:
    """The module that computes for this name; imported when first needed, because numba takes 0.3 s."""
    if name == "numba":
        with held():
            from . import compiled

        return compiled
    from . import plain

    return plain
