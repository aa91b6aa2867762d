"""Activations and softmax, forward and backward, against the reference in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import reference
from fastnn.kernels import activations

Array = NDArray[Any]
Blank = Callable[[int], Array]
Guarded = Callable[[Any], Array]
Close = Callable[..., None]

FORWARD = {"relu": activations.relu, "sigmoid": activations.sigmoid, "tanh": activations.tanh}
BACKWARD = {
    "relu": activations.relu_backward,
    "sigmoid": activations.sigmoid_backward,
    "tanh": activations.tanh_backward,
}
# How far from the exact value, in roundings.
ROUNDINGS = {"relu": 0, "sigmoid": 4, "tanh": 4}
OFFSET = 3  # where the kernels begin in their arrays


@pytest.fixture(params=FORWARD)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def numbers(rng: np.random.Generator, size: int, dtype: np.dtype[Any]) -> Array:
    """Both signs, from where an activation is flat to where it is steep."""
    return (rng.normal(size=size) * 10 ** rng.uniform(-3, 2, size)).astype(dtype)


def assert_only(result: Array, count: int) -> None:
    """Nothing but the `count` numbers from OFFSET on was written, in an array that was blank."""
    assert np.isnan(result[:OFFSET]).all()
    assert np.isnan(result[OFFSET + count :]).all()


# --- functions of one number


def test_forward(
    name: str, size: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank, rng: Any, assert_close: Close
) -> None:
    z, a = guarded(numbers(rng, size + 2 * OFFSET, dtype)), blank(size + 2 * OFFSET)
    FORWARD[name](z, a, OFFSET, size)
    inside = slice(OFFSET, OFFSET + size)
    assert_close(a[inside], reference.ACTIVATION[name](z[inside].astype(np.float64)), ROUNDINGS[name])
    assert_only(a, size)


def test_backward(
    name: str, size: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank, rng: Any, assert_close: Close
) -> None:
    a = guarded(reference.ACTIVATION[name](numbers(rng, size + 2 * OFFSET, dtype)).astype(dtype))
    da, dz = guarded(numbers(rng, size + 2 * OFFSET, dtype)), blank(size + 2 * OFFSET)
    BACKWARD[name](a, da, dz, OFFSET, size)
    inside = slice(OFFSET, OFFSET + size)
    value, gradient = a[inside].astype(np.float64), da[inside].astype(np.float64)
    # 1 - a and 1 - a**2 lose digits where a is close to 1: an error of the size of a rounding of da.
    assert_close(dz[inside], gradient * reference.DERIVATIVE[name](value), 2, np.abs(gradient) * (name == "tanh"))
    assert_only(dz, size)


def test_in_place(name: str, size: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank, rng: Any) -> None:
    z, da = numbers(rng, size, dtype), numbers(rng, size, dtype)
    a, dz, same_a, same_dz = blank(size), blank(size), guarded(z), guarded(da)
    FORWARD[name](guarded(z), a, 0, size)
    FORWARD[name](same_a, same_a, 0, size)
    np.testing.assert_array_equal(same_a, a)
    BACKWARD[name](a, da, dz, 0, size)
    BACKWARD[name](same_a, same_dz, same_dz, 0, size)
    np.testing.assert_array_equal(same_dz, dz)


def test_whole_range(name: str, dtype: np.dtype[Any], guarded: Guarded, blank: Blank, assert_close: Close) -> None:
    """From the smallest number to the largest, of both signs, and densely where the exponential underflows."""
    limits = np.finfo(dtype)
    powers = 2.0 ** np.linspace(limits.minexp - limits.nmant, limits.maxexp - 0.01, 2000)
    dense = np.linspace(-1.1, 1.1, 4001) * np.log(2.0) * limits.maxexp
    z = guarded(np.concatenate([powers, -powers, dense, dense / 50]).astype(dtype))
    a = blank(z.size)
    FORWARD[name](z, a, 0, z.size)
    assert_close(a, reference.ACTIVATION[name](z.astype(np.float64)), ROUNDINGS[name])


@pytest.mark.parametrize("count", [1, 5, 300])  # in the rest one by one, and in whole registers too
def test_not_a_number_and_infinity(
    name: str, count: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank, assert_close: Close
) -> None:
    limits = np.finfo(dtype)
    for value in (np.nan, np.inf, -np.inf, 0.0, -0.0, limits.max, -limits.max, limits.smallest_subnormal):
        z, a = guarded(np.full(count, value, dtype)), blank(count)
        FORWARD[name](z, a, 0, count)
        assert_close(a, reference.ACTIVATION[name](z.astype(np.float64)), ROUNDINGS[name])


def test_known_limits(dtype: np.dtype[Any], blank: Blank, guarded: Guarded) -> None:
    ends = guarded(np.array([-np.inf, np.inf], dtype))
    for name, expected in (("relu", [0, np.inf]), ("sigmoid", [0, 1]), ("tanh", [-1, 1])):
        a = blank(2)
        FORWARD[name](ends, a, 0, 2)
        np.testing.assert_array_equal(a, expected)


def test_number_zero_is_a_number(dtype: np.dtype[Any], guarded: Guarded, blank: Blank) -> None:
    """A relu that is off passes nothing on; every activation leaves an empty range alone."""
    a, da, dz = guarded(np.zeros(40, dtype)), guarded(np.full(40, 7, dtype)), blank(40)
    activations.relu_backward(a, da, dz, 0, 40)
    np.testing.assert_array_equal(dz, 0)
    for name in FORWARD:
        untouched = blank(3)
        FORWARD[name](a, untouched, 2, 0)
        BACKWARD[name](a, da, untouched, 2, 0)
        assert np.isnan(untouched).all()


# --- softmax

ROWS = 3


def test_softmax(
    size: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank, rng: Any, assert_close: Close
) -> None:
    logits = (10 * rng.normal(size=(ROWS, size))).astype(dtype)
    margin = np.full(OFFSET, np.nan, dtype)
    z, p = guarded(np.concatenate([margin, logits.ravel(), margin])), blank(ROWS * size + 2 * OFFSET)
    activations.softmax(z, p, OFFSET, ROWS, size)
    wide = logits.astype(np.float64)
    # z - max is rounded before it is an exponent, so its size counts too.
    roundings = 8 + np.abs(wide - wide.max(axis=1, keepdims=True)).ravel()
    assert_close(p[OFFSET:-OFFSET], reference.softmax(wide), roundings)
    assert_only(p, ROWS * size)


def test_softmax_backward(
    size: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank, rng: Any, assert_close: Close
) -> None:
    p = reference.softmax(rng.normal(size=(ROWS, size))).astype(dtype)
    dp = rng.normal(size=(ROWS, size)).astype(dtype)
    dz = blank(ROWS * size)
    activations.softmax_backward(guarded(p), guarded(dp), dz, 0, ROWS, size)
    P, dP = p.astype(np.float64), dp.astype(np.float64)
    jacobian = [np.diag(row) - np.outer(row, row) for row in P]
    expected = np.stack([J @ row for J, row in zip(jacobian, dP, strict=True)])
    scale = P * (np.abs(dP) + (P * np.abs(dP)).sum(axis=1, keepdims=True))
    assert_close(dz, expected, 4 + size / 4, scale.ravel())


def test_softmax_in_place(size: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank, rng: Any) -> None:
    z = rng.normal(size=(ROWS, size)).astype(dtype)
    p, same = blank(ROWS * size), guarded(z)
    activations.softmax(guarded(z), p, 0, ROWS, size)
    activations.softmax(same, same, 0, ROWS, size)
    np.testing.assert_array_equal(same, p)


def test_softmax_of_the_largest_numbers(size: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank) -> None:
    """Never NaN for finite logits: all alike share equally, the largest beats the others."""
    limits = np.finfo(dtype)
    z = np.full((4, size), limits.max, dtype)
    z[1] = limits.min
    z[2, 1:] = limits.min
    z[3, :-1] = 0.0
    p = blank(4 * size)
    activations.softmax(guarded(z), p, 0, 4, size)
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
    activations.softmax(guarded(z), p, 0, ROWS, size)
    with np.errstate(invalid="ignore"):
        assert_close(p, reference.softmax(z.astype(np.float64)), 8)
