"""Checks of single arguments: each raises one sentence with the argument, its value and what would be right."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from numbers import Real


def one_of(argument: str, value: object, known: Sequence[str]) -> None:
    """Raise ValueError unless value is one of the known names."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{argument} is {value!r}; expected one of {', '.join(known)}.")


def number(
    argument: str,
    value: object,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """value as a finite float with least <= value, above < value < below. Raises TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{argument} is {value!r}; expected a number.")
    try:
        checked = float(value)
    except OverflowError:
        checked = math.inf
    if not (math.isfinite(checked) and least <= checked and above < checked < below):
        limits = [f"at least {least:g}" if least > -math.inf else "", f"above {above:g}" if above > -math.inf else ""]
        limits += [f"below {below:g}" if below < math.inf else ""]
        raise ValueError(
            f"{argument} is {value!r}; expected a finite number {' and '.join(filter(None, limits))}".rstrip() + "."
        )
    return checked


def integer(argument: str, value: object, *, least: int) -> int:
    """value as an int of at least `least`. Raises TypeError or ValueError."""
    try:
        checked = operator.index(value)  # type: ignore[arg-type]  # whatever has __index__ will do
    except TypeError:
        raise TypeError(f"{argument} is {value!r}; expected an integer.") from None
    if isinstance(value, bool) or checked < least:
        raise ValueError(f"{argument} is {value!r}; expected an integer of at least {least}.")
    return checked
