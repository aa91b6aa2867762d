"""Inside scikit-learn's own tools: pipelines, searches, cross-validation, calibration, pickles, callbacks."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnn import MLPClassifier, MLPRegressor

Array = NDArray[Any]
Data = tuple[Array, Array]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL: dict[str, Any] = {"hidden_layer_sizes": (20,), "max_iter": 10, "random_state": 0, "learning_rate_init": 0.01}


def test_pipeline_search_and_cross_validation(digits: Data) -> None:
    X, y = digits
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**SMALL))
    assert clone(pipeline).fit(X, y).score(X, y) > 0.9  # compiles the kernels, which the workers then find
    grid = {"mlpclassifier__alpha": [1e-4, 1.0], "mlpclassifier__activation": ["relu", "gelu"]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(X, y)
    assert search.best_score_ > 0.7
    predicted = cross_val_predict(clone(pipeline), X, y, cv=2, method="predict_proba", n_jobs=2)
    assert (predicted.argmax(axis=1) == y).mean() > 0.7


def test_calibration_and_importance(digits: Data) -> None:
    X, y = digits
    calibrated = CalibratedClassifierCV(MLPClassifier(**SMALL), cv=2).fit(X, y)
    assert calibrated.score(X, y) > 0.8
    net = MLPRegressor(**SMALL).fit(X[:, :10], X[:, 3])
    importance = permutation_importance(net, X[:, :10], X[:, 3], n_repeats=2, random_state=0)
    assert importance.importances_mean.argmax() == 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pickle_and_joblib(dtype: Any, digits: Data, tmp_path: Path) -> None:
    X, y = digits[0].astype(dtype), digits[1].astype(str)
    net = MLPClassifier(**SMALL).fit(X, y)
    joblib.dump(net, tmp_path / "net.joblib")
    for copy in (pickle.loads(pickle.dumps(net)), joblib.load(tmp_path / "net.joblib")):
        np.testing.assert_array_equal(copy.predict_proba(X), net.predict_proba(X))
        copy.partial_fit(X, y)
    net.partial_fit(X, y)
    np.testing.assert_array_equal(copy.coefs_[0], net.coefs_[0])


def test_frames(digits: Data) -> None:
    X, y = pd.DataFrame(digits[0]).add_prefix("pixel "), pd.Series(digits[1], dtype="category")
    net = MLPClassifier(**SMALL).fit(X, y)
    assert list(net.feature_names_in_) == list(X.columns)
    assert net.score(X, y) > 0.9
    with pytest.raises(ValueError, match="feature names"):
        net.predict(X.rename(columns={"pixel 0": "dot 0"}))
    with pytest.warns(UserWarning, match="feature names"):
        net.predict(X.to_numpy())


def test_predicting_changes_nothing(digits: Data) -> None:
    net = MLPClassifier(**SMALL).fit(*digits)
    before = pickle.dumps(net)
    net.predict(digits[0][:1])
    net.predict_proba(digits[0])
    assert pickle.dumps(net) == before


class Recorder:
    """Counts what it is told; stops after so many epochs."""

    def __init__(self, stop_after: int) -> None:
        self.stop_after = stop_after
        self.begun, self.ended, self.scores = 0, 0, []  # type: ignore[var-annotated]

    def setup(self, estimator: Any, context: Any) -> None:
        self.scores.append("setup")

    def on_fit_task_begin(self, estimator: Any, context: Any, *, X: Any = None) -> None:
        self.begun += context.parent is not None

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, X: Any = None, y: Any = None, fitted_estimator: Any = None
    ) -> bool:
        if context.parent is not None:
            self.ended += 1
            self.scores.append(fitted_estimator.score(X, y))
        return self.ended == self.stop_after

    def teardown(self, estimator: Any, context: Any) -> None:
        self.scores.append("teardown")


@pytest.mark.skipif(not hasattr(sklearn, "callback") and sklearn.__version__ < "1.9", reason="no callbacks yet")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks(solver: str, digits: Data) -> None:
    """An epoch or an iteration is a task; they see the network as it would be if training stopped, and can stop it."""
    recorder = Recorder(stop_after=4)
    net = MLPClassifier(**SMALL, solver=solver).set_callbacks(recorder).fit(*digits)
    assert net.n_iter_ == 4
    assert recorder.scores[0] == "setup"
    assert recorder.scores[-1] == "teardown"
    assert recorder.begun == recorder.ended
    assert recorder.scores[4] == net.score(*digits)
    short = MLPClassifier(**{**SMALL, "max_iter": 2}, solver=solver).fit(*digits)
    assert recorder.scores[2] == short.score(*digits)
