"""Activations, forward and backward, against the reference in float64."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import reference, team
from fastnn.architecture import ACTIVATIONS, FROM_INPUT
from fastnn.kernels import activations
from fastnn.kernels.compiling.compile import entry

Array = NDArray[Any]
Blank = Callable[[int], Array]
Guarded = Callable[[Any], Array]
Close = Callable[..., None]


@entry
def activate(number: int, z: Array, a: Array, offset: int, count: int) -> None:
    activations.activate(number, z, a, offset, count)


@entry
def activate_backward(number: int, a: Array, da: Array, dz: Array, offset: int, count: int) -> None:
    activations.activate_backward(number, a, da, dz, offset, count)


NUMBERS = {name: getattr(activations, name.upper()) for name in ACTIVATIONS if name != "identity"}
FORWARD = {name: partial(activate, number) for name, number in NUMBERS.items()}
BACKWARD = {name: partial(activate_backward, number) for name, number in NUMBERS.items()}
# How far from the exact value, in roundings; gelu's and silu's gates are close to zero in roundings of 1, times z.
ROUNDINGS = {"relu": 0, "sigmoid": 4, "tanh": 4, "leaky_relu": 1, "elu": 4, "gelu": 8, "silu": 8}
OFFSET = 3  # where the kernels begin in their arrays


@pytest.fixture(params=FORWARD)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def numbers(rng: np.random.Generator, size: int, dtype: np.dtype[Any]) -> Array:
    """Both signs, from where an activation is flat to where it is steep."""
    return (rng.normal(size=size) * 10 ** rng.uniform(-3, 2, size)).astype(dtype)


def size_of(name: str, z: Array) -> Array:
    """The size of what is rounded on the way, where it is not the result's own."""
    return np.abs(z.astype(np.float64)) * (name in FROM_INPUT)


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
    expected = reference.ACTIVATION[name](z[inside].astype(np.float64))
    assert_close(a[inside], expected, ROUNDINGS[name], size_of(name, z[inside]))
    assert_only(a, size)


def test_backward(
    name: str, size: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank, rng: Any, assert_close: Close
) -> None:
    z = numbers(rng, size + 2 * OFFSET, dtype)
    a = guarded(z if name in FROM_INPUT else reference.ACTIVATION[name](z).astype(dtype))
    da, dz = guarded(numbers(rng, size + 2 * OFFSET, dtype)), blank(size + 2 * OFFSET)
    BACKWARD[name](a, da, dz, OFFSET, size)
    inside = slice(OFFSET, OFFSET + size)
    value, gradient = a[inside].astype(np.float64), da[inside].astype(np.float64)
    # 1 - a, 1 - a**2 and 1 + a lose digits where a is close to 1: an error of the size of a rounding of da.
    size_of_loss = np.abs(gradient) * (name in ("tanh", "elu")) + 40 * np.abs(gradient) * (name in FROM_INPUT)
    assert_close(dz[inside], gradient * reference.DERIVATIVE[name](value), 2, size_of_loss)
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
    with np.errstate(over="ignore"):
        expected = reference.ACTIVATION[name](z.astype(np.float64))
    assert_close(a, expected, ROUNDINGS[name], size_of(name, z))


@pytest.mark.parametrize("count", [1, 5, 300])  # in the rest one by one, and in whole registers too
def test_not_a_number_and_infinity(
    name: str, count: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank, assert_close: Close
) -> None:
    limits = np.finfo(dtype)
    for value in (np.nan, np.inf, -np.inf, 0.0, -0.0, limits.max, -limits.max, limits.smallest_subnormal):
        z, a = guarded(np.full(count, value, dtype)), blank(count)
        FORWARD[name](z, a, 0, count)
        with np.errstate(all="ignore"):
            expected = reference.ACTIVATION[name](z.astype(np.float64))
        assert_close(a, expected, ROUNDINGS[name])


def test_known_limits(dtype: np.dtype[Any], blank: Blank, guarded: Guarded) -> None:
    ends = guarded(np.array([-np.inf, np.inf], dtype))
    for name, expected in (("relu", [0, np.inf]), ("sigmoid", [0, 1]), ("tanh", [-1, 1])):
        a = blank(2)
        FORWARD[name](ends, a, 0, 2)
        np.testing.assert_array_equal(a, expected)


def test_number_zero_is_a_number(dtype: np.dtype[Any], guarded: Guarded, blank: Blank) -> None:
    """A relu that is off passes nothing on; every activation leaves an empty range alone."""
    a, da, dz = guarded(np.zeros(40, dtype)), guarded(np.full(40, 7, dtype)), blank(40)
    BACKWARD["relu"](a, da, dz, 0, 40)
    np.testing.assert_array_equal(dz, 0)
    for name in FORWARD:
        untouched = blank(3)
        FORWARD[name](a, untouched, 2, 0)
        BACKWARD[name](a, da, untouched, 2, 0)
        assert np.isnan(untouched).all()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_together(
    name: str, threads: int, size: int, dtype: np.dtype[Any], guarded: Guarded, blank: Blank, rng: Any
) -> None:
    """Threads do their parts, of which some may be empty, as one does all."""
    z, da = guarded(numbers(rng, size, dtype)), guarded(numbers(rng, size, dtype))
    a, dz, expected_a, expected_dz = blank(size), blank(size), blank(size), blank(size)
    number, forward, backward = NUMBERS[name], activations.activate_together, activations.activate_backward_together
    team.run(lambda t, among, control: forward(t, among, control, number, z, a), threads)
    team.run(lambda t, among, control: backward(t, among, control, number, z, da, dz), threads)
    FORWARD[name](z, expected_a, 0, size)
    BACKWARD[name](z, da, expected_dz, 0, size)
    np.testing.assert_array_equal(a, expected_a)
    np.testing.assert_array_equal(dz, expected_dz)
