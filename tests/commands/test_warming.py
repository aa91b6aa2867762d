"""`fastnn warmup`: afterwards nothing has to be compiled."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastnn.warmup import main

AFTER = """
import numpy as np
from fastnn import MLP
from fastnn.kernels.compiling import cache

compiled = []
X, y = np.arange(20000).reshape(2000, 10).astype("{kind}") % 7, np.arange(2000) % 3
cache._announce = compiled.append
for hidden in (5, 100):
    net = MLP([10, hidden, 3], dtype="{dtype}")
    for batch_size in (16, 300, None):
        for sparse in (True, False):
            net.fit(X, y, epochs=2, batch_size=batch_size, sparse=sparse, validation=(X, y), verbose=False)
    net.predict(X)
    net.predict_proba(X[:1])
print(compiled)
"""


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("uint8", "float32"),
        ("float64", "float64"),
        ("float64", "float32"),
        ("int16", "float32"),
        ("float32", "float64"),
    ],
)
def test_nothing_is_compiled_afterwards(kind: str, dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["seconds"] > 0
    assert Path(told["folder"]).is_dir()
    code = AFTER.format(kind=kind, dtype=dtype)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == "[]\n"


ESTIMATORS = """
import warnings
import numpy as np
from scipy import sparse
from fastnn import MLPClassifier, MLPRegressor
from fastnn.kernels.compiling import cache

warnings.simplefilter("ignore")
compiled = []
cache._announce = compiled.append
X, y, weights = np.random.default_rng(0).random((300, 10)).astype("{dtype}"), np.arange(300) % 3, np.arange(300.0)
small = dict(hidden_layer_sizes=(5,), batch_size=16, max_iter=2)

def classify(X=X, y=y, sample_weight=None, **how):
    net = MLPClassifier(**(small | how)).fit(X, y, sample_weight)
    net.predict(X)
    net.predict_proba(X[:1])

for solver in ("sgd", "nesterov", "rmsprop", "adam", "adamw", "lbfgs"):
    for rows in (X, sparse.csr_array(X)):
        classify(rows, solver=solver)
for activation in ("identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu"):
    classify(activation=activation)
    classify(activation=activation, solver="lbfgs")
classify(hidden_layer_sizes=())
classify(hidden_layer_sizes=(100,))
classify(hidden_layer_sizes=(5, 6, 7), sample_weight=weights, class_weight="balanced")
classify(dropout=0.3, label_smoothing=0.1, early_stopping=True)
classify(y=y % 2)
classify(batch_size=300, sample_weight=weights, dropout=0.3)
classify(y=np.eye(3, dtype=int)[y])
classify(dtype="float32")
classify(X.astype(np.float32), dtype="float64", solver="lbfgs", sample_weight=weights)
for loss in ("squared_error", "poisson", "absolute_error", "huber"):
    for solver in ("adam", "lbfgs"):
        for targets in (y + 0.5, np.ones((300, 2))):
            MLPRegressor(loss, **small, solver=solver).fit(X, targets, weights).predict(X)
print(compiled)
"""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_is_compiled_for_estimators_afterwards(dtype: str) -> None:
    pytest.importorskip("sklearn")
    assert main([]) == 0
    code = ESTIMATORS.format(dtype=dtype)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_it_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "they are kept in " in capsys.readouterr().out
