"""Whole trainers between guard zones: no kernel writes outside the buffers it was given, whatever the sizes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP, compiled, features, packing

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
]


class Fence:
    """Stands in for packing.aligned: the same zeros, in the middle of memory that nobody may touch."""

    def __init__(self) -> None:
        self.taken: list[tuple[Array, int, int]] = []

    def aligned(self, size: int, dtype: np.dtype[Any]) -> Array:
        memory = np.full((size + 2 * ZONE) * dtype.itemsize + ALIGNMENT, 0xA5, np.uint8)
        begin = ZONE * dtype.itemsize
        begin += -(memory.ctypes.data + begin) % ALIGNMENT
        end = begin + size * dtype.itemsize
        memory[begin:end] = 0
        self.taken.append((memory, begin, end))
        return memory[begin:end].view(dtype)

    def check(self) -> None:
        for memory, begin, end in self.taken:
            assert (memory[:begin] == 0xA5).all(), "written before the beginning of a buffer"
            assert (memory[end:] == 0xA5).all(), "written after the end of a buffer"


@pytest.fixture
def fence(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fence]:
    fence = Fence()
    for module in (packing, compiled, features):
        monkeypatch.setattr(module, "aligned", fence.aligned)
    yield fence
    assert fence.taken
    fence.check()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("batch_size", [None, 1, 7, 64])
def test_training(fence: Fence, shape: tuple[int, ...], dtype: str, batch_size: int | None) -> None:
    rng = np.random.default_rng(0)
    m = 131 if batch_size else 300
    X = (rng.random((m, shape[0])) * (rng.random((m, shape[0])) < 0.2)).astype(dtype)
    y = rng.integers(0, max(2, shape[-1]), m)
    net = MLP(shape, activation="tanh", dtype=dtype)
    net.fit(X, y, epochs=5, batch_size=batch_size, verbose=False, threads=3)
    fence.check()
    assert np.isfinite(net.loss(X, y))
    assert net.predict_proba(X, threads=2).shape == (m, shape[-1])


def test_a_fence_that_is_crossed_is_noticed() -> None:
    fence = Fence()
    array = fence.aligned(10, np.dtype(np.float32))
    memory, begin, end = fence.taken[0]
    assert array.ctypes.data % ALIGNMENT == 0
    assert array.nbytes == end - begin
    memory[end] = 0
    with pytest.raises(AssertionError):
        fence.check()
