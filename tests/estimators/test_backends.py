"""The kernels against the NumPy reference, in whatever scikit-learn cannot say how it should be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLPClassifier, MLPRegressor

Array = NDArray[Any]
Data = tuple[Array, Array]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

COMMON: dict[str, Any] = {"random_state": 1, "hidden_layer_sizes": (17, 33), "max_iter": 4, "batch_size": 37}
CLASSIFIERS: dict[str, dict[str, Any]] = {
    "dropout": {"dropout": (0.3, 0.6), "activation": ("sigmoid", "tanh")},
    "dropout in one layer": {"dropout": (0.0, 0.5), "activation": ("gelu", "silu"), "alpha": 0.3},
    "dropout, gelu": {"dropout": 0.2, "activation": ("gelu", "leaky_relu")},
    "label smoothing": {"label_smoothing": 0.2, "class_weight": {0: 3.0, 1: 0.5}},
    "adamw": {"solver": "adamw", "alpha": 0.1, "activation": ("elu", "silu")},
    "rmsprop": {"solver": "rmsprop", "alpha": 0.1},
    "lbfgs": {"solver": "lbfgs", "activation": ("gelu", "silu"), "label_smoothing": 0.1, "alpha": 0.1},
}
REGRESSORS: dict[str, dict[str, Any]] = {
    "huber": {"loss": "huber", "huber_delta": 0.3, "alpha": 0.5},
    "absolute_error": {"loss": "absolute_error", "dropout": 0.1},
    "poisson": {"loss": "poisson", "activation": "silu"},
    "lbfgs": {"solver": "lbfgs", "loss": "huber", "alpha": 0.5, "activation": "elu"},
}


class PlainClassifier(MLPClassifier):
    _backend = "numpy"


class PlainRegressor(MLPRegressor):
    _backend = "numpy"


def assert_same(ours: Any, plain: Any) -> None:
    for P, expected in zip(ours.coefs_ + ours.intercepts_, plain.coefs_ + plain.intercepts_, strict=True):
        np.testing.assert_allclose(P, expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours.loss_curve_, plain.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("kind", ["classes", "labels"])
@pytest.mark.parametrize("way", CLASSIFIERS)
def test_classifier(way: str, kind: str, digits: Data) -> None:
    X, y = digits
    how = {**COMMON, **CLASSIFIERS[way]}
    how["activation"] = ["logistic" if name == "sigmoid" else name for name in how.get("activation", ("relu", "relu"))]
    y = y % 3 if kind == "classes" else (y[:, None] >> np.arange(2)) & 1
    if kind == "labels":
        how.pop("class_weight", None)
    assert_same(MLPClassifier(**how).fit(X, y), PlainClassifier(**how).fit(X, y))


@pytest.mark.parametrize("way", REGRESSORS)
def test_regressor(way: str, diabetes: Data) -> None:
    X, y = diabetes
    how, weights = {**COMMON, **REGRESSORS[way]}, np.random.default_rng(0).random(len(y))
    ours, plain = (kind(**how).fit(X, y, sample_weight=weights) for kind in (MLPRegressor, PlainRegressor))
    assert_same(ours, plain)


def test_dropout_leaves_out_its_share() -> None:
    """Counted in the reference's masks, which the kernels have: no two of a seed's, steps' and layers' are alike."""
    from fastnn.reference import dropout_mask

    masks = [dropout_mask(0.25, (200, 50), seed, step, layer) for seed in (1, 2) for step in (1, 2) for layer in (0, 1)]
    for mask in masks:
        assert set(np.unique(mask)) == {0.0, 1 / 0.75}
        assert (mask == 0).mean() == pytest.approx(0.25, abs=0.02)
        assert np.abs((mask == 0).mean(axis=0) - 0.25).max() < 0.15
    for i, mask in enumerate(masks):
        for other in masks[:i]:
            assert np.mean((mask == 0) == (other == 0)) == pytest.approx(0.625, abs=0.03)
            assert not np.array_equal(mask.ravel()[1:], other.ravel()[:-1])
