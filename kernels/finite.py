"""Whether numbers are finite. Reference: `numpy.isfinite`, which makes an array of answers first."""

from __future__ import annotations

from math import inf

from .compiling.compile import Array, entry, kernel
from .simd.vectors import item, numbers_at


@kernel
def finite_numbers(x: Array, offset: int, count: int) -> bool:
    """Whether so many numbers from flat `offset` on are neither NaN nor infinite."""
    finite = True
    for i in range(offset, offset + count):
        finite &= abs(item(x, i)) < inf
    return finite


@entry
def all_finite(address: int, count: int, like: Array) -> bool:
    """The same for numbers of the type of `like` from a raw address on."""
    return finite_numbers(numbers_at(address, count, like), 0, count)
