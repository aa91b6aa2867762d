"""Warnings name the line that called."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastnn import MLPClassifier, MLPRegressor

X, y = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 2
DIVERGING: dict[str, Any] = {"solver": "sgd", "learning_rate_init": 1e300, "early_stopping": True}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: MLPClassifier(max_iter=2).fit(X, y), "Maximum iterations"),
        (lambda: MLPRegressor(max_iter=2).fit(X, y), "Maximum iterations"),
        (lambda: MLPClassifier(batch_size=100).partial_fit(X, y, classes=[0, 1]), "batch_size is 100"),
        (lambda: MLPClassifier(**DIVERGING).fit(X, y), "no longer finite"),
    ],
)
def test_the_line_that_called(call: Callable[[], Any], said: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    (warning,) = caught
    assert said in str(warning.message)
    assert warning.filename == __file__
    assert warning.lineno == call.__code__.co_firstlineno
