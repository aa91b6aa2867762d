"""What a search for the minimum leaves behind that is not ended by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLPClassifier
from fastnn.compiled import gradient

Array = NDArray[Any]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError])
def test_the_last_iteration_is_kept(failure: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    y = (X @ rng.normal(size=(5, 3))).argmax(axis=1)
    how: dict[str, Any] = {"hidden_layer_sizes": (6,), "solver": "lbfgs", "random_state": 0, "tol": 0.0}
    net, measure = MLPClassifier(max_iter=50, **how), gradient.Gradient.__call__

    def failing(self: Any, parameters: list[Array]) -> Any:
        if getattr(net, "n_iter_", 0) == 4:
            raise failure
        return measure(self, parameters)

    monkeypatch.setattr(gradient.Gradient, "__call__", failing)
    with pytest.raises(failure):
        net.fit(X, y)
    monkeypatch.undo()
    expected = MLPClassifier(max_iter=4, **how).fit(X, y)
    assert net.n_iter_ == len(net.loss_curve_) == 4
    assert net.loss_ == net.loss_curve_[-1]
    for P, wanted in zip(net.coefs_ + net.intercepts_, expected.coefs_ + expected.intercepts_, strict=True):
        np.testing.assert_array_equal(P, wanted)
