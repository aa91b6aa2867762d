"""Dropout: which of a layer's values a step leaves out. Reference: `dropout_mask` in fastnn/functions.py.

A value's fate depends on the seed, the step, the layer and its place, and on nothing that was drawn before: so any
number of threads gives the same bits, and forward and backward need not remember what they have left out.
"""

from __future__ import annotations

import numpy as np

from .compiling.compile import Array, kernel

_STEP, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)


@kernel
def _mix(x: np.uint64) -> np.uint64:
    """SplitMix64's next number."""
    x = x * _STEP + _STEP
    x = (x ^ (x >> _30)) * _FIRST
    x = (x ^ (x >> _27)) * _SECOND
    return x ^ (x >> _31)


@kernel
def drop(
    x: Array, x0: int, out: Array, out0: int, count: int, rate: float, seed: int, step: int, layer: int, place: int
) -> None:
    """out = x with some numbers zero and the others divided by 1 - rate; the first is at `place` of the layer's."""
    key = _mix(_mix(_mix(np.uint64(seed)) + np.uint64(step)) + np.uint64(layer))
    limit, scale = np.uint64(rate * 4294967296.0), x.dtype.type(1.0 / (1.0 - rate))
    nothing = x.dtype.type(0.0)
    for i in range(count):
        kept = _mix(key + np.uint64(place + i)) >> _32 >= limit
        out[out0 + i] = x[x0 + i] * (scale if kept else nothing)
