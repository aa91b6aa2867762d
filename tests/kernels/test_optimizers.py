"""Steps of every optimizer against `reference.update` in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import reference
from fastnn.kernels import optimizers
from fastnn.kernels.compiling.compile import entry
from fastnn.kernels.optimizers import Memory, Rule
from fastnn.optimizers import OPTIMIZERS, Optimizer

Array = NDArray[Any]
DType = np.dtype[Any]
Guarded = Callable[[Any], Array]
Close = Callable[..., None]

STEPS = 6
P0, G0 = 3, 2  # where the kernel begins in the parameters and what is remembered, and in the gradient
DECAY = 0.1


@entry
def update(
    rule: Rule, step: int, decay: float, p: Array, p0: int, g: Array, g0: int, m: Array, v: Array, count: int
) -> None:
    optimizers.update(optimizers.at_step(rule, step, decay), p, p0, g, g0, Memory(m, v, step - 1), count)


@pytest.fixture(params=[*OPTIMIZERS, "adam, scaled epsilon"])
def optimizer(request: pytest.FixtureRequest) -> Optimizer:
    name, scaled = request.param.partition(",")[0], "," in request.param
    epsilon = 0.1 if scaled else 1e-6
    return Optimizer(name, 0.02, momentum=0.8, rho=0.7, beta_1=0.6, beta_2=0.9, epsilon=epsilon, scaled_epsilon=scaled)


def rule_of(o: Optimizer) -> Rule:
    numbers = o.learning_rate, o.momentum, o.rho, o.beta_1, o.beta_2, o.epsilon, o.scaled_epsilon
    return Rule(OPTIMIZERS.index(o.name), *numbers)


def surrounded(values: Array, offset: int) -> Array:
    """The values from `offset` on, with NaN before and after."""
    return np.pad(values, offset, constant_values=np.nan)


def run(o: Optimizer, decay: float, params: Array, gradients: list[Array], guarded: Guarded) -> tuple[Array, Array]:
    """Parameters and memory after a step for each gradient; what lies beside them must not have changed."""
    size, unused = params.size, np.zeros(0, params.dtype)
    p = guarded(surrounded(params, P0))
    memory = [guarded(surrounded(np.zeros_like(params), P0)) for _ in range(o.slots)]
    first, second = (*memory, unused, unused)[:2]
    for step, gradient in enumerate(gradients, 1):
        g = guarded(surrounded(gradient, G0))
        update(rule_of(o), step, decay, p, P0, g, G0, first, second, size)
        np.testing.assert_array_equal(g, surrounded(gradient, G0))
    for array in (p, *memory):
        assert np.isnan(array[:P0]).all()
        assert np.isnan(array[P0 + size :]).all()
    return p[P0 : P0 + size], np.array([slot[P0 : P0 + size] for slot in memory])


@pytest.mark.parametrize("decay", [0.0, DECAY])
def test_steps(
    optimizer: Optimizer, decay: float, size: int, dtype: DType, guarded: Guarded, rng: Any, assert_close: Close
) -> None:
    params = rng.normal(size=size).astype(dtype)
    gradients = [(rng.normal(size=size) * 10 ** rng.uniform(-3, 1, size)).astype(dtype) for _ in range(STEPS)]
    p, memory = run(optimizer, decay, params, gradients, guarded)

    expected = params.astype(np.float64)
    state = [np.zeros(size) for _ in range(optimizer.slots)]
    for step, gradient in enumerate(gradients, 1):
        reference.update(expected, gradient.astype(np.float64), state, step, optimizer, decay)
    largest = np.max(np.abs(gradients), axis=0) + decay * np.abs(params)
    assert_close(p, expected, 2 * STEPS, np.abs(params) + optimizer.learning_rate * (largest + 1))
    for slot, wanted in zip(memory, state, strict=True):
        assert_close(slot, wanted, 2 * STEPS, largest + largest**2)


def test_no_gradient_moves_nothing(optimizer: Optimizer, size: int, dtype: DType, guarded: Guarded, rng: Any) -> None:
    params = rng.normal(size=size).astype(dtype)
    p, memory = run(optimizer, 0.0, params, [np.zeros(size, dtype)] * 2, guarded)
    np.testing.assert_array_equal(p, params)
    assert not memory.any()


def test_late_steps(optimizer: Optimizer, dtype: DType, guarded: Guarded, assert_close: Close) -> None:
    """The corrections of the first steps vanish; a step's number may be in the millions."""
    p, g = guarded(np.ones(5, dtype)), guarded(np.full(5, 0.5, dtype))
    memory = [guarded(np.full(5, 0.25, dtype)) for _ in range(optimizer.slots)]
    first, second = (*memory, np.zeros(0, dtype), np.zeros(0, dtype))[:2]
    expected, state = np.ones(5), [np.full(5, 0.25) for _ in range(optimizer.slots)]
    for step in (10_000_000, 3_000_000_000):
        update(rule_of(optimizer), step, DECAY, p, 0, g, 0, first, second, 5)
        reference.update(expected, np.full(5, 0.5), state, step, optimizer, DECAY)
    assert_close(p, expected, 8)


def test_not_a_number_stays_in_its_place(
    optimizer: Optimizer, size: int, dtype: DType, guarded: Guarded, rng: Any
) -> None:
    params, gradient = rng.normal(size=size).astype(dtype), rng.normal(size=size).astype(dtype)
    clean, _ = run(optimizer, DECAY, params, [gradient] * 2, guarded)
    gradient[size // 2] = np.nan
    p, _ = run(optimizer, DECAY, params, [gradient] * 2, guarded)
    others = np.arange(size) != size // 2
    assert np.isnan(p[size // 2])
    np.testing.assert_array_equal(p[others], clean[others])


def test_nothing_to_do(optimizer: Optimizer, dtype: DType, guarded: Guarded) -> None:
    arrays = [guarded(np.full(4, 7, dtype)) for _ in range(4)]
    update(rule_of(optimizer), 1, DECAY, arrays[0], 0, arrays[1], 0, arrays[2], arrays[3], 0)
    np.testing.assert_array_equal(arrays, 7)
