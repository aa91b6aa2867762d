"""The exponential and a logarithm over vectors: numba leaves the scalar ones unvectorised. Reference: NumPy's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

from ..compiling.compile import kernel
from .arithmetic import absolute, by_dtype, exponent, fraction, horner, multiply_add, opaque, power_of_two, where

# (exp(r) - 1) / r for |r| <= log(2) / 2. For float32 interpolated at Chebyshev's points: within 4e-9 with one term less
# than Taylor's series needs. For float64 that series, whose first term left out is below 2e-17.
_FITTED = Chebyshev.interpolate(lambda r: np.expm1(r) / r, 5, domain=[-math.log(2) / 2, math.log(2) / 2])
SINGLE = tuple(map(float, _FITTED.convert(kind=Polynomial).coef))
DOUBLE = tuple(1 / math.factorial(k + 1) for k in range(13))
LOG2_E = 1 / math.log(2)
# log(2) in two parts: the first has so few bits that its multiples are exact.
HIGH_SINGLE, HIGH_DOUBLE = 0.693359375, float.fromhex("0x1.62e42fee00000p-1")
LOW_SINGLE, LOW_DOUBLE = math.log(2) - HIGH_SINGLE, 1.90821492927058770e-10
# Added to a number, these leave no room for a fraction: the sum is rounded to the next whole number. Its last bits are
# that number's and the bias of exponents, see `power_of_two`.
ROUNDER_SINGLE, ROUNDER_DOUBLE = 1.5 * 2.0**23 + 127, 1.5 * 2.0**52 + 1023
# Below these exp(x) is no normal number any more and counts as zero.
LEAST_SINGLE, LEAST_DOUBLE = -87.0, -708.0


@kernel
def exp_parts(x: Any) -> Any:
    """(scale, tail) with exp(x) = scale + tail, where scale is a power of two, for LEAST <= x <= 0 or NaN."""
    rounder = by_dtype(x, ROUNDER_SINGLE, ROUNDER_DOUBLE)
    rounded = multiply_add(LOG2_E, x, rounder)
    n = opaque(rounded) - rounder
    r = multiply_add(by_dtype(x, -HIGH_SINGLE, -HIGH_DOUBLE), n, x)
    r = multiply_add(by_dtype(x, -LOW_SINGLE, -LOW_DOUBLE), n, r)
    scale = power_of_two(rounded)
    return scale, scale * r * horner(r, by_dtype(x, SINGLE, DOUBLE))


@kernel
def exp(x: Any) -> Any:
    """exp(x) of a vector, for x <= 0."""
    scale, tail = exp_parts(x)
    return where(x < by_dtype(x, LEAST_SINGLE, LEAST_DOUBLE), 0.0, scale + tail)


# (exp(-2 a) - 1) / a, from the same.
HALVED_SINGLE, HALVED_DOUBLE = (tuple(c * (-2.0) ** (k + 1) for k, c in enumerate(C)) for C in (SINGLE, DOUBLE))


@kernel
def exp_twice_less_1(a: Any) -> Any:
    """exp(-2 a) - 1, with all its digits near zero, for 0 <= a <= 22 or NaN.

    Three operations fewer than by exp_parts: -2 is in the constants, and log(2) is in one part. Rounded, that is off by
    2e-9 n in float32, where the result changes by less than 2.0**-n times as much.
    """
    rounder = by_dtype(a, ROUNDER_SINGLE, ROUNDER_DOUBLE)
    rounded = multiply_add(-2.0 * LOG2_E, a, rounder)
    r = multiply_add(0.5 * math.log(2), opaque(rounded) - rounder, a)
    scale = power_of_two(rounded)
    return scale - 1.0 + scale * r * horner(r, by_dtype(a, HALVED_SINGLE, HALVED_DOUBLE))


@kernel
def exp_any(x: Any) -> Any:
    """exp(x) of a vector, for any x; beyond -LEAST it counts as infinite, a little early."""
    e = exp(0.0 - absolute(x))
    return where(x > 0.0, 1.0 / e, e)


# log(1 + e) = 2 atanh(s) with s = e / (2 + e), between -1/3 and 1/3: its Taylor series in s**2.
LOG_SINGLE = tuple(2 / (2 * k + 1) for k in range(8))
LOG_DOUBLE = tuple(2 / (2 * k + 1) for k in range(17))


@kernel
def log_1_plus(e: Any) -> Any:
    """log(1 + e) of a vector, for -1/2 <= e <= 1."""
    s = e / (2.0 + e)
    return s * horner(s * s, by_dtype(e, LOG_SINGLE, LOG_DOUBLE))


@kernel
def log(x: Any) -> Any:
    """log(x) of a vector of normal numbers, for x >= 1 or NaN."""
    n, m = exponent(x), fraction(x)
    high = m > math.sqrt(2)
    n, m = where(high, n + 1.0, n), where(high, 0.5 * m, m)
    return where(x < math.inf, multiply_add(math.log(2), n, log_1_plus(m - 1.0)), x)
