"""Held-out rows: which they are, what is measured on them, and that the best weights come back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import sparse
from sklearn import neural_network
from sklearn.metrics import log_loss, make_scorer, roc_auc_score

from fastnn import MLPClassifier, MLPRegressor

Array = NDArray[Any]
Data = tuple[Array, Array]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_rows_handed_in(digits: Data) -> None:
    """They turn early stopping on, all other rows are trained on, and the best weights come back."""
    X, y = digits[0][:300], digits[1][:300].astype(str)
    X_val, y_val = digits[0][300:], digits[1][300:].astype(str)
    net = MLPClassifier(random_state=0, n_iter_no_change=5, learning_rate_init=0.03, max_iter=100)
    net.fit(X, y, X_val=X_val, y_val=y_val)
    assert net.n_iter_ < 100
    assert net.t_ == net.n_iter_ * 300
    assert len(net.validation_scores_) == len(net.validation_loss_curve_) == net.n_iter_
    assert net.score(X_val, y_val) == max(net.validation_scores_) == net.best_validation_score_
    assert net.best_loss_ is None
    best = net.validation_scores_.index(net.best_validation_score_)
    again = MLPClassifier(random_state=0, learning_rate_init=0.03, max_iter=best + 1).fit(X, y)
    np.testing.assert_array_equal(again.coefs_[0], net.coefs_[0])
    expected = log_loss(y_val, again.predict_proba(X_val))
    np.testing.assert_allclose(net.validation_loss_curve_[best], expected, rtol=1e-6)


@pytest.mark.parametrize("going_on", ["partial_fit", "warm_start"])
def test_going_on_without_them(going_on: str, digits: Data) -> None:
    """From scores to losses: the first of these is the best so far."""
    X, y = digits[0][:300], digits[1][:300]
    net = MLPClassifier((8,), max_iter=3, random_state=0, warm_start=going_on == "warm_start")
    net.fit(X, y, X_val=X, y_val=y)
    again = net.partial_fit(X, y) if going_on == "partial_fit" else net.fit(X, y)
    assert again.best_loss_ == min(again.loss_curve_[3:])
    if going_on == "warm_start":
        assert net.fit(X, y, X_val=X, y_val=y).best_loss_ is None
        assert len(net.validation_scores_) == 6


def test_nothing_best_is_kept_of_a_fit_that_only_diverges(digits: Data) -> None:
    X, y = digits[0][:300], digits[1][:300]
    net = MLPClassifier((8,), "identity", solver="sgd", max_iter=3, random_state=0, warm_start=True)
    net.fit(X, y, X_val=X, y_val=y).set_params(learning_rate_init=1e200)
    with pytest.warns(match="the last finite weights so far are kept"):
        net.fit(X, y, X_val=X, y_val=y)


def test_weights_of_rows_handed_in(diabetes: Data) -> None:
    X, y = diabetes
    weights = np.random.default_rng(0).random(142)
    net = MLPRegressor(random_state=0, max_iter=5)
    net.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:], sample_weight_val=weights)
    last = MLPRegressor(random_state=0, max_iter=5).fit(X[:300], y[:300])
    np.testing.assert_allclose(net.validation_scores_[-1], last.score(X[300:], y[300:], weights))
    squares = ((last.predict(X[300:]) - y[300:]) ** 2 / 2).mean(axis=1)
    np.testing.assert_allclose(net.validation_loss_curve_[-1], np.average(squares, weights=weights))


@pytest.mark.parametrize("scoring", ["neg_log_loss", make_scorer(roc_auc_score, response_method="predict_proba")])
@pytest.mark.parametrize("handed_in", [False, True])
def test_scorers(scoring: Any, handed_in: bool, digits: Data) -> None:
    """Any scorer, on DataFrames too, whose names a scorer's checks would miss."""
    X, y = pd.DataFrame(digits[0]).add_prefix("pixel "), digits[1] > 4
    net = MLPClassifier(random_state=0, max_iter=4, scoring=scoring, early_stopping=not handed_in)
    net.fit(X, y, **({"X_val": X, "y_val": y} if handed_in else {}))
    assert len(net.validation_scores_) == 4
    if handed_in:
        p = net.predict_proba(X)
        expected = -log_loss(y, p) if scoring == "neg_log_loss" else roc_auc_score(y, p[:, 1])
        np.testing.assert_allclose(net.best_validation_score_, expected)


def test_warm_start_holds_out_the_same_rows(digits: Data) -> None:
    """Else rows that were trained on would be measured on."""
    X, y = digits
    net = MLPClassifier(random_state=0, max_iter=2, early_stopping=True, warm_start=True, shuffle=False).fit(X, y)
    held_out = net._random.split_generator().permutation(len(X))
    net.fit(X, y)
    np.testing.assert_array_equal(net._random.split_generator().permutation(len(X)), held_out)


def test_a_loss_without_bounds_ends_training(digits: Data) -> None:
    X, y = digits
    net = MLPRegressor(solver="sgd", learning_rate_init=1e9, early_stopping=True, random_state=0)
    with pytest.warns(UserWarning, match="no longer finite in iteration"):
        net.fit(X, y)
    assert np.isnan(net.validation_scores_[-1])
    assert all(np.isfinite(W).all() for W in net.coefs_)
    net.set_params(early_stopping=False)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        net.fit(X, y)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"X_val": "X", "y_val": None}, "y_val is None"),
        ({"X_val": "X[:, 1:]", "y_val": "y"}, "X has 63 features"),
        ({"X_val": "X", "y_val": "y[1:]"}, "inconsistent numbers of samples"),
        ({"X_val": "X", "y_val": "y + 50"}, "none of"),
    ],
)
def test_rows_that_do_not_fit(wrong: dict[str, Any], message: str, digits: Data) -> None:
    X, y = digits
    given = {name: None if text is None else eval(text, {"X": X, "y": y}) for name, text in wrong.items()}
    with pytest.raises(ValueError, match=message):
        MLPClassifier(max_iter=1).fit(X, y, **given)
    with pytest.raises(ValueError, match="X_val is given with solver 'lbfgs'"):
        MLPClassifier(solver="lbfgs").fit(X, y, X_val=X, y_val=y)
    with pytest.raises(ValueError, match=r"y holds classes that are none of \[False  True\]"):
        MLPClassifier(max_iter=1).fit(X, y > 4, X_val=X, y_val=y)
    with pytest.raises(ValueError, match="y_val has 1 columns; expected 2, as y has"):
        MLPRegressor(max_iter=1).fit(X, X[:, :2], X_val=X, y_val=y)


def test_a_single_class_is_always_right() -> None:
    X, y = np.random.default_rng(0).normal(size=(60, 4)), np.ones(60, int)
    how: dict[str, Any] = {"max_iter": 30, "random_state": 3, "early_stopping": True, "learning_rate_init": 1e-4}
    net, theirs = MLPClassifier(**how).fit(X, y), neural_network.MLPClassifier(**how).fit(X, y)
    assert net.validation_scores_ == theirs.validation_scores_ == [1.0] * net.n_iter_
    assert net.n_iter_ == theirs.n_iter_


@pytest.mark.parametrize("form", [sparse.coo_matrix, sparse.bsr_matrix, sparse.dia_matrix, sparse.coo_array])
def test_a_scorer_takes_sparse_rows_of_every_form(form: Any) -> None:
    X = np.random.default_rng(0).normal(size=(60, 4))
    how: dict[str, Any] = {"scoring": "f1", "early_stopping": True, "max_iter": 3, "random_state": 0}
    scores = [
        MLPClassifier(**how).fit(rows, X[:, 0] > 0).validation_scores_ for rows in (form(X), sparse.csr_matrix(X))
    ]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("given", [{"y_val": [1, 0]}, {"sample_weight_val": [1.0]}])
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_nothing_belongs_to_rows_that_are_not_there(kind: Any, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is given without X_val; expected X_val"):
        kind().fit(np.eye(4), [0, 1, 0, 1], **given)


def test_one_row_has_no_r2() -> None:
    with pytest.raises(ValueError, match=r"^X_val has one row; expected at least two"):
        MLPRegressor().fit(np.eye(4), np.arange(4.0), X_val=np.ones((1, 4)), y_val=[1.0])
