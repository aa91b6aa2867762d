"""Saved networks come back bit for bit, and no half-written file is ever left; test_bad_files has what is refused."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn import MLP, load

X = np.random.default_rng(0).normal(size=(30, 3))
NETWORKS = [("softmax", [3, 4, 2]), ("sigmoid", [3, 1]), ("sigmoid", [3, 4, 5, 2]), ("identity", [3, 4, 1])]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def tiny() -> MLP:
    return MLP([2, 1, 2], init="uniform:1")


def content_of(net: MLP, path: Path) -> bytes:
    net.save(path)
    return path.read_bytes()


# --- what comes back


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("output", "sizes"), NETWORKS)
def test_round_trip(output: str, sizes: list[int], dtype: str, backend: str, path: Path) -> None:
    activations = ["tanh", "relu", "sigmoid"][: len(sizes) - 2]
    net = MLP(sizes, activation=activations, output=output, dtype=dtype, backend=backend, seed=3)
    net.save(path)
    again = load(path, backend=backend)
    assert (again.architecture, again.dtype, again.backend) == (net.architecture, net.dtype, backend)
    for array, loaded in zip(net.weights + net.biases, again.weights + again.biases, strict=True):
        assert array.dtype == loaded.dtype
        assert array.tobytes() == loaded.tobytes()
    assert net.predict_proba(X).tobytes() == again.predict_proba(X).tobytes()


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_loaded_network_trains_on_as_the_saved_one(backend: str, path: Path) -> None:
    """Its next shuffle included; what an optimizer remembers is not saved, and "sgd" remembers nothing."""
    net, y = MLP([3, 4, 2], backend=backend), np.arange(30) % 2
    net.fit(X, y, epochs=3, batch_size=7, optimizer="sgd", verbose=False)
    net.save(path)
    again = load(path, backend=backend)
    for each in (net, again):
        each.fit(X, y, epochs=2, batch_size=7, optimizer="sgd", verbose=False)
    assert net.weights[0].tobytes() == again.weights[0].tobytes()


def test_text_paths(path: Path) -> None:
    tiny().save(str(path))
    assert load(str(path)).architecture == tiny().architecture


# --- how it is written


def test_saving_replaces_the_file_as_a_whole(path: Path) -> None:
    first = content_of(tiny(), path)
    second = content_of(MLP([3, 1]), path)
    assert first != second
    assert load(path).architecture.sizes == (3, 1)
    assert os.listdir(path.parent) == [path.name]


def test_a_failing_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content_of(tiny(), path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(OSError, match="No space left on device"):
                MLP([3, 1]).save(path)
        assert path.read_bytes() == before
        assert os.listdir(path.parent) == [path.name]


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tiny().save(tmp_path / "missing" / "model.safetensors")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.safetensors")
    with pytest.raises(IsADirectoryError):
        tiny().save(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="permission bits")
def test_permissions_follow_the_umask(path: Path) -> None:
    old = os.umask(0o027)
    try:
        tiny().save(path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o640
