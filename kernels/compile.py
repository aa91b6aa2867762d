"""How every kernel is compiled, said once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import extending, njit
from numpy.typing import NDArray

from . import cache

Array = NDArray[Any]  # float32 or float64, C-contiguous, indexed flat from an offset
F = TypeVar("F", bound=Callable[..., object])

# Sums may be reordered and contracted; NaN and infinity must stay what they are (no nnan, no ninf), or a diverged
# loss could not be seen.
FASTMATH = {"reassoc", "contract", "arcp", "afn", "nsz"}


def kernel(function: F) -> F:
    """Compile without the GIL; division by zero gives infinity, as in NumPy.

    Without numba's runtime, too (_nrt): what allocates does not compile, and references to arrays are not counted,
    which took 100 ns for each tuple of arrays that was opened.
    """
    return njit(_nrt=False, nogil=True, error_model="numpy", fastmath=FASTMATH)(function)  # type: ignore[no-any-return]


def entry(function: F) -> F:
    """A kernel that Python calls: compiled like the others, and kept for the next process."""
    return cache.keep(kernel(function))  # type: ignore[no-any-return]


def intrinsic(function: Callable[..., Any]) -> Any:
    """A function whose LLVM code we write ourselves; whole-number arguments come with their values."""
    return extending.intrinsic(prefer_literal=True)(function)
