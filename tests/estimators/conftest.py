"""Data that several tests of the estimators train on, small enough for a few hundred epochs in a second."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn")

from sklearn.datasets import load_diabetes, load_digits

Array = NDArray[Any]


@pytest.fixture(scope="session")
def digits() -> tuple[Array, Array]:
    """X (450, 64) in 0..1, classes 0..9."""
    X, y = load_digits(return_X_y=True)
    return X[:450] / 16, y[:450]


@pytest.fixture(scope="session")
def diabetes() -> tuple[Array, Array]:
    """X (442, 10), y (442, 2): two numbers a row, about 1 in size and not negative."""
    X, y = load_diabetes(return_X_y=True)
    return 10 * X, np.stack([y / 100, (y / 150) ** 2], axis=1)
