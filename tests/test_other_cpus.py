"""Kernels for CPUs with shorter registers than this one's: the same networks as the reference."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastnn.kernels.matrix_unit.instructions import HAS_MATRIX_UNIT
from fastnn.kernels.simd.vectors import FEATURES, REGISTER_BYTES

TRAIN = """
import numpy as np
from fastnn import MLP, features, ops
from fastnn.kernels.simd.vectors import REGISTER_BYTES

rng = np.random.default_rng(0)
for sparse, K, hidden in ((True, 53, [37, 11]), (False, 19, [37, 11]), (True, 53, [100]), (False, 19, [100])):
    X = rng.normal(size=(150, K)) * (rng.random((150, K)) < 0.3)
    functions = ["tanh", "sigmoid"][: len(hidden)]
    nets = [MLP([K, *hidden, 5], activation=functions, dtype="float64", backend=b) for b in ("numba", "numpy")]
    for net in nets:
        net.fit(X, np.arange(150) % 5, epochs=3, batch_size=32, sparse=sparse, threads=2, verbose=False)
    for ours, expected in zip(nets[0].weights + nets[0].biases, nets[1].weights + nets[1].biases):
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(nets[0].predict_proba(X), nets[1].predict_proba(X), rtol=1e-9)
X, W, b = rng.normal(size=(70, 45)), rng.normal(size=(45, 531)), rng.normal(size=531)
np.testing.assert_allclose(ops.matmul_bias(X, W, b), X @ W + b, rtol=1e-9, atol=1e-9)
X = X.reshape(21, 150)
for X in (X, (X * X * 3).astype(np.uint8)):
    X[:3], X[3:6] = 0, 1
    lists = features.compress(X, np.dtype("float64"), 2, always=True)
    np.testing.assert_array_equal(lists.places, np.nonzero(X)[1])
    np.testing.assert_array_equal(lists.codes if X.dtype == np.uint8 else lists.values, X[X != 0])
print(REGISTER_BYTES)
"""

TRAIN_ON_BYTES = """
import numpy as np
from fastnn import MLP, matrix_unit
from fastnn.kernels.simd.vectors import REGISTER_BYTES

X = np.random.default_rng(0).integers(0, 256, (150, 65), dtype=np.uint8)
nets = [MLP([65, 100, 5], activation="tanh", backend=backend) for backend in ("numba", "numpy")]
for net in nets:
    net.fit(X, np.arange(150) % 5, epochs=3, batch_size=32, optimizer="sgd", threads=2, verbose=False)
for ours, expected in zip(nets[0].weights + nets[0].biases, nets[1].weights + nets[1].biases):
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)
print(matrix_unit.available(), REGISTER_BYTES)
"""


# What a process is told, and the bytes of a register there.
OTHERS = {
    "AVX2": ({"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": ""}, 32),
    "SSE": ({"NUMBA_CPU_NAME": "x86-64-v2", "NUMBA_CPU_FEATURES": ""}, 16),
    "without AVX": ({"NUMBA_ENABLE_AVX": "0"}, 16),
}


def begin(script: str, chosen: dict[str, str], cache: Path) -> subprocess.Popen[str]:
    """A process whose kernels are compiled for another CPU."""
    where = os.environ | chosen | {"NUMBA_CACHE_DIR": str(cache)}
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=where
    )


def end(process: subprocess.Popen[str]) -> str:
    """What it has printed."""
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return output


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All at once: each compiles for the better part of a minute."""
    begun = {name: begin(TRAIN, chosen, tmp_path_factory.mktemp("kernels")) for name, (chosen, _) in OTHERS.items()}
    yield begun
    for process in begun.values():
        with process:  # closes its pipes
            process.kill()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="these are names of x86 CPUs")
@pytest.mark.parametrize("name", OTHERS)
def test_training_and_prediction(name: str, processes: dict[str, subprocess.Popen[str]]) -> None:
    assert end(processes[name]) == f"{OTHERS[name][1]}\n"


@pytest.mark.skipif(not HAS_MATRIX_UNIT, reason="this CPU has no matrix unit")
def test_without_the_matrix_unit(tmp_path: Path) -> None:
    """The rest of the CPU is the same."""
    features = ",".join(f"+{feature}" for feature in sorted(FEATURES) if not feature.startswith("amx"))
    found = end(begin(TRAIN_ON_BYTES, {"NUMBA_CPU_FEATURES": features}, tmp_path))
    assert found == f"False {REGISTER_BYTES}\n"
