"""Whether the CPU's matrix unit is used: what of, in which processes, and where the system refuses it."""

import ctypes
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP, csr, matrix_unit
from fastnn.architecture import Architecture
from fastnn.compiled import ways
from fastnn.compiled.full_batch import FullBatch
from fastnn.compiled.minibatches import MiniBatches, Replicas, Slices
from fastnn.compiled.sharing import LEAST_INPUTS, LEAST_ROWS, LEAST_ROWS_OF_WIDE, LEAST_WIDTH
from fastnn.compiled.training import Training
from fastnn.compiled.ways import Trainer
from fastnn.kernels.matrix_unit.instructions import HAS_MATRIX_UNIT
from fastnn.kernels.network import THIRDS
from fastnn.optimizers import Optimizer
from fastnn.trainer import Plan, State

Array = NDArray[Any]
m = 300
PIXELS = np.random.default_rng(0).integers(0, 256, (m, 784), dtype=np.uint8)

on_the_unit = pytest.mark.skipif(not matrix_unit.available(), reason="there is no matrix unit, or it may not be used")

# Trains a network of a quarter of a second's work, in pieces of columns, and prints what its weights are.
TRAIN = """
import hashlib
import numpy as np
from fastnn import MLP, matrix_unit

X = np.random.default_rng(0).integers(0, 256, (300, 784), dtype=np.uint8)
net = MLP([784, 128, 10])
net.fit(X, np.arange(300) % 10, epochs=5, threads=2, verbose=False)
weights = b"".join(array.tobytes() for array in net.weights + net.biases)
print(matrix_unit.available(), hashlib.sha256(weights).hexdigest())
"""

# Leaves no room for the unit's registers where a signal's handler would find them.
NARROW = """
import ctypes

class Stack(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

memory = ctypes.create_string_buffer(1 << 12)
stack = Stack(ctypes.addressof(memory), 0, len(memory))
assert ctypes.CDLL(None).sigaltstack(ctypes.byref(stack), None) == 0
"""


def fingerprint() -> str:
    """What TRAIN prints of the weights, in this process."""
    net = MLP([784, 128, 10])
    net.fit(PIXELS, np.arange(m) % 10, epochs=5, threads=2, verbose=False)
    return hashlib.sha256(b"".join(array.tobytes() for array in net.weights + net.biases)).hexdigest()


def trainer(
    sizes: tuple[int, ...], batch_size: int | None, X: Any, dtype: str = "float32", sparse: bool | str = "auto"
) -> Training:
    architecture = Architecture.of(sizes, "relu", None)
    weights, biases = [np.zeros(shape, dtype) for shape in architecture.layers], [np.zeros(N, dtype) for N in sizes[1:]]
    plan = Plan(3, batch_size, Optimizer("sgd"), 0, 2, sparse)
    return Trainer(architecture, State(weights, biases), X, np.zeros(m, np.int64), plan)


# --- what of


@on_the_unit
@pytest.mark.parametrize(
    ("sizes", "batch_size", "way", "layers"),
    [
        ((784, 10, 10), None, FullBatch, (0,)),
        ((784, 10, 10), 128, MiniBatches, (0,)),
        ((70, 260, 257, 4), 33, MiniBatches, (0,)),
        ((70, 260, 257, 4), 64, MiniBatches, (0, 1)),
        ((70, 260, 257, 256), 64, MiniBatches, (0, 1, 2)),
        ((70, 260, 257, 4), None, FullBatch, (0, 1)),
        ((784, 10, 10), 300, Replicas, (0,)),
        ((97, 48, 20, 5), 300, Replicas, (0,)),
        ((784, 128, 10), 64, Slices, (0,)),
        ((LEAST_INPUTS, 64, 4), 64, Slices, (0,)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ways_that_use_it(
    dtype: str, sizes: tuple[int, ...], batch_size: int | None, way: type[Training], layers: tuple[int, ...]
) -> None:
    """Of data that is mostly zeros, too, though it could be compressed; in float64 the first layer only."""
    if dtype == "float64" and batch_size == 33:
        batch_size = 64
    training = trainer(sizes, batch_size, PIXELS[:, : sizes[0]] * (PIXELS[:, : sizes[0]] > 200), dtype)
    assert type(training) is way
    assert training.thirds == (layers if dtype == "float32" else (0,))
    assert training.network.layers[:, THIRDS].any()
    assert len(training.data.lists.starts) == 0


WIDE = PIXELS[:, :LEAST_INPUTS]


@pytest.mark.parametrize("batch_size", [64, None])
@pytest.mark.parametrize(
    ("X", "how"),
    [
        (WIDE * (WIDE > 240), {}),
        ((WIDE / 100).astype(np.float32), {}),
        (WIDE / 100, {}),
        (WIDE[:, 1:], {}),
        (WIDE, {"sparse": True}),
    ],
    ids=["many zeros", "float32 features", "float64 features", "few inputs", "without zeros"],
)
def test_networks_that_do_not_use_it(X: Array, how: dict[str, Any], batch_size: int | None) -> None:
    for dtype in ("float32", "float64"):
        training = trainer((X.shape[1], 64, 4), batch_size, X, dtype, **how)
        assert not training.thirds
        assert not training.network.layers[:, THIRDS].any()
        assert (len(training.data.lists.starts) > 0) == ("sparse" in how or np.count_nonzero(X) < X.size / 8)


@on_the_unit
@pytest.mark.parametrize("sparse", [True, False])
def test_wide_layers_use_it_whatever_the_features_are(sparse: bool) -> None:
    training = trainer((LEAST_INPUTS, LEAST_WIDTH, LEAST_WIDTH, 4), 64, WIDE / 100, sparse=sparse)
    assert training.thirds == (1,)
    assert (len(training.data.lists.starts) > 0) == sparse


@pytest.mark.parametrize(
    ("sizes", "batch_size", "dtype"),
    [
        ((LEAST_INPUTS, LEAST_WIDTH, LEAST_WIDTH - 1, 4), 64, "float32"),
        ((LEAST_INPUTS, LEAST_WIDTH - 1, LEAST_WIDTH, 4), 64, "float32"),
        ((LEAST_INPUTS, LEAST_WIDTH, LEAST_WIDTH, 4), LEAST_ROWS_OF_WIDE - 1, "float32"),
        ((LEAST_INPUTS, LEAST_WIDTH, LEAST_WIDTH, 4), 64, "float64"),
    ],
)
def test_later_layers_that_do_not_use_it(sizes: tuple[int, ...], batch_size: int, dtype: str) -> None:
    assert not trainer(sizes, batch_size, (WIDE / 100).astype(dtype), dtype).thirds


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_few_rows_do_not_use_it(dtype: str) -> None:
    for rows, layers in ((LEAST_ROWS[dtype] - 1, ()), (LEAST_ROWS[dtype], (0,) if matrix_unit.available() else ())):
        assert trainer((LEAST_INPUTS, 64, 4), rows, WIDE, dtype).thirds == layers


def test_lists_do_not_use_it() -> None:
    scipy_sparse = pytest.importorskip("scipy.sparse")
    X = csr.read("X", scipy_sparse.csr_matrix(WIDE), np.float32)
    assert not trainer((LEAST_INPUTS, 64, 4), 64, X).thirds


# --- floats that are bytes times a factor

FLOATS = WIDE / np.float32(255)
FEW = FLOATS * (PIXELS[:, -LEAST_INPUTS:] < 20)  # of which are not zero


@on_the_unit
@pytest.mark.parametrize("batch_size", [64, None])
@pytest.mark.parametrize(
    ("X", "sparse"),
    [(FLOATS, "auto"), (FLOATS.astype(np.float64), "auto"), (FLOATS, False), (FEW, False), (WIDE * 1.0, "auto")],
    ids=["float32", "float64", "with zeros", "with many zeros", "whole numbers"],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_that_use_it_as_bytes(dtype: str, X: Array, sparse: bool | str, batch_size: int | None) -> None:
    if dtype == "float64" and X.max() <= 1:  # what float32 rounds is another number there
        X = np.rint(X * 255).astype(np.float64) / 255
    training = trainer((LEAST_INPUTS, 64, 4), batch_size, X, dtype, sparse)
    assert training.thirds == (0,)
    assert training.coded is not None
    assert training.data.rows.address == training.coded.ctypes.data
    assert training.data.rows.factor == (1.0 if X.max() > 1 else 1 / 255)


@pytest.mark.parametrize(
    ("X", "how"),
    [
        (FLOATS, {"sparse": True}),
        (FEW, {}),
        (FLOATS, {"dtype": "float64"}),
        (FLOATS, {"hidden": 63}),
        (FLOATS, {"batch_size": 31}),
        (FLOATS[:, 1:], {"hidden": 100}),
    ],
    ids=["without zeros", "many zeros", "float64", "few weights", "few rows", "few inputs"],
)
def test_floats_that_stay(X: Array, how: dict[str, Any]) -> None:
    how = {"hidden": 64, "batch_size": 64, **how}
    training = trainer((X.shape[1], how.pop("hidden"), 4), how.pop("batch_size"), X, **how)
    assert not training.thirds
    assert training.coded is None


def test_nobody_looks_for_bytes_where_there_is_no_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_unit, "available", lambda: False)
    monkeypatch.setattr(ways, "encode", lambda *given: pytest.fail("encoded"))
    assert trainer((LEAST_INPUTS, 64, 4), 64, FLOATS).coded is None


@on_the_unit
def test_the_pace_of_bytes_is_kept_apart() -> None:
    sizes = LEAST_WIDTH, LEAST_WIDTH, 4
    X = PIXELS[:, :LEAST_WIDTH]
    bytes_, floats = (trainer(sizes, 64, features) for features in (X / 255, X / 100))
    assert bytes_.thirds == floats.thirds == (0,)
    assert bytes_.kind != floats.kind


# --- whether there is one


def test_the_system_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same kernels train as on a CPU without the unit."""
    asked: list[tuple[int, ...]] = []

    class Libc:
        def __init__(self, name: None) -> None:
            self.syscall = Syscall()

    class Syscall:
        def __call__(self, *arguments: int) -> int:
            asked.append(arguments)
            return -1

    monkeypatch.setattr(matrix_unit, "available", lambda: False)
    expected = fingerprint()
    monkeypatch.undo()
    monkeypatch.setattr(ctypes, "CDLL", Libc)
    monkeypatch.setattr(matrix_unit, "available", matrix_unit.available.__wrapped__)
    assert fingerprint() == expected
    assert len(asked) > 0 or not HAS_MATRIX_UNIT or sys.platform != "linux"


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_the_system_cannot_be_asked(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: None) -> None:
        raise error("no such library")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert not matrix_unit.available.__wrapped__()


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_other_systems_are_not_asked(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert not matrix_unit.available.__wrapped__()


# --- other processes


def run(script: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_a_new_process() -> None:
    assert run(TRAIN) == [str(matrix_unit.available()), fingerprint()]


@on_the_unit
def test_a_process_whose_signals_have_no_room_for_the_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux refuses the unit to such a process, which trains without."""
    monkeypatch.setattr(matrix_unit, "available", lambda: False)
    assert run(NARROW + TRAIN) == ["False", fingerprint()]


def in_a_child(work: Callable[[], bool]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process() -> None:
    """What a process was allowed, those that it forks are."""
    expected = fingerprint()
    assert in_a_child(lambda: fingerprint() == expected)
    assert in_a_child(lambda: in_a_child(lambda: fingerprint() == expected))
    assert fingerprint() == expected
