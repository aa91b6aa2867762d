"""What goes beyond scikit-learn: class weights, dropout, label smoothing, activations a layer, losses, dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from sklearn.datasets import make_regression
from sklearn.utils.class_weight import compute_sample_weight

from fastnn import MLPClassifier, MLPRegressor

Array = NDArray[Any]
Data = tuple[Array, Array]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL: dict[str, Any] = {"random_state": 0, "hidden_layer_sizes": (30,), "max_iter": 30, "learning_rate_init": 0.01}


def same(a: Any, b: Any) -> bool:
    return all(np.array_equal(P, Q) for P, Q in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_class_weights_are_sample_weights(solver: str, digits: Data) -> None:
    X, y = digits
    unequal = y < 2
    for class_weight in ("balanced", {True: 4.0, False: 0.5}):
        weights = compute_sample_weight(class_weight, unequal)
        by_class = MLPClassifier(**SMALL, solver=solver, class_weight=class_weight).fit(X, unequal)
        assert same(by_class, MLPClassifier(**SMALL, solver=solver).fit(X, unequal, weights))
        assert not same(by_class, MLPClassifier(**SMALL, solver=solver).fit(X, unequal))
        both = MLPClassifier(**SMALL, solver=solver, class_weight=class_weight).fit(X, unequal, weights)
        assert same(both, MLPClassifier(**SMALL, solver=solver).fit(X, unequal, weights * weights))


def test_class_weights_in_partial_fit(digits: Data) -> None:
    X, y = digits
    net = MLPClassifier(**SMALL, class_weight={3: 5.0})
    assert same(
        net.partial_fit(X, y, classes=range(10)),
        MLPClassifier(**SMALL).partial_fit(X, y, np.where(y == 3, 5.0, 1.0), classes=range(10)),
    )
    with pytest.raises(ValueError, match="class_weight is 'balanced' in partial_fit"):
        MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=range(10))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("solver", ["adam", "nesterov", "rmsprop", "adamw", "sgd"])
@pytest.mark.parametrize("activation", ["leaky_relu", "elu", "gelu", "silu", ("tanh", "gelu", "relu")])
def test_every_solver_and_activation_learns(activation: Any, solver: str, dtype: str, digits: Data) -> None:
    layers = (40,) if isinstance(activation, str) else (40, 30, 20)
    # With 0.005 rmsprop ends 6 of 150 fits in a jump of the loss.
    rate = {"sgd": 0.05, "nesterov": 0.05, "rmsprop": 0.002}.get(solver, 0.005)
    parameters = {**SMALL, "learning_rate_init": rate, "batch_size": 16, "dtype": dtype, "hidden_layer_sizes": layers}
    net = MLPClassifier(activation=activation, solver=solver, **parameters)
    assert net.fit(*digits).score(*digits) > 0.97
    assert {P.dtype.name for P in net.coefs_ + net.intercepts_} == {dtype}
    assert net.predict_proba(digits[0]).dtype == dtype


def test_dropout(digits: Data) -> None:
    """It changes training and not predictions; more of it leaves more loss; rates go layer by layer."""
    X, y = digits
    nets = [MLPClassifier(**SMALL, dropout=rate).fit(X, y) for rate in (0.0, 0.2, 0.8)]
    assert nets[0].loss_curve_[-1] < nets[1].loss_curve_[-1] < nets[2].loss_curve_[-1]
    assert nets[1].score(X, y) > 0.95
    np.testing.assert_array_equal(nets[1].predict_proba(X), nets[1].predict_proba(X))
    two = {**SMALL, "hidden_layer_sizes": (20, 20)}
    assert same(MLPClassifier(**two, dropout=0.5).fit(X, y), MLPClassifier(**two, dropout=[0.5, 0.5]).fit(X, y))
    assert not same(MLPClassifier(**two, dropout=(0.5, 0)).fit(X, y), MLPClassifier(**two, dropout=(0, 0.5)).fit(X, y))


@pytest.mark.parametrize("classes", [2, 10])
def test_label_smoothing(classes: int, digits: Data) -> None:
    """Nobody is surer than the smoothed labels, and right all the same."""
    X, y = digits[0], digits[1] % classes
    net = MLPClassifier(**{**SMALL, "max_iter": 60}, label_smoothing=0.3, alpha=0.0).fit(X, y)
    sure = MLPClassifier(**{**SMALL, "max_iter": 60}, alpha=0.0).fit(X, y)
    assert np.median(sure.predict_proba(X).max(axis=1)) > 0.97
    assert np.median(net.predict_proba(X).max(axis=1)) == pytest.approx(0.7 + 0.3 / classes, abs=0.05)
    assert net.score(X, y) > 0.95


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_robust_losses(solver: str) -> None:
    """A few wild targets drag the squared error away, and the others not."""
    X, y = make_regression(300, 5, noise=0.1, random_state=0)
    y = y / y.std()
    wild = y.copy()
    wild[::20] += 50
    parameters: dict[str, Any] = {
        "activation": "identity", "hidden_layer_sizes": (4,), "solver": solver, "random_state": 0,
        "max_iter": 300, "learning_rate_init": 0.01, "batch_size": 50, "alpha": 0.0,
    }  # fmt: skip
    error = {}
    for loss in ("squared_error", "absolute_error", "huber"):
        with np.errstate(all="raise"):
            net = MLPRegressor(loss, **parameters, huber_delta=0.1).fit(X, wild)
        error[loss] = np.median(np.abs(net.predict(X) - y))
    assert error["squared_error"] > 1
    assert error["absolute_error"] < 0.2
    assert error["huber"] < 0.2


def test_huber_is_squared_within_delta(diabetes: Data) -> None:
    X, y = diabetes
    squared, huber = MLPRegressor(**SMALL).fit(X, y), MLPRegressor("huber", **SMALL, huber_delta=1e9).fit(X, y)
    for W, expected in zip(huber.coefs_, squared.coefs_, strict=True):
        np.testing.assert_allclose(W, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(huber.loss_curve_, squared.loss_curve_)


def test_sparse_and_other_layouts(digits: Data) -> None:
    """Fortran order, strides, read-only memory, sparse matrices and integers: all one network."""
    X, y = np.round(digits[0] * 16), digits[1]
    wide = np.repeat(X, 2, axis=1)
    locked = X.copy()
    locked.flags.writeable = False
    nets = {
        "plain": X, "fortran": np.asfortranarray(X), "strided": wide[:, ::2], "reversed": X[::-1][::-1],
        "read-only": locked, "csr": sparse.csr_matrix(X), "csc": sparse.csc_array(X), "int": X.astype(int),
    }  # fmt: skip
    fitted = {name: MLPClassifier(**SMALL).fit(form, y) for name, form in nets.items()}
    for name, form in nets.items():
        assert same(fitted[name], fitted["plain"]), name
        np.testing.assert_array_equal(fitted[name].predict_proba(form), fitted["plain"].predict_proba(X))


def test_bytes_are_numbers(digits: Data) -> None:
    """Unlike MLP's: 0..16 stays 0..16."""
    X, y = (digits[0] * 16).astype(np.uint8), digits[1]
    assert same(MLPClassifier(**SMALL).fit(X, y), MLPClassifier(**SMALL).fit(X.astype(np.float64), y))


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_sparse_rows_held_out(solver: str, digits: Data) -> None:
    """Sparse features stay sparse, in whatever is done with them; an empty row and an empty column are rows too."""
    X, y = digits[0].copy(), digits[1]
    X[5] = 0.0
    sgd = {**SMALL, "solver": solver, "early_stopping": True, "max_iter": 5}
    ours, other = MLPClassifier(**sgd).fit(sparse.csr_matrix(X), y), MLPClassifier(**sgd).fit(X, y)
    assert same(ours, other)
    assert ours.validation_scores_ == other.validation_scores_
    with pytest.raises(ValueError, match="infinite as float32"):
        MLPClassifier(dtype="float32").fit(sparse.csr_matrix(X * 1e300), y)


def test_few_rows_are_like_many(digits: Data) -> None:
    X, y = digits
    for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-12)):
        net = MLPClassifier(**SMALL, dtype=dtype).fit(X, y)
        for rows in (1, 3, 16, 17):
            np.testing.assert_allclose(net.predict_proba(X[:rows]), net.predict_proba(X)[:rows], rtol=tolerance)


@pytest.mark.parametrize("weighted", [False, True])
def test_loss_curve_of_several_targets(weighted: bool) -> None:
    """L-BFGS goes by the sum over the targets; what is shown is their mean, penalty and all, as loss_ is."""
    X, y = make_regression(80, 6, n_targets=3, random_state=0)
    weights = np.random.default_rng(0).random(80) if weighted else None
    net = MLPRegressor(hidden_layer_sizes=4, solver="lbfgs", alpha=3.0, max_iter=9, random_state=0).fit(
        X, y / 100, weights
    )
    losses, squares = (net.predict(X) - y / 100) ** 2 / 2, sum((W**2).sum() for W in net.coefs_)
    total = 80 if weights is None else weights.sum()
    expected = np.average(losses.mean(axis=1), weights=weights) + 3.0 / 2 * squares / total
    assert net.loss_curve_[-1] == pytest.approx(expected, rel=1e-12)
    assert net.loss_ == net.best_loss_ == pytest.approx(expected, rel=1e-12)
    assert len(net.loss_curve_) == 9


def test_class_weights_of_batches_without_some_classes(digits: Data) -> None:
    """They are of all classes, whatever one batch holds."""
    X, y = digits
    three = y < 3
    X, y = X[three], y[three]
    some = y > 0
    for class_weight in ({0: 2.0}, {0: 0.0, 1: 1.0, 2: 3.0}):
        net = MLPClassifier(**SMALL, class_weight=class_weight)
        other = MLPClassifier(**SMALL)
        for chosen in (y >= 0, some):
            net.partial_fit(X[chosen], y[chosen], classes=[0, 1, 2])
            weights = np.array([class_weight.get(label, 1.0) for label in y[chosen]])
            other.partial_fit(X[chosen], y[chosen], weights, classes=[0, 1, 2])
        assert same(net, other)
        net.partial_fit(X[~some], y[~some])  # even if none of them counts
    for class_weight in ({0: -1.0}, {0: 0.0, 1: 0.0, 2: 0.0}):
        with pytest.raises(ValueError, match="expected finite weights of 0 or more, and one above 0"):
            MLPClassifier(**SMALL, class_weight=class_weight).partial_fit(X[some], y[some], classes=[0, 1, 2])


@pytest.mark.parametrize("yes", [2, -1, 0.5])
@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_any_number_but_zero_is_yes_for_several_labels(yes: float, form: str, digits: Data) -> None:
    """As scikit-learn has it."""
    X, y = digits
    Y = np.column_stack([y % 2, y < 4, y > 2]).astype(int)
    other = (sparse.csr_matrix if form == "sparse" else np.asarray)(yes * Y if yes == 0.5 else int(yes) * Y)
    if yes == 0.5:
        with pytest.raises(ValueError):  # no multilabel target for scikit-learn, either  # noqa: PT011
            MLPClassifier(**SMALL).fit(X, other)
        return
    assert same(MLPClassifier(**SMALL).fit(X, other), MLPClassifier(**SMALL).fit(X, Y))
