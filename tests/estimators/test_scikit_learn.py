"""scikit-learn's own tests of its MLP estimators, unmodified, with fastnn's in their place; and its checks.

All of test_mlp.py passes, what looks at private names included: `_optimizer.learning_rate`, `_no_improvement_count` and
`_loss_grad_lbfgs` mean here what they mean there.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any
from unittest import mock

import pytest

pytest.importorskip("sklearn")

import sklearn.neural_network
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastnn

pytestmark = pytest.mark.filterwarnings("ignore")  # they warn and know it

THEIR_TESTS = 59


def their_module() -> Any:
    """scikit-learn's test module, loaded afresh while its MLP estimators are fastnn's."""
    ours = {"MLPClassifier": fastnn.MLPClassifier, "MLPRegressor": fastnn.MLPRegressor}
    with mock.patch.multiple(sklearn.neural_network, **ours):
        spec = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


THEIRS = their_module()
globals().update({name: value for name, value in vars(THEIRS).items() if name.startswith("test_")})


@pytest.fixture
def global_random_seed() -> int:
    """scikit-learn's conftest has it; one of the seeds that its own runs use."""
    return int(os.environ.get("SKLEARN_TESTS_GLOBAL_RANDOM_SEED", 42))


def test_they_are_all_here_and_test_fastnn(request: pytest.FixtureRequest) -> None:
    assert THEIRS.MLPClassifier is fastnn.MLPClassifier
    assert THEIRS.MLPRegressor is fastnn.MLPRegressor
    names = {name for name in vars(THEIRS) if name.startswith("test_")}
    here = [item for item in request.session.items if getattr(item, "originalname", None) in names]
    if len(here) > 1:  # else somebody has asked for this test alone
        assert len(here) >= THEIR_TESTS


@parametrize_with_checks([fastnn.MLPClassifier(), fastnn.MLPRegressor()], xfail_strict=True)
def test_checks_of_estimators(estimator: Any, check: Any) -> None:
    check(estimator)
