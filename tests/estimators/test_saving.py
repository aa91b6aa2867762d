"""A saved estimator comes back as it was: parameters, attributes, predictions, and every step still to come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import NotFittedError

from fastnn import MLPClassifier, MLPRegressor, load

Array = NDArray[Any]
Data = tuple[Array, Array]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL: dict[str, Any] = {"hidden_layer_sizes": (7, 5), "batch_size": 50, "max_iter": 3, "random_state": 5}
WAYS: dict[str, dict[str, Any]] = {
    "adam": {},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3, "momentum": 0.0},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
    "rmsprop": {"solver": "rmsprop", "n_iter_no_change": np.inf, "random_state": None},
    "adamw": {"solver": "adamw", "shuffle": False, "hidden_layer_sizes": [9], "dtype": np.float32},
    "dropout": {"dropout": (0.2, 0.5), "activation": ("gelu", "elu"), "dtype": "float32"},
    "held out": {"early_stopping": True, "validation_fraction": 0.3, "scoring": "neg_log_loss"},
    "weighted": {"class_weight": {0: 2.0, np.int64(3): 0.5}, "alpha": np.float64(0.1), "verbose": False},
    "lbfgs": {"solver": "lbfgs"},
    "no hidden layer": {"hidden_layer_sizes": ()},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def kept(estimator: Any, path: Path) -> Any:
    estimator.save(path)
    return load(path)


def public(estimator: Any) -> dict[str, Any]:
    """Every attribute that scikit-learn's users know, its name ending in _, as something that can be compared."""
    values = {name: value for name, value in vars(estimator).items() if name.endswith("_") and name[0] != "_"}
    values = {name: value if isinstance(value, list) else [value] for name, value in values.items()}
    return {
        name: [(np.asarray(each).dtype, np.asarray(each).tolist()) for each in value] for name, value in values.items()
    }


@pytest.mark.parametrize("way", WAYS)
def test_goes_on_as_the_one_that_was_saved(way: str, digits: Data, path: Path) -> None:
    net = MLPClassifier(**(SMALL | WAYS[way]), warm_start=True).fit(*digits)
    again = kept(net, path)
    assert type(again) is MLPClassifier
    for epochs in (None, 2):
        if epochs is not None:
            for each in (net, again):
                each.set_params(max_iter=epochs).fit(*digits)
        assert public(again) == public(net)
        assert again.predict_proba(digits[0]).tobytes() == net.predict_proba(digits[0]).tobytes()
    if WAYS[way].get("solver") != "lbfgs" and not net.early_stopping:
        for each in (net, again):
            each.partial_fit(*digits)
        assert public(again) == public(net)
    assert again.score(*digits) == net.score(*digits)


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "huber"])
def test_regressors(loss: str, diabetes: Data, path: Path) -> None:
    X, y = diabetes
    net = MLPRegressor(loss, **SMALL, huber_delta=0.5).fit(X, y[:, 0] if loss == "huber" else y)
    again = kept(net, path)
    assert type(again) is MLPRegressor
    assert again.predict(X).tobytes() == net.predict(X).tobytes()
    assert (public(again), again.get_params()) == (public(net), net.get_params())


LABELS = {
    "text": lambda y: np.array(["null", "eins", "zwei"])[y % 3],
    "objects": lambda y: np.array(["Ä\n", "β" * 40, "🙂"], object)[y % 3],
    "two": lambda y: np.where(y % 2, "ja", "nein"),
    "floats": lambda y: (y % 4).astype(np.float32),
    "booleans": lambda y: y % 2 == 0,
    "small": lambda y: (y % 3).astype(np.int8) - 1,
    "one class": lambda y: np.full(len(y), "all"),
    "several": lambda y: np.stack([y % 2, y % 3 == 0, y > 4], axis=1).astype(int),
    "sparse": lambda y: sparse.csr_array(np.stack([y % 2, y % 3 == 0], axis=1).astype(int)),
    "a category": lambda y: pd.Series(y % 3, dtype="category"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels(kind: str, digits: Data, path: Path) -> None:
    X, y = digits[0], LABELS[kind](digits[1])
    net = MLPClassifier(**SMALL).fit(X, y)
    again = kept(net, path)
    found, expected = again.predict(X), net.predict(X)
    assert type(found) is type(expected)
    assert found.dtype == expected.dtype
    assert (found != expected).sum() == 0
    assert again.predict_proba(X).tobytes() == net.predict_proba(X).tobytes()
    for each in (net, again):
        each.partial_fit(X, y)
    assert public(again) == public(net)


def test_names_of_features(digits: Data, path: Path) -> None:
    X = pd.DataFrame(digits[0]).add_prefix("pixel №")
    again = kept(MLPClassifier(**SMALL).fit(X, digits[1]), path)
    again.predict(X)
    assert again.feature_names_in_.dtype == object
    with pytest.raises(ValueError, match="feature names"):
        again.predict(X.rename(columns={"pixel №0": "dot"}))


@pytest.mark.parametrize("way", WAYS)
def test_parameters_come_back(way: str, digits: Data, path: Path) -> None:
    net = MLPClassifier(**(SMALL | WAYS[way])).fit(*digits)
    found, expected = kept(net, path).get_params(), net.get_params()
    if way == "adamw":
        expected["dtype"] = "float32"  # a type has its name in a file
    assert found == expected
    assert {name: type(found[name]) for name in ("hidden_layer_sizes", "activation", "dropout")} == {
        name: type(expected[name]) for name in ("hidden_layer_sizes", "activation", "dropout")
    }


def test_rows_handed_in_for_early_stopping(digits: Data, path: Path) -> None:
    (X, y), how = digits, {"X_val": digits[0][:100], "y_val": digits[1][:100]}
    net = MLPClassifier(**SMALL, warm_start=True).fit(X, y, **how)
    again = kept(net, path)
    for each in (net, again):
        each.fit(X, y, **how)
    assert len(net.validation_scores_) == 6
    assert public(again) == public(net)


def test_weights_that_were_set(digits: Data, path: Path) -> None:
    """Views, and another dtype than what the optimizer remembers."""
    net = MLPClassifier(**SMALL, warm_start=True).fit(*digits)
    net.coefs_ = [np.asfortranarray(W.astype(np.float32)) for W in net.coefs_]
    net.intercepts_ = [b.astype(np.float32)[:] for b in net.intercepts_]
    again = kept(net, path)
    for each in (net, again):
        each.fit(*digits)
    assert public(again) == public(net)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_backends(backend: str, digits: Data, path: Path) -> None:
    net = MLPClassifier(**SMALL).fit(*digits)
    net.save(path)
    assert load(path, backend=backend)._backend == backend
    with pytest.raises(ValueError, match="backend is 'jax'; expected one of"):
        load(path, backend="jax")


# --- what is not saved


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"random_state": np.random.RandomState(0)}, r"random_state is RandomState.*, which cannot be saved; expected"),
        ({"early_stopping": True, "scoring": lambda *_: 0.5}, "scoring is <function .*, which cannot be saved; expec"),
        ({"hidden_layer_sizes": range(5, 6)}, r"hidden_layer_sizes is range\(5, 6\), which cannot be saved; expected"),
    ],
)
def test_parameters_that_are_no_values(parameters: dict[str, Any], sentence: str, digits: Data, path: Path) -> None:
    net = MLPClassifier(**(SMALL | parameters)).fit(*digits)
    with pytest.raises(ValueError, match=sentence):
        net.save(path)
    assert not path.exists()


def test_estimators_that_are_not_ready(digits: Data, path: Path) -> None:
    with pytest.raises(NotFittedError):
        MLPClassifier().save(path)

    class Mine(MLPClassifier):
        pass

    with pytest.raises(TypeError, match="is a Mine; expected an MLPClassifier or MLPRegressor, and no subclass"):
        Mine(**SMALL).fit(*digits).save(path)
    with pytest.raises(ValueError, match=r"'alpha' .* Got -1"):
        MLPClassifier(**SMALL).fit(*digits).set_params(alpha=-1).save(path)
    net = MLPClassifier(**SMALL).fit(*digits)
    net.coefs_[0] = net.coefs_[0][:, :3]
    with pytest.raises(ValueError, match="coefs_ and intercepts_ have shapes"):
        net.save(path)
    assert not path.exists()
