"""Features that are whole numbers up to 255 times one factor, as pixels made floating-point numbers are, into bytes:
see kernels/whole_numbers.py."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .features import over_rows
from .kernels.bits import CHUNK
from .kernels.whole_numbers import encode_rows
from .packing import aligned

Array = NDArray[Any]

# Whole numbers as they are; pixels divided by 255 or 256; halves to 128ths below two.
FACTORS = (1.0, 1 / 255, 1 / 256, 1 / 128)
# Rows that show which factor it may be, and how many zeros there are.
SAMPLE = 64
# Of the machine's memory that a copy may take: not of what is free now, or a fit's last digits would depend on it.
MOST_MEMORY = 1 / 16


def encode(X: Array, threads: int, least_density: float = 0.0) -> tuple[Array, float] | None:
    """X, which `inputs.features` has checked, as bytes (m, K), and the factor that makes features of them: each the
    nearest float32, or one next to it. None if X is not so, is narrow, has more zeros, or is better not copied."""
    m, K = X.shape
    if K < CHUNK or X.dtype == np.uint8 or is_mapped(X) or m * K > MOST_MEMORY * _memory():
        return None
    sample = X[:: -(-m // SAMPLE)]
    out: Array = np.empty(sample.shape, np.uint8)
    f = _encoded(sample, FACTORS, out, 1)
    if f == len(FACTORS) or np.count_nonzero(out) < least_density * out.size:
        return None
    out = aligned(m * K, np.dtype(np.uint8), zeros=False).reshape(m, K)
    return None if _encoded(X, FACTORS[f : f + 1], out, threads) else (out, FACTORS[f])


def _encoded(X: Array, factors: tuple[float, ...], out: Array, threads: int) -> int:
    """out = X's bytes by the first of the factors that is right, whose number is returned, or how many there are."""
    exact = np.array(factors)
    high = (exact.astype(np.float32).view(np.int32) & -256).view(np.float32)  # times a byte exact in float32
    numbers = np.stack([1 / exact, high, exact - high], axis=1).astype(np.float32)
    control = np.zeros(1, np.int64)
    over_rows(encode_rows, X, threads, numbers.reshape(-1), out.reshape(-1), control)
    return int(control[0])


def is_mapped(X: Array) -> bool:
    """Whether X lies in a file, which may be larger than memory."""
    base: object = X
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap.mmap)


def _memory() -> float:
    """Bytes of the machine's memory, as far as the system tells."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return float("inf")
