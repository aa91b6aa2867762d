"""scikit-learn's types of errors; each names the parameter, its value and what would be right."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import NotFittedError

from fastnn import MLPClassifier, MLPRegressor
from fastnn.compiled import forward

Array = NDArray[Any]
Data = tuple[Array, Array]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"alpha": -1}, r"'alpha' .* range \[0.0, inf\). Got -1"),
    ({"solver": "newton"}, r"'solver' .* Got 'newton'"),
    ({"activation": "swish"}, r"'activation' .* Got 'swish'"),
    ({"activation": ["relu", "swish"]}, r"activation names 'swish'"),
    ({"activation": ["relu", "relu"]}, r"activation names 2 functions; expected one, or one for each of the 1 hidden"),
    ({"hidden_layer_sizes": (5, 0)}, r"hidden_layer_sizes must be > 0, got \[5, 0\]"),
    ({"hidden_layer_sizes": (5, 2.5)}, r"hidden_layer_sizes holds 2.5"),
    ({"dropout": 1.0}, r"'dropout' .* range \[0.0, 1.0\).* Got 1.0"),
    ({"dropout": [0.5, 0.5]}, r"dropout holds 2 rates"),
    ({"dropout": [-0.5]}, r"dropout is -0.5"),
    ({"dropout": 0.5, "solver": "lbfgs"}, r"dropout is 0.5 with solver 'lbfgs'"),
    ({"label_smoothing": 1.0}, r"'label_smoothing' .* Got 1.0"),
    ({"class_weight": "even"}, r"'class_weight' .* Got 'even'"),
    ({"dtype": "float16"}, r"'dtype' .* Got 'float16'"),
    ({"dtype": np.int64}, r"dtype is .*int64.*; expected float32 or float64"),
    ({"n_threads": 0}, r"'n_threads' .* Got 0"),
    ({"scoring": "best"}, r"'scoring' .* Got 'best'"),
    ({"batch_size": 0}, r"'batch_size' .* Got 0"),
    ({"momentum": 1.1}, r"'momentum' .* range \[0.0, 1.0\]. Got 1.1"),
]


@pytest.mark.parametrize(("parameters", "message"), WRONG, ids=str)
def test_parameters(parameters: dict[str, Any], message: str, digits: Data) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        MLPClassifier(**{"hidden_layer_sizes": (5,), **parameters}).fit(*digits)


@pytest.mark.parametrize(("parameters", "message"), [
    ({"loss": "absolute"}, r"'loss' .* Got 'absolute'"),
    ({"huber_delta": 0}, r"'huber_delta' .* Got 0"),
])  # fmt: skip
def test_parameters_of_the_regressor(parameters: dict[str, Any], message: str, diabetes: Data) -> None:
    with pytest.raises(ValueError, match=message):
        MLPRegressor(**parameters).fit(*diabetes)


def test_rows_and_targets(digits: Data) -> None:
    X, y = digits
    net = MLPRegressor("poisson", max_iter=1)
    with pytest.raises(ValueError, match=r"y holds -1.* with loss 'poisson'"):
        net.fit(X, y - 1.0)
    with pytest.raises(ValueError, match=r"X holds .*e\+\d+ in row 0, column \d; expected finite numbers that fit"):
        MLPRegressor(dtype="float32").fit(X * 1e300, y)
    with pytest.raises(ValueError, match="infinite as float32"):
        MLPRegressor(dtype="float32").fit(X, y * 1e300)
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        net.fit(X, y, sample_weight=-np.ones(len(y)))
    for poison in (np.nan, np.inf):
        spoilt = X.copy()
        spoilt[3, 3] = poison
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            MLPClassifier(max_iter=1).fit(spoilt, y)
        net = MLPClassifier(max_iter=1, dtype="float64").fit(X, y)
        wide = np.repeat(spoilt, 2, axis=1)
        # few rows, rows that kernels look at on their way, those that lie apart, and those of another dtype
        for rows in (spoilt[:5], spoilt, wide[:, : X.shape[1]], wide[:, ::2], spoilt.astype("f4")):
            with pytest.raises(ValueError, match=r"NaN|infinity"):
                net.predict(rows)


def test_a_number_that_any_thread_meets_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which thread meets it is a matter of chance, and a helper goes on after the caller has returned."""
    monkeypatch.setattr(forward, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(forward, "WORTH_WAKING", 1)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 24)).astype("f4")
    net = MLPClassifier((64,), max_iter=1, n_threads=2).fit(X, X[:, 0] > 0)
    for row in rng.integers(0, len(X), 100):
        X[row, 3], before = np.nan, X[row, 3]
        with pytest.raises(ValueError, match="NaN"):
            net.predict_proba(X)
        X[row, 3] = before
    net.predict_proba(X)


def test_a_batch_without_weight_teaches_nothing(digits: Data) -> None:
    """No division by zero: steps of sgd on such rows change nothing, wherever the one row is that counts."""
    X, y = digits
    weights = np.zeros(len(y))
    weights[7] = 2.0
    sgd: dict[str, Any] = {"solver": "sgd", "momentum": 0.0, "random_state": 0, "batch_size": 1, "alpha": 0.0}
    net = MLPClassifier(**sgd, max_iter=1).fit(X, y, weights)
    alone = MLPClassifier(**sgd).partial_fit(X[7:8], y[7:8], classes=range(10))
    for P, expected in zip(net.coefs_, alone.coefs_, strict=True):
        np.testing.assert_allclose(P, expected, rtol=1e-12)
    assert np.isfinite(net.loss_)


def test_weights_that_somebody_has_set(digits: Data) -> None:
    """Kernels read memory unchecked: arrays that do not fit are refused, in predicting and in going on."""
    X, y = digits
    net = MLPClassifier((20,), max_iter=1, warm_start=True, random_state=0).fit(X, y)
    kept = net.coefs_[1]
    for wrong in (kept[:-1], kept.T, kept[:, :9], kept[0]):
        net.coefs_[1] = wrong
        for call in (net.predict, net.predict_proba):
            with pytest.raises(ValueError, match="coefs_ and intercepts_ have shapes"):
                call(X)
        with pytest.raises(ValueError, match="coefs_ and intercepts_ have shapes"):
            net.fit(X, y)
    net.coefs_[1] = kept
    expected = net.predict_proba(X)
    net.coefs_[1] = np.asfortranarray(kept)
    np.testing.assert_array_equal(net.predict_proba(X), expected)
    with pytest.raises(ValueError, match="coefs_ and intercepts_ have shapes"):
        net.set_params(hidden_layer_sizes=(30,)).fit(X, y)
    net.set_params(hidden_layer_sizes=(20,)).fit(X, y)


@pytest.mark.parametrize("dtype", ["i8", "f2", ">f8", ">f4"])
def test_weights_of_other_dtypes_that_somebody_has_set(digits: Data, dtype: str) -> None:
    X, y = digits
    net, other = (MLPClassifier((20,), max_iter=1, random_state=0).fit(X, y) for _ in range(2))
    net.coefs_ = [(10 * W).astype(dtype) for W in net.coefs_]
    other.coefs_ = [np.array(W, np.float64) for W in net.coefs_]
    for rows in (X, X[:3]):
        np.testing.assert_allclose(net.predict_proba(rows), other.predict_proba(rows), rtol=1e-12)
    net.set_params(warm_start=True).fit(X, y)
    other.set_params(warm_start=True).fit(X, y)
    np.testing.assert_allclose(net.predict_proba(X), other.predict_proba(X), rtol=1e-12)


def test_other_rows_than_those_trained_on(digits: Data) -> None:
    X, y = digits
    with pytest.raises(NotFittedError):
        MLPClassifier().predict(X)
    net = MLPClassifier(max_iter=1).fit(X, y)
    for rows in (X[:, 1:], X[0], X[:0], X[:, :, None]):
        with pytest.raises(ValueError):  # noqa: PT011
            net.predict(rows)
    assert not hasattr(MLPRegressor(solver="lbfgs"), "partial_fit")


def test_imported_when_first_used() -> None:
    """Neither scikit-learn nor numba come with `import fastnn`; without scikit-learn one sentence says what to do."""
    code = "import fastnn, sys; print([m for m in ('sklearn', 'numba', 'numpy', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
    code = "import sys; sys.modules['sklearn'] = None; import fastnn; fastnn.MLPClassifier"
    error = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    assert 'pip install "fastnn-numba[sklearn]"' in error


@pytest.mark.parametrize("form", ["table", "fortran", "lists", "sparse"])
@pytest.mark.parametrize("rows", [1, 16, 17, 100])
def test_rows_to_predict_beyond_the_networks_dtype(form: str, rows: int, digits: Data) -> None:
    """As float32 they would be infinite, and what comes of them NaN or, past a ReLU, a plain zero."""
    X = digits[0][:rows].astype(np.float64)
    net = MLPRegressor(dtype="float32", max_iter=1).fit(*digits)
    usual = net.predict(X)
    assert np.isfinite(usual).all()
    X[-1, 2] = 1e300
    make: dict[str, Any] = {
        "table": np.copy, "fortran": np.asfortranarray, "lists": np.ndarray.tolist, "sparse": sparse.csr_matrix
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"X holds .* expected finite numbers that fit"):
        net.predict(make[form](X))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("weight", [-5.0, None, np.nan, np.inf])
def test_weights_of_classes(solver: str, weight: Any, digits: Data) -> None:
    X, y = digits[0], digits[1].astype(int) % 3
    for others in (1.0, 0.0):
        net = MLPClassifier(solver=solver, max_iter=2, class_weight={0: weight, 1: others, 2: others})
        with pytest.raises(ValueError, match=r"class_weight is .*; expected finite weights of 0 or more"):
            net.fit(X, y)
    with pytest.raises(ValueError, match=r"class_weight is .*; expected finite weights of 0 or more, and one above 0"):
        MLPClassifier(solver=solver, max_iter=2, class_weight={0: 0, 1: 0, 2: 0}).fit(X, y)


def test_an_interrupted_beginning(digits: Data) -> None:
    """Half of the weights are none."""

    class Interrupting(np.random.RandomState):
        def uniform(self, *arguments: Any) -> Any:
            if arguments[-1] == 3:
                raise KeyboardInterrupt
            return super().uniform(*arguments)

    net = MLPRegressor(hidden_layer_sizes=(3,), max_iter=1, warm_start=True, random_state=Interrupting(0))
    with pytest.raises(KeyboardInterrupt):
        net.fit(*digits)
    with pytest.raises(NotFittedError):
        net.predict(digits[0])
    net.set_params(random_state=0).fit(*digits)
    assert np.isfinite(net.predict(digits[0])).all()
