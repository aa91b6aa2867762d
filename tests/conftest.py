"""What several test files need."""

import signal
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP, reference
from fastnn.optimizers import Optimizer
from fastnn.trainer import Plan

Array = NDArray[Any]

signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's `pytest &`, and what it starts, would ignore it


def _take_steps(net: MLP, X: Array, y: Array, steps: int, batch_size: int | None, **how: Any) -> None:
    """Exactly so many steps of `fit` for one output: whole epochs, then the first batches of another."""
    m = len(X)
    epochs, rest = divmod(steps, -(-m // (batch_size or m)))
    if epochs:
        net.fit(X, y, epochs=epochs, batch_size=batch_size, verbose=False, **how)
    optimizer = Optimizer(how["optimizer"], how["learning_rate"])
    net._state.begin(optimizer)
    if rest:
        assert batch_size is not None
        rows = reference.row_order(0, net._state.epochs, 1, m)[: rest * batch_size]
        backend = import_module({"numba": "fastnn.compiled", "numpy": "fastnn.plain"}[net.backend])
        data = X[rows], y[rows, None].astype(net.dtype)
        plan = Plan(epochs=1, batch_size=batch_size, optimizer=optimizer, seed=0, threads=1)
        trainer = backend.Trainer(net.architecture, net._state, *data, plan)
        trainer.run(np.zeros(1), np.zeros(1, np.int64), np.arange(len(rows)), lambda steps: None)
        trainer.finish()
        net._state.epochs = epochs


@pytest.fixture
def take_steps() -> Callable[..., None]:
    """take_steps(net, X, y, steps, batch_size, optimizer=, learning_rate=)"""
    return _take_steps
