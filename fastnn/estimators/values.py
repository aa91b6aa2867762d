"""Values and arrays in the forms that an estimator's file has them in, and back; what comes back is checked."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from math import isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import integer, number
from .parameters import dtype_of

Array = NDArray[Any]

# The Mersenne Twister's words, and numpy's name of it.
TWISTER, WORDS = "MT19937", 624


# --- JSON, with names for the three things that it lacks


def to_json(name: str, value: Any) -> Any:
    """A parameter's value. Raises ValueError, which names the parameter, for what cannot be read back from text."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if isfinite(value) else {"number": repr(float(value))}
    if isinstance(value, list):
        return [to_json(name, each) for each in value]
    if isinstance(value, tuple):
        return {"tuple": [to_json(name, each) for each in value]}
    if isinstance(value, Mapping):
        return {"pairs": [[to_json(name, key), to_json(name, each)] for key, each in value.items()]}
    if isinstance(value, type | np.dtype):
        return dtype_of(value, np.dtype(np.float64)).name
    raise ValueError(
        f"{name} is {value!r}, which cannot be saved; expected text, numbers, or lists, tuples or dicts of these."
    )


def from_json(value: Any) -> Any:
    """What `to_json` was given; a dtype is its name, an array a list."""
    if isinstance(value, list):
        return [from_json(each) for each in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["tuple"]:
        return tuple(map(from_json, value["tuple"]))
    if list(value) == ["pairs"]:
        return {from_json(key): from_json(each) for key, each in value["pairs"]}
    if list(value) == ["number"]:
        return float(value["number"])
    raise ValueError(f"a value has the parts {list(value)}; expected a tuple, pairs or a number")


# --- arrays


def codes_of(texts: Array) -> Array:
    """Texts (n,) as their characters' numbers (n, width) uint32, for files have no text. Raises ValueError."""
    fixed = texts.astype(str)
    if not all(isinstance(text, str) and text == kept for text, kept in zip(texts, fixed, strict=True)):
        raise ValueError(f"The names are {texts}, which cannot be saved; expected text that does not end with a NUL.")
    codes: Array = fixed.view(np.uint32).reshape(len(texts), -1)
    return codes


def texts_of(name: str, codes: Array) -> Array:
    """The texts (n,) of their codes."""
    if codes.dtype != np.uint32 or codes.ndim != 2 or 0 in codes.shape or codes.max() > sys.maxunicode:
        raise ValueError(f"{name} is {codes.dtype} {codes.shape}; expected texts, as their characters' numbers")
    return np.ascontiguousarray(codes).view(f"=U{codes.shape[1]}").ravel()


def curve_of(name: str, values: Array) -> list[float]:
    """A list of figures, which need not be finite."""
    if values.dtype != np.float64 or values.ndim != 1:
        raise ValueError(f"{name} is {values.dtype} {values.shape}; expected a row of float64")
    figures: list[float] = values.tolist()
    return figures


def order_of(name: str, order: Array) -> Array:
    """The numbers of m rows (m,) int64 in some order: kernels go where these say, so each must be there once."""
    if order.ndim != 1 or order.dtype.kind not in "iu" or not np.array_equal(np.sort(order), np.arange(len(order))):
        raise ValueError(f"{name} is {order.dtype} {order.shape}; expected every row's number once")
    return order.astype(np.int64)


# --- the state of a generator, as RandomState.get_state has it


def words_of(state: Any) -> tuple[Array, list[Any]]:
    """Its words (624,), and three numbers: where in them it is, and the normal number it may have ready."""
    if state[0] != TWISTER:
        raise ValueError(f"The random numbers are {state[0]}'s, which cannot be saved; expected {TWISTER}'s.")
    return np.array(state[1], np.uint32), [int(state[2]), int(state[3]), float(state[4])]


def state_of(name: str, words: Array, numbers: Any) -> tuple[str, Array, int, int, float]:
    """The state again. numpy reads its words where `place` says without a look, so that has to be among them."""
    if words.dtype != np.uint32 or words.shape != (WORDS,):
        raise ValueError(f"{name} is {words.dtype} {words.shape}; expected uint32 ({WORDS},)")
    place, ready, normal = numbers
    if not (0 <= integer(name, place, least=0) <= WORDS and ready in (0, 1)):
        raise ValueError(f"{name} is at {place} of its words; expected at most {WORDS}")
    return TWISTER, words, place, int(ready), number(name, normal)
