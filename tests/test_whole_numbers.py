"""Features that are whole numbers up to 255 times one factor: which are, and that their bytes are those numbers."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import whole_numbers
from fastnn.whole_numbers import FACTORS, encode

Array = NDArray[Any]
m, K = 130, 97
rng = np.random.default_rng(0)
CODES = rng.integers(0, 256, (m, K), dtype=np.uint8)
LAST = m - 1, K - 1

IN_FLOAT32: dict[str, tuple[float, Callable[[Array], Array]]] = {
    "divided": (1 / 255, lambda codes: codes.astype(np.float32) / np.float32(255)),
    "multiplied": (1 / 255, lambda codes: codes * np.float32(1 / 255)),
    "divided in float64": (1 / 255, lambda codes: (codes / 255).astype(np.float32)),
    "divided by 256": (1 / 256, lambda codes: codes / np.float32(256)),
    "sixteenths up to one": (1 / 128, lambda codes: codes % 17 / np.float32(16)),
    "whole numbers": (1.0, lambda codes: codes.astype(np.float32)),
    "nothing but zeros": (1.0, lambda codes: np.zeros(codes.shape, np.float32)),
    "zeros and ones": (1.0, lambda codes: (codes % 2).astype(np.float32)),
}


def coded(X: Array, threads: int = 2, dtype: str = "float32") -> tuple[Array, float] | None:
    return encode(X, np.dtype(dtype), threads)


def check(X: Array, factor: float, threads: int = 2, dtype: str = "float32") -> None:
    """X's bytes are those numbers that stand for what the dtype makes of X."""
    found = coded(X, threads, dtype)
    assert found is not None
    assert found[1] == factor
    np.testing.assert_array_equal(found[0], np.rint(X.astype(np.float64) / factor))


@pytest.mark.parametrize("name", IN_FLOAT32)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 3])
def test_every_way_to_make_pixels_floats(name: str, dtype: str, threads: int) -> None:
    factor, make = IN_FLOAT32[name]
    check(make(CODES).astype(dtype), factor, threads)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_byte_in_the_dtype(factor: Fraction, dtype: str) -> None:
    X = np.resize(np.arange(256), (4, K)) * np.dtype(dtype).type(factor)
    check(np.vstack([X, X[::-1]]).astype(dtype), float(factor), dtype=dtype)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize(
    "make", [lambda codes, factor: codes * float(factor), lambda codes, factor: codes / float(1 / factor)]
)
def test_float64_for_float64(factor: Fraction, make: Callable[[Array, Fraction], Array]) -> None:
    check(make(CODES, factor), float(factor), dtype="float64")


@pytest.mark.parametrize(
    ("factor", "found"), [(Fraction(1, 255), False), (Fraction(1, 256), True), (Fraction(1), True)]
)
def test_float32_for_float64(factor: Fraction, found: bool) -> None:
    """What is not rounded stands for the same number."""
    X = CODES * np.float32(factor)
    assert (coded(X, dtype="float64") is not None) == found
    assert coded(X) is not None


@pytest.mark.parametrize(("m", "K"), [(1, 64), (2, 65), (63, 127), (64, 128), (65, 783), (20000, 64)])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_shape(m: int, K: int, threads: int) -> None:
    check(rng.integers(0, 256, (m, K)).astype(np.float32) / np.float32(255), 1 / 255, threads)


def read_only(X: Array) -> Array:
    X = X.copy()
    X.flags.writeable = False
    return X


def at_an_odd_address(X: Array) -> Array:
    memory = np.zeros(X.nbytes + 1, np.uint8)[1:].view(np.uint8)
    memory[:] = X.view(np.uint8).ravel()
    return np.ndarray(X.shape, X.dtype, memory.data)


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "columns of more": lambda X: np.hstack([X * np.nan, X, X * np.nan])[:, K : 2 * K],
    "one row for all": lambda X: np.broadcast_to(X[0], X.shape),
    "read-only": read_only,
    "at an odd address": at_an_odd_address,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_layout(layout: str, dtype: str) -> None:
    check(LAYOUTS[layout]((CODES / 255).astype(dtype)), 1 / 255)


def apart(X: Array, ulps: int) -> Array:
    """So many numbers of its dtype away."""
    moved: Array = (X.view(f"i{X.itemsize}") + ulps).view(X.dtype)
    return moved


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("ulps", [-1, 1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_next_to_the_nearest_count(dtype: str, factor: Fraction, ulps: int) -> None:
    codes = np.maximum(CODES, 1)
    X = (codes / float(1 / factor)).astype(dtype)
    found = coded(apart(X, ulps), dtype=dtype)
    assert found is not None
    np.testing.assert_array_equal(found[0], codes)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("ulps", [-2, 2])
@pytest.mark.parametrize("code", [1, 3, 85, 128, 255])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_others_do_not(dtype: str, factor: Fraction, ulps: int, code: int) -> None:
    X = (CODES / float(1 / factor)).astype(dtype)
    X[LAST] = apart((np.array([code]) / float(1 / factor)).astype(dtype), ulps)[0]
    assert coded(X, dtype=dtype) is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("place", [(0, 0), (m // 2, 63), (m // 2 + 1, 64), LAST], ids=str)
@pytest.mark.parametrize(
    "number",
    [
        256 / 255,
        0.5 / 255,
        254.5 / 255,
        -1 / 255,
        -1e-6,
        -1e-45,
        1e-6,
        np.nan,
        np.inf,
        -np.inf,
        1e38,
        -1e38,
        16777217.0,
    ],
)
def test_one_number_is_enough(number: float, place: tuple[int, int], dtype: str, threads: int) -> None:
    X = (CODES / 255).astype(dtype)
    X[place] = number
    assert coded(X, threads) is None
    assert coded(X, threads, dtype) is None


@pytest.mark.parametrize("number", [-0.0, 1e-45, 1e-300, -1e-300])
def test_zeros_of_float32(number: float) -> None:
    X = CODES / 255
    X[LAST] = number
    found = coded(X)
    assert found is not None
    assert found[0][LAST] == 0
    assert (coded(X, dtype="float64") is not None) == (number == 0)


@pytest.mark.parametrize(
    "X",
    [
        CODES / 100,
        rng.normal(size=(m, K)),
        rng.random((m, K)).astype(np.float32),
        CODES[:, :63] / 255,
        CODES[:, :1] / 255,
        CODES,
        (CODES / 255).astype(np.float16).astype(np.float32),
    ],
    ids=["hundredths", "normal", "uniform", "narrow", "a column", "bytes already", "once float16"],
)
def test_what_is_not_of_this_kind(X: Array) -> None:
    assert coded(X) is None
    assert coded(X, dtype="float64") is None


def test_a_file_is_not_copied(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", CODES / 255)
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    for view in (X, X[::2], np.asarray(X)):
        assert coded(view, 1) is None
    assert coded(X.copy(), 1) is not None


def test_not_so_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for shares, copied in ((15, False), (16, True)):
        monkeypatch.setattr(whole_numbers, "_memory", lambda shares=shares: shares * CODES.nbytes)
        assert (coded(CODES / 255, 1) is not None) == copied


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_else_is_written(dtype: str) -> None:
    memory = np.full(CODES.size + 200, 77, np.uint8)
    factors = whole_numbers._factors(np.dtype(dtype))
    assert whole_numbers._encoded(CODES / 255, factors, memory[100:-100], 1) == 1
    np.testing.assert_array_equal(memory[100:-100], CODES.ravel())
    assert (memory[:100] == 77).all()
    assert (memory[-100:] == 77).all()
