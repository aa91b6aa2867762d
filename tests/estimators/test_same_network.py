"""The same parameters, data and seed give scikit-learn's network, to the rounding of float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import neural_network

import fastnn

Array = NDArray[Any]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

COMMON: dict[str, Any] = {"random_state": 3, "max_iter": 12, "hidden_layer_sizes": (20, 9), "batch_size": 64}
WAYS: dict[str, dict[str, Any]] = {
    "adam": {},
    "adam's numbers": {"beta_1": 0.7, "beta_2": 0.9, "epsilon": 0.01, "alpha": 1.0},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05, "activation": "tanh"},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "activation": "logistic", "alpha": 0.5},
    "no momentum": {"solver": "sgd", "momentum": 0.0, "activation": "identity", "learning_rate_init": 0.01},
    "momentum of 1": {"solver": "sgd", "momentum": 1.0, "learning_rate_init": 1e-4},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.2, "learning_rate_init": 0.1},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 2, "max_iter": 30},
    "no shuffle": {"shuffle": False},
    "one batch": {"batch_size": 1000},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 3, "tol": 0.01, "max_iter": 40},
    "lbfgs": {"solver": "lbfgs", "activation": "tanh", "alpha": 0.01},
    "linear": {"hidden_layer_sizes": ()},
    "linear, of a function there is no use for": {"hidden_layer_sizes": (), "activation": "logistic"},
}
ATTRIBUTES = [
    "n_iter_",
    "t_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
    "n_features_in_",
    "loss_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
]


def assert_same(ours: Any, theirs: Any) -> None:
    for P, expected in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(P, expected, rtol=1e-7, atol=1e-9)
    for name in ATTRIBUTES:
        value = getattr(ours, name)
        expected = getattr(theirs, name, value)  # lbfgs leaves some out
        if isinstance(expected, str | None):
            assert value == expected
        else:
            np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(ours.loss_curve_, getattr(theirs, "loss_curve_", ours.loss_curve_), rtol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["binary", "classes", "labels"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore:.*batch_size:UserWarning")
def test_classifier(way: str, kind: str, weighted: bool, digits: tuple[Array, Array]) -> None:
    X, y = digits
    y = {"binary": np.where(y < 5, "few", "many"), "classes": y, "labels": (y[:, None] >> np.arange(4)) & 1}[kind]
    weights = np.random.default_rng(0).random(len(y)) if weighted else None
    ours, theirs = (
        home.MLPClassifier(**{**COMMON, **WAYS[way]}).fit(X, y, sample_weight=weights)
        for home in (fastnn, neural_network)
    )
    assert_same(ours, theirs)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore:.*batch_size:UserWarning")
def test_regressor(way: str, loss: str, weighted: bool, diabetes: tuple[Array, Array]) -> None:
    X, y = diabetes
    if way == "lbfgs" or loss == "poisson":
        y = y[:, 0]  # scikit-learn's lbfgs follows another function's gradient where there are several outputs
    weights = np.random.default_rng(0).random(len(y)) if weighted else None
    ours, theirs = (
        home.MLPRegressor(loss, **{**COMMON, **WAYS[way]}).fit(X, y, sample_weight=weights)
        for home in (fastnn, neural_network)
    )
    assert_same(ours, theirs)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6, atol=1e-9)
