"""Features that are whole numbers up to 255 times one factor, as pixels made floating-point numbers are, into bytes:
see kernels/matrix_unit/whole_numbers.py."""

from __future__ import annotations

import functools
import mmap
import os
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .features import over_rows
from .kernels.matrix_unit.whole_numbers import encode_rows
from .kernels.simd.bits import CHUNK
from .packing import aligned

Array = NDArray[Any]

# Whole numbers as they are; pixels divided by 255 or 256; halves to 128ths below two.
FACTORS = (Fraction(1), Fraction(1, 255), Fraction(1, 256), Fraction(1, 128))
# Rows that show which factor it may be, and how many zeros there are.
SAMPLE = 64
# Of the machine's memory that a copy may take: not of what is free now, or a fit's last digits would depend on it.
MOST_MEMORY = 1 / 16


def sample_of(X: Array) -> Array:
    """SAMPLE rows at most, of which there are some everywhere."""
    return X[:: -(-len(X) // SAMPLE)]


def encode(X: Array, dtype: np.dtype[Any], threads: int) -> tuple[Array, float] | None:
    """X, which `inputs.features` has checked, as bytes (m, K), and the factor that makes features of them: each the
    nearest number of this dtype, or one next to it. None if X is not so, is narrow, or is better not copied."""
    m, K = X.shape
    if K < CHUNK or X.dtype == np.uint8 or is_mapped(X) or m * K > MOST_MEMORY * _memory():
        return None
    sample = sample_of(X)
    out: Array = np.empty(sample.shape, np.uint8)
    factors = _factors(dtype)
    f = _encoded(sample, factors, out, 1)
    if f == len(FACTORS):
        return None
    out = aligned(m * K, np.dtype(np.uint8), zeros=False).reshape(m, K)
    return None if _encoded(X, factors[f : f + 1], out, threads) else (out, float(FACTORS[f]))


@functools.cache
def _factors(dtype: np.dtype[Any]) -> Array:
    """FACTORS as kernels take them (len(FACTORS), 3)."""
    rounded = np.array(FACTORS, np.float64).astype(dtype)
    high = (rounded.view(f"i{dtype.itemsize}") & -256).view(dtype)  # times a byte exact
    low = [float(factor - Fraction(float(first))) for factor, first in zip(FACTORS, high, strict=True)]
    return np.stack([1 / rounded, high, low], axis=1).astype(dtype)


def _encoded(X: Array, factors: Array, out: Array, threads: int) -> int:
    """out = X's bytes by the first of the factors that is right, whose number is returned, or how many there are."""
    control = np.zeros(1, np.int64)
    over_rows(encode_rows, X, threads, factors.reshape(-1), out.reshape(-1), control)
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
