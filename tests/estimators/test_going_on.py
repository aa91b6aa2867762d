"""k epochs and then n - k are, bit for bit, n epochs; and any number of threads gives the same bits."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLPClassifier, MLPRegressor

Array = NDArray[Any]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

COMMON: dict[str, Any] = {"random_state": 5, "hidden_layer_sizes": (17, 8), "batch_size": 50}
WAYS: dict[str, dict[str, Any]] = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 2},
    "nesterov": {"solver": "nesterov", "dtype": "float32"},
    "rmsprop": {"solver": "rmsprop", "learning_rate": "invscaling"},
    "adamw": {"solver": "adamw", "alpha": 0.01, "shuffle": False},
    "dropout": {"dropout": (0.2, 0.5), "activation": ("gelu", "elu"), "dtype": "float32"},
}
EPOCHS, FIRST = 7, 3


def bits(estimator: Any) -> list[bytes]:
    return [P.tobytes() for P in estimator.coefs_ + estimator.intercepts_]


@pytest.mark.parametrize("way", WAYS)
def test_warm_start(way: str, digits: tuple[Array, Array]) -> None:
    whole = MLPClassifier(**COMMON, **WAYS[way], max_iter=EPOCHS).fit(*digits)
    parts = MLPClassifier(**COMMON, **WAYS[way], max_iter=FIRST, warm_start=True).fit(*digits)
    parts = pickle.loads(pickle.dumps(parts))
    parts.set_params(max_iter=EPOCHS - FIRST).fit(*digits)
    assert bits(parts) == bits(whole)
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.t_ == whole.t_
    assert parts._optimizer.learning_rate == whole._optimizer.learning_rate


@pytest.mark.parametrize("way", WAYS)
def test_partial_fit(way: str, diabetes: tuple[Array, Array]) -> None:
    whole = MLPRegressor(**COMMON, **WAYS[way], max_iter=EPOCHS).fit(*diabetes)
    parts = MLPRegressor(**COMMON, **WAYS[way])
    for _ in range(EPOCHS):
        parts.partial_fit(*diabetes)
    assert bits(parts) == bits(whole)
    assert parts.loss_curve_ == whole.loss_curve_


def test_partial_fit_after_fit(digits: tuple[Array, Array]) -> None:
    whole = MLPClassifier(**COMMON, max_iter=EPOCHS).fit(*digits)
    parts = MLPClassifier(**COMMON, max_iter=EPOCHS - 1).fit(*digits).partial_fit(*digits)
    assert bits(parts) == bits(whole)


def test_another_solver_or_rate_begins_anew(digits: tuple[Array, Array]) -> None:
    """What an optimizer remembers is of no use to another; a new rate is taken at once."""
    net = MLPClassifier(**COMMON, max_iter=2, warm_start=True).fit(*digits)
    net.set_params(learning_rate_init=0.02).fit(*digits)
    assert net._optimizer.learning_rate == 0.02
    assert net._optimizer.steps == 4 * -(-len(digits[0]) // 50)
    net.set_params(solver="rmsprop").fit(*digits)
    assert net._optimizer.steps == 2 * -(-len(digits[0]) // 50)
    assert len(net._optimizer.slots) == 1


@pytest.mark.parametrize("way", [*WAYS, "lbfgs"])
def test_threads(way: str, digits: tuple[Array, Array]) -> None:
    X, y = digits
    parameters: dict[str, Any] = {**COMMON, **WAYS.get(way, {"solver": "lbfgs"}), "max_iter": 3, "alpha": 0.1}
    weights = np.random.default_rng(0).random(len(y))
    nets = [MLPClassifier(**parameters, n_threads=n).fit(X, y, weights) for n in (1, 2, 3, 5)]
    assert len({tuple(bits(net)) for net in nets}) == 1
    assert len({tuple(net.loss_curve_) for net in nets}) == 1
    assert len({net.predict_proba(X).tobytes() for net in nets}) == 1


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_fit_after_an_adaptive_rate_ended_one_learns_again(kind: Any, digits: tuple[Array, Array]) -> None:
    X, y = digits
    net = kind(hidden_layer_sizes=(10,), solver="sgd", learning_rate="adaptive", learning_rate_init=0.05)
    net.set_params(warm_start=True, tol=1e-2, random_state=0, max_iter=3000).fit(X[:200], y[:200])
    assert net.n_iter_ < net.max_iter
    before = net.score(-X[:200], y[:200])
    net.fit(-X[:200], y[:200])
    assert net.n_iter_ > net.n_iter_no_change
    assert net.score(-X[:200], y[:200]) > before + 0.1
