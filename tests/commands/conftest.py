"""What the tests of several commands need."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def clusters(tmp_path: Path, save_clusters: Callable[..., str]) -> str:
    """An .npz of three classes of points (300 to train, 90 to test) that are easy to tell apart."""
    return save_clusters(tmp_path / "clusters.npz", 300, 90)


def _save_clusters(path: Path, m: int, m_test: int, classes: int = 3, K: int = 4) -> str:
    rng = np.random.default_rng(0)
    centres = 4 * rng.normal(size=(classes, K))
    y = np.arange(m + m_test) % classes
    X = (centres[y] + rng.normal(size=(m + m_test, K))).astype(np.float32)
    np.savez(path, X_train=X[:m], y_train=y[:m], X_test=X[m:], y_test=y[m:])
    return str(path)


@pytest.fixture
def save_clusters() -> Callable[..., str]:
    """save_clusters(path, m, m_test, classes=3, K=4) writes an .npz and returns its name."""
    return _save_clusters
