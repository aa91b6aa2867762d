"""Whether this process may use the CPU's matrix unit: see kernels/matrix_unit/instructions.py."""

from __future__ import annotations

import ctypes
import functools
import sys

from .kernels.matrix_unit.instructions import HAS_MATRIX_UNIT

# Linux gives a process the unit's registers, 8 KB for each thread, when it asks: arch_prctl(ARCH_REQ_XCOMP_PERM, 18).
_ARCH_PRCTL, _REQUEST, _TILE_DATA = 158, 0x1023, 18


@functools.cache
def available() -> bool:
    """Whether kernels are compiled for a matrix unit, and the system lets this process use it. Asks once: what a
    process may do, its threads may, too, and processes that it forks."""
    if not HAS_MATRIX_UNIT or sys.platform != "linux":
        return False
    try:
        syscall = ctypes.CDLL(None).syscall
    except (OSError, AttributeError):
        return False
    syscall.argtypes, syscall.restype = [ctypes.c_long] * 3, ctypes.c_long
    return bool(syscall(_ARCH_PRCTL, _REQUEST, _TILE_DATA) == 0)
