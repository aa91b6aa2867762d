"""What the tests of kernels share: awkward sizes, buffers between guard zones, a comparison in units of rounding."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[Any]

# Around one, two and four registers of every width, and a prime-ish one longer than a block of a matrix product.
SIZES = (1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 783)

# At least a tile's width on both sides; odd, so that no buffer begins at a register's alignment.
GUARD = 257


class Guards:
    """Hands out flat arrays inside larger ones; `check` finds every write outside them."""

    def __init__(self) -> None:
        self._taken: list[tuple[Array, Array, int]] = []

    def array(self, values: Any) -> Array:
        """A flat copy of values between zones of NaN (floats, with bits that no arithmetic makes) or -1 (integers)."""
        values = np.ascontiguousarray(values).reshape(-1)
        zone = GUARD + values.size
        memory = np.empty(values.size + 2 * zone, values.dtype)
        if values.dtype.kind == "f":
            memory[...] = np.nan
            memory.view(f"u{memory.itemsize}")[...] |= 0x5A5A
        else:
            memory.view(f"i{memory.itemsize}")[...] = -1
        self._taken.append((memory, memory.copy(), zone))
        memory[zone : zone + values.size] = values
        return memory[zone : zone + values.size]

    def check(self) -> None:
        """Fail if a zone has changed."""
        for memory, before, zone in self._taken:
            for part in (slice(None, zone), slice(-zone, None)):
                assert memory[part].tobytes() == before[part].tobytes(), "a kernel wrote outside its buffer"


@pytest.fixture
def guarded() -> Iterator[Callable[[Any], Array]]:
    """guarded(values): a flat copy between guard zones, which are checked when the test ends."""
    guards = Guards()
    yield guards.array
    guards.check()


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> np.dtype[Any]:
    chosen: np.dtype[Any] = np.dtype(request.param)
    return chosen


@pytest.fixture
def blank(guarded: Callable[[Any], Array], dtype: np.dtype[Any]) -> Callable[[int], Array]:
    """blank(count): room for a result, full of NaN, between guard zones."""
    return lambda count: guarded(np.full(count, np.nan, dtype))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def assert_close() -> Callable[..., None]:
    """assert_close(actual, expected, roundings, scale=0): within so many roundings of actual's dtype.

    A rounding is eps * max(|expected|, scale), where scale is the size of what was added up. NaN and infinity must be
    where they are expected; results below the normal range may count as zero.
    """

    def check(actual: Array, expected: Any, roundings: Any, scale: Any = 0.0) -> None:
        limits = np.finfo(actual.dtype)
        expected = np.asarray(expected, np.float64).reshape(actual.shape)
        with np.errstate(all="ignore"):
            error = np.abs(actual.astype(np.float64) - expected)
            unit = limits.eps * np.maximum(np.abs(expected), scale)
            same = (actual == expected.astype(actual.dtype)) | (np.isnan(actual) & np.isnan(expected))
            wrong = ~(same | (error <= roundings * unit + 2 * limits.smallest_normal))
            away = error / unit
        where = np.flatnonzero(wrong)
        assert len(where) == 0, (
            f"{len(where)} of {actual.size} are wrong, first at {where[0]}: {actual.flat[where[0]]!r} instead of "
            f"{expected.flat[where[0]]!r}, {away.flat[where[0]]:.3g} roundings away"
        )

    return check
