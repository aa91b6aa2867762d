"""Softmax, forward and backward, against the reference in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import reference, team
from fastnn.kernels import softmax as kernels
from fastnn.kernels.compiling.compile import entry
from fastnn.kernels.simd.vectors import REGISTER_BYTES

Array = NDArray[Any]
Blank = Callable[[int], Array]
Guarded = Callable[[Any], Array]
Close = Callable[..., None]

OFFSET = 3  # where the kernels begin in their arrays
ROWS = 3


@entry
def softmax_in_room(z: Array, p: Array, offset: int, rows: int, N: int, room: Array) -> None:
    kernels.softmax(z, p, offset, rows, N, room)


@entry
def softmax_backward(p: Array, dp: Array, dz: Array, offset: int, rows: int, N: int) -> None:
    kernels.softmax_backward(p, dp, dz, offset, rows, N)


def softmax(z: Array, p: Array, offset: int, rows: int, N: int) -> None:
    """The kernel, with scratch no larger than it has to be."""
    softmax_in_room(z, p, offset, rows, N, np.full((N + kernels.ROOM) * REGISTER_BYTES // z.itemsize, np.nan, z.dtype))


def test_softmax(
    size: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank, rng: Any, assert_close: Close
) -> None:
    logits = (10 * rng.normal(size=(ROWS, size))).astype(dtype)
    margin = np.full(OFFSET, np.nan, dtype)
    z, p = guarded(np.concatenate([margin, logits.ravel(), margin])), blank(ROWS * size + 2 * OFFSET)
    softmax(z, p, OFFSET, ROWS, size)
    wide = logits.astype(np.float64)
    # z - max is rounded before it is an exponent, so its size counts too.
    roundings = 8 + np.abs(wide - wide.max(axis=1, keepdims=True)).ravel()
    assert_close(p[OFFSET:-OFFSET], reference.softmax(wide), roundings)
    assert np.isnan(p[:OFFSET]).all()
    assert np.isnan(p[-OFFSET:]).all()


def test_softmax_backward(
    size: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank, rng: Any, assert_close: Close
) -> None:
    p = reference.softmax(rng.normal(size=(ROWS, size))).astype(dtype)
    dp = rng.normal(size=(ROWS, size)).astype(dtype)
    dz = blank(ROWS * size)
    softmax_backward(guarded(p), guarded(dp), dz, 0, ROWS, size)
    P, dP = p.astype(np.float64), dp.astype(np.float64)
    jacobian = [np.diag(row) - np.outer(row, row) for row in P]
    expected = np.stack([J @ row for J, row in zip(jacobian, dP, strict=True)])
    scale = P * (np.abs(dP) + (P * np.abs(dP)).sum(axis=1, keepdims=True))
    assert_close(dz, expected, 4 + size / 4, scale.ravel())


def test_softmax_in_place(size: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank, rng: Any) -> None:
    z = rng.normal(size=(ROWS, size)).astype(dtype)
    p, same = blank(ROWS * size), guarded(z)
    softmax(guarded(z), p, 0, ROWS, size)
    softmax(same, same, 0, ROWS, size)
    np.testing.assert_array_equal(same, p)


def test_softmax_of_the_largest_numbers(size: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank) -> None:
    """Never NaN for finite logits: all alike share equally, the largest beats the others."""
    limits = np.finfo(dtype)
    z = np.full((4, size), limits.max, dtype)
    z[1] = limits.min
    z[2, 1:] = limits.min
    z[3, :-1] = 0.0
    p = blank(4 * size)
    softmax(guarded(z), p, 0, 4, size)
    P = p.reshape(4, size)
    np.testing.assert_allclose(P[:2], 1 / size, rtol=4 * limits.eps)
    np.testing.assert_array_equal(P[2:], [np.eye(size)[0], np.eye(size)[-1]])


@pytest.mark.parametrize("poison", [[np.nan], [np.inf], [-np.inf], [np.inf, -np.inf], [np.nan, np.inf]])
def test_softmax_of_infinities(
    poison: list[float], size: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank, assert_close: Close
) -> None:
    """As the formula says in NumPy, and in that row only."""
    z = np.ones((ROWS, size), dtype)
    z[1, -len(poison) :] = poison[:size]
    p = blank(ROWS * size)
    softmax(guarded(z), p, 0, ROWS, size)
    with np.errstate(invalid="ignore"):
        assert_close(p, reference.softmax(z.astype(np.float64)), 8)


@pytest.mark.parametrize("rows", [1, 16, 40])
@pytest.mark.parametrize("threads", [1, 3])
def test_together(
    rows: int, threads: int, size: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank, rng: Any
) -> None:
    """Threads do their rows, of which some may have none, as one does all."""
    z, dp = (guarded(rng.normal(size=rows * size).astype(dtype)) for _ in range(2))
    p, dz, expected_p, expected_dz = (blank(rows * size) for _ in range(4))
    forward, backward = kernels.softmax_together, kernels.softmax_backward_together
    rooms = [blank((size + kernels.ROOM) * REGISTER_BYTES // dtype.itemsize) for _ in range(threads)]
    team.run(lambda t, among, control: forward(t, among, control, z, p, rows, size, rooms[t]), threads)
    team.run(lambda t, among, control: backward(t, among, control, p, dp, dz, rows, size), threads)
    softmax(z, expected_p, 0, rows, size)
    softmax_backward(p, dp, expected_dz, 0, rows, size)
    np.testing.assert_array_equal(p, expected_p)
    np.testing.assert_array_equal(dz, expected_dz)
