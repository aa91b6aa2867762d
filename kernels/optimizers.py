"""One step of an optimizer on `count` parameters. Reference: `update` in fastnn/reference.py, formula by formula.

p is the flat array of parameters, g its gradient, m and v what the optimizer remembers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from .compiling.compile import Array, kernel, noinline
from .simd.arithmetic import by_dtype, estimated_root, exact_square_root, multiply_add, where
from .simd.partial import load_first, store_first
from .simd.vectors import REGISTER_BYTES, lanes, load, store

SGD, MOMENTUM, NESTEROV, RMSPROP, ADAM, ADAMW = 0, 1, 2, 3, 4, 5


class Rule(NamedTuple):
    """An optimizer's numbers, which kernels take as they are: see fastnn/optimizers.py."""

    number: int
    learning_rate: float
    momentum: float
    rho: float
    beta_1: float
    beta_2: float
    epsilon: float
    scaled_epsilon: bool


class Move(NamedTuple):
    """A rule at one step; rate and unbias are those of Adam, which take two powers and a root. decay: of weights."""

    rule: Rule
    rate: float
    unbias: float
    decay: float


class Memory(NamedTuple):
    """What the optimizer remembers, laid out as the parameters, and the number of steps taken before."""

    first: Array
    second: Array
    steps: int


# The least normal numbers: below, nothing is left of a square but its order of magnitude.
LEAST_SINGLE, LEAST_DOUBLE = 2.0**-126, 2.0**-1022
AVX512 = REGISTER_BYTES == 64


@kernel
def _better(x: Any, y: Any) -> Any:
    """One step of Newton's for y = 1 / sqrt(x), which doubles its digits."""
    return multiply_add(0.5 * y, 1.0 - x * y * y, y)


@kernel
def root(x: Any) -> Any:
    """The square root, to its last digit or two. The CPU's own takes as long as the division beside it: without, Adam
    takes 3.7 ns a register, with it 6.5."""
    if not AVX512:
        return exact_square_root(x)
    y = _better(x, estimated_root(x))
    s = x * by_dtype(x, y, _better(x, y))
    return where(x < by_dtype(x, LEAST_SINGLE, LEAST_DOUBLE), 0.0, where(x < math.inf, s, x))


@kernel
def at_step(rule: Rule, step: int, decay: float) -> Move:
    """The rule at step number `step`, from 1."""
    if rule.number < ADAM:
        return Move(rule, 0.0, 1.0, decay)
    rate = rule.learning_rate / (1.0 - rule.beta_1**step)
    unbias = 1.0 / (1.0 - rule.beta_2**step) ** 0.5
    return Move(rule, rate / unbias, 1.0, decay) if rule.scaled_epsilon else Move(rule, rate, unbias, decay)


@kernel
def undecayed(move: Move) -> Move:
    """The same for biases, which do not decay."""
    return Move(move.rule, move.rate, move.unbias, 0.0)


# --- one rule each: from the parameters w, their gradient dw and what is remembered to w, m and v after the step


@kernel
def _sgd(move: Move, w: Any, dw: Any, m: Any, v: Any) -> Any:
    rule = move.rule
    dw = multiply_add(move.decay, w, dw)
    return multiply_add(-rule.learning_rate, dw, w), m, v


@kernel
def _momentum(move: Move, w: Any, dw: Any, m: Any, v: Any) -> Any:
    rule = move.rule
    velocity = multiply_add(rule.momentum, m, -rule.learning_rate * multiply_add(move.decay, w, dw))
    return w + velocity, velocity, v


@kernel
def _nesterov(move: Move, w: Any, dw: Any, m: Any, v: Any) -> Any:
    rule = move.rule
    back = -rule.learning_rate * multiply_add(move.decay, w, dw)
    velocity = multiply_add(rule.momentum, m, back)
    return w + multiply_add(rule.momentum, velocity, back), velocity, v


@kernel
def _rmsprop(move: Move, w: Any, dw: Any, m: Any, v: Any) -> Any:
    rule = move.rule
    dw = multiply_add(move.decay, w, dw)
    square = multiply_add(rule.rho, m, (1.0 - rule.rho) * dw * dw)
    return w - rule.learning_rate * dw / (root(square) + rule.epsilon), square, v


@kernel
def _adam(move: Move, w: Any, dw: Any, m: Any, v: Any) -> Any:
    rule = move.rule
    if rule.number == ADAM:
        dw = multiply_add(move.decay, w, dw)
    else:
        w = multiply_add(-rule.learning_rate * move.decay, w, w)
    mean = multiply_add(rule.beta_1, m, (1.0 - rule.beta_1) * dw)
    square = multiply_add(rule.beta_2, v, (1.0 - rule.beta_2) * dw * dw)
    return w - move.rate * mean / multiply_add(move.unbias, root(square), rule.epsilon), mean, square


def _make_update(step: Callable[..., Any], slots: int) -> Callable[..., None]:
    @kernel
    def apply(move: Move, p: Array, p0: int, g: Array, g0: int, memory: Memory, count: int) -> None:
        """The step on `count` parameters, a register at a time."""
        m, v, width = memory.first, memory.second, lanes(p)
        rest = count // width * width
        for i in range(0, rest, width):
            w, dw = load(p, p0 + i, 1), load(g, g0 + i, 1)
            first = load(m, p0 + i, 1) if slots > 0 else dw
            second = load(v, p0 + i, 1) if slots > 1 else dw
            w, first, second = step(move, w, dw, first, second)
            store(p, p0 + i, w)
            if slots > 0:
                store(m, p0 + i, first)
            if slots > 1:
                store(v, p0 + i, second)
        if rest == count:  # with masks the rest takes longer than a register
            return
        i, n = rest, count - rest
        w, dw = load_first(p, p0 + i, n, 0.0, 1), load_first(g, g0 + i, n, 0.0, 1)
        first = load_first(m, p0 + i, n, 0.0, 1) if slots > 0 else dw
        second = load_first(v, p0 + i, n, 0.0, 1) if slots > 1 else dw
        w, first, second = step(move, w, dw, first, second)
        store_first(p, p0 + i, n, w)
        if slots > 0:
            store_first(m, p0 + i, n, first)
        if slots > 1:
            store_first(v, p0 + i, n, second)

    return apply


_sgd_all, _momentum_all, _nesterov_all = _make_update(_sgd, 0), _make_update(_momentum, 1), _make_update(_nesterov, 1)
_rmsprop_all, _adam_all = _make_update(_rmsprop, 1), _make_update(_adam, 2)


@noinline
def update(move: Move, p: Array, p0: int, g: Array, g0: int, memory: Memory, count: int) -> None:
    """Move p[p0 : p0 + count] along g[g0 : g0 + count]; what is remembered of them lies from p0 on, too."""
    number = move.rule.number
    if number == SGD:
        _sgd_all(move, p, p0, g, g0, memory, count)
    elif number == MOMENTUM:
        _momentum_all(move, p, p0, g, g0, memory, count)
    elif number == NESTEROV:
        _nesterov_all(move, p, p0, g, g0, memory, count)
    elif number == RMSPROP:
        _rmsprop_all(move, p, p0, g, g0, memory, count)
    else:
        _adam_all(move, p, p0, g, g0, memory, count)
