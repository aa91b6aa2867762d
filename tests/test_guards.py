"""Whole trainers between guard zones: no kernel writes outside the buffers it was given, whatever the sizes."""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP, compiled, features, packing, plain, slicing
from fastnn.architecture import Architecture
from fastnn.objective import Objective
from fastnn.optimizers import Optimizer
from fastnn.trainer import Plan, State

Array = NDArray[Any]
ZONE = 1024  # numbers on either side; more than any tile is wide
ALIGNMENT = 64
SHAPES = [
    (1, 1),
    (1, 2),
    (2, 3, 2),
    (3, 16, 17, 5),
    (15, 33, 1),
    (17, 1, 4),
    (31, 100, 63, 10),
    (5, 1501, 3),
    (783, 65, 7),
    (33, 97, 2),
    (9, 210, 17),
]
# Of features that are bytes: so many inputs that a matrix unit, if there is one, makes the first layer, and wide ones.
SHAPES_OF_BYTES = [
    (64, 1),
    (65, 17, 3),
    (97, 48, 20, 5),
    (70, 260, 130, 4),
    (65, 150, 129, 200),
    (100, 210, 17),
    (783, 65, 7),
    (1090, 33, 2),
]


class Fence:
    """Stands in for packing.aligned: the same memory, in the middle of memory that nobody may touch."""

    def __init__(self) -> None:
        self.taken: list[tuple[Array, int, int]] = []

    def aligned(self, size: int, dtype: np.dtype[Any], *, zeros: bool = True) -> Array:
        memory = np.full((size + 2 * ZONE) * dtype.itemsize + ALIGNMENT, 0xA5, np.uint8)
        begin = ZONE * dtype.itemsize
        begin += -(memory.ctypes.data + begin) % ALIGNMENT
        end = begin + size * dtype.itemsize
        memory[begin:end] = 0 if zeros else 0xA5
        self.taken.append((memory, begin, end))
        return memory[begin:end].view(dtype)

    def check(self) -> None:
        for memory, begin, end in self.taken:
            assert (memory[:begin] == 0xA5).all(), "written before the beginning of a buffer"
            assert (memory[end:] == 0xA5).all(), "written after the end of a buffer"


def modules_of(package: ModuleType) -> list[ModuleType]:
    return [import_module(f"{package.__name__}.{module.name}") for module in iter_modules(package.__path__)]


@pytest.fixture
def fence(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fence]:
    fence = Fence()
    monkeypatch.setattr("fastnn.compiled.forward.WORTH_A_THREAD", 1)
    monkeypatch.setattr("fastnn.compiled.forward.WORTH_WAKING", 1)
    for module in (packing, slicing, features, *modules_of(compiled)):
        monkeypatch.setattr(module, "aligned", fence.aligned, raising=False)
    yield fence
    assert fence.taken
    fence.check()


def check_training(fence: Fence, shape: tuple[int, ...], dtype: str, X: Array, batch_size: int | None) -> None:
    m = len(X)
    y = np.random.default_rng(1).integers(0, max(2, shape[-1]), m)
    net = MLP(shape, activation="tanh", dtype=dtype)
    net.fit(X, y, epochs=5, batch_size=batch_size, verbose=False, threads=3)
    fence.check()
    assert np.isfinite(net.loss(X, y))
    assert net.predict_proba(X, threads=2).shape == (m, shape[-1])


def rows_for(batch_size: int | None) -> int:
    return 131 if batch_size else 300


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("batch_size", [None, 1, 7, 64, 130])
def test_training(fence: Fence, shape: tuple[int, ...], dtype: str, batch_size: int | None) -> None:
    rng, size = np.random.default_rng(0), (rows_for(batch_size), shape[0])
    X = (rng.random(size) * (rng.random(size) < 0.2)).astype(dtype)
    check_training(fence, shape, dtype, X, batch_size)


@pytest.mark.parametrize("shape", SHAPES_OF_BYTES, ids=str)
@pytest.mark.parametrize("batch_size", [None, 32, 33, 64, 130])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_on_bytes(fence: Fence, dtype: str, shape: tuple[int, ...], batch_size: int | None) -> None:
    X = np.random.default_rng(0).integers(0, 256, (rows_for(batch_size), shape[0]), dtype=np.uint8)
    check_training(fence, shape, dtype, X, batch_size)


def features_of(kind: str, shape: tuple[int, ...], m: int) -> tuple[Array, np.dtype[Any]]:
    """X (m, K) of this kind, and the dtype of a network for it."""
    rng = np.random.default_rng(1)
    if kind == "uint8":
        return rng.integers(0, 256, (m, shape[0]), dtype=np.uint8), np.dtype("float32")
    return rng.normal(size=(m, shape[0])).astype(kind), np.dtype(kind)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [(kind, shape) for kind in ("float32", "float64") for shape in SHAPES if len(shape) > 2]
    + [("uint8", shape) for shape in SHAPES_OF_BYTES if len(shape) > 2],
    ids=str,
)
def test_objectives(fence: Fence, shape: tuple[int, ...], kind: str) -> None:
    """Dropout, activations that keep what went into them, weights, a penalty, and the gradient of all rows."""
    rng, hidden, m = np.random.default_rng(0), len(shape) - 2, 300
    architecture = Architecture(shape, ("gelu", "tanh")[:hidden] if hidden < 3 else ("silu",) * hidden, "identity")
    objective = Objective("huber", 0.5, penalty=0.1, dropout=(0.3,) * hidden, seed=4)
    X, dtype = features_of(kind, shape, m)
    Y = rng.normal(size=(m, shape[-1])).astype(dtype)
    parameters = [rng.normal(size=size).astype(dtype) for size in (*architecture.layers, *((N,) for N in shape[1:]))]
    state, weights = State(parameters[: hidden + 1], parameters[hidden + 1 :]), rng.random(m)
    state.begin(Optimizer("adam"))
    for batch_size in (1, 7, 64, m):
        plan = Plan(1, batch_size, Optimizer("adam"), 0, 3, objective=objective)
        trainer = compiled.Trainer(architecture, state, X, Y, plan, weights)
        losses = np.zeros(1)
        trainer.run(losses, np.zeros(1, np.int64), rng.permutation(m), None)
        trainer.finish()
        assert np.isfinite(losses).all()
        fence.check()
    whole = replace(objective, dropout=())
    value, gradient = compiled.Gradient(architecture, X, Y, whole, weights, dtype, 3)(parameters)
    expected = plain.Gradient(architecture, X, Y, whole, weights, dtype, 1)(parameters)
    np.testing.assert_allclose(value, expected[0], rtol=1e-4)
    for found, wanted in zip(gradient, expected[1], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


def test_a_fence_that_is_crossed_is_noticed() -> None:
    fence = Fence()
    array = fence.aligned(10, np.dtype(np.float32))
    memory, begin, end = fence.taken[0]
    assert array.ctypes.data % ALIGNMENT == 0
    assert array.nbytes == end - begin
    memory[end] = 0
    with pytest.raises(AssertionError):
        fence.check()
