"""One step of an optimizer on `count` parameters. Reference: `update` in fastnn/reference.py, formula by formula.

p is the flat array of parameters, g its gradient, m and v what the optimizer remembers; each from an offset of its own.
"""

from __future__ import annotations

from typing import NamedTuple

from .arithmetic import multiply_add, square_root
from .compile import Array, kernel
from .simd import lanes, load_first, store_first

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


@kernel
def update(
    rule: Rule, step: int, decay: float, p: Array, p0: int, g: Array, g0: int, m: Array, v: Array, m0: int, count: int
) -> None:
    """Move p[p0 : p0 + count] along g[g0 : g0 + count]; m and v, from m0 on, are used where the rule has them."""
    if rule.number == SGD:
        _sgd(rule, decay, p, p0, g, g0, count)
    elif rule.number <= NESTEROV:
        _momentum(rule, decay, p, p0, g, g0, m, m0, count)
    elif rule.number == RMSPROP:
        _rmsprop(rule, decay, p, p0, g, g0, m, m0, count)
    else:
        _adam(rule, step, decay, p, p0, g, g0, m, v, m0, count)


@kernel
def _sgd(rule: Rule, decay: float, p: Array, p0: int, g: Array, g0: int, count: int) -> None:
    width = lanes(p)
    for i in range(0, count, width):
        n = min(width, count - i)
        w = load_first(p, p0 + i, n, 0.0, 1)
        dw = multiply_add(decay, w, load_first(g, g0 + i, n, 0.0, 1))
        store_first(p, p0 + i, n, multiply_add(-rule.learning_rate, dw, w))


@kernel
def _momentum(rule: Rule, decay: float, p: Array, p0: int, g: Array, g0: int, m: Array, m0: int, count: int) -> None:
    width = lanes(p)
    for i in range(0, count, width):
        n = min(width, count - i)
        w = load_first(p, p0 + i, n, 0.0, 1)
        dw = multiply_add(decay, w, load_first(g, g0 + i, n, 0.0, 1))
        back = -rule.learning_rate * dw
        velocity = multiply_add(rule.momentum, load_first(m, m0 + i, n, 0.0, 1), back)
        store_first(m, m0 + i, n, velocity)
        if rule.number == NESTEROV:
            store_first(p, p0 + i, n, w + multiply_add(rule.momentum, velocity, back))
        else:
            store_first(p, p0 + i, n, w + velocity)


@kernel
def _rmsprop(rule: Rule, decay: float, p: Array, p0: int, g: Array, g0: int, m: Array, m0: int, count: int) -> None:
    width = lanes(p)
    for i in range(0, count, width):
        n = min(width, count - i)
        w = load_first(p, p0 + i, n, 0.0, 1)
        dw = multiply_add(decay, w, load_first(g, g0 + i, n, 0.0, 1))
        square = multiply_add(rule.rho, load_first(m, m0 + i, n, 0.0, 1), (1.0 - rule.rho) * dw * dw)
        store_first(m, m0 + i, n, square)
        store_first(p, p0 + i, n, w - rule.learning_rate * dw / (square_root(square) + rule.epsilon))


@kernel
def _adam(
    rule: Rule, step: int, decay: float, p: Array, p0: int, g: Array, g0: int, m: Array, v: Array, m0: int, count: int
) -> None:
    width = lanes(p)
    rate = rule.learning_rate / (1.0 - rule.beta_1**step)
    unbias = 1.0 / (1.0 - rule.beta_2**step) ** 0.5
    shrink = -rule.learning_rate * decay if rule.number == ADAMW else 0.0
    penalty = 0.0 if rule.number == ADAMW else decay
    for i in range(0, count, width):
        n = min(width, count - i)
        w = load_first(p, p0 + i, n, 0.0, 1)
        dw = multiply_add(penalty, w, load_first(g, g0 + i, n, 0.0, 1))
        mean = multiply_add(rule.beta_1, load_first(m, m0 + i, n, 0.0, 1), (1.0 - rule.beta_1) * dw)
        square = multiply_add(rule.beta_2, load_first(v, m0 + i, n, 0.0, 1), (1.0 - rule.beta_2) * dw * dw)
        store_first(m, m0 + i, n, mean)
        store_first(v, m0 + i, n, square)
        moved = multiply_add(shrink, w, w) - rate * mean / multiply_add(unbias, square_root(square), rule.epsilon)
        store_first(p, p0 + i, n, moved)
