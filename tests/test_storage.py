"""Saved networks come back bit for bit; test_bad_files has what is refused, test_files how files are replaced."""

import os
from pathlib import Path

import numpy as np
import pytest

from fastnn import MLP, load, storage
from fastnn.optimizers import OPTIMIZERS
from fastnn.trainer import Unfinished

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
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_loaded_network_trains_on_as_the_saved_one(optimizer: str, backend: str, path: Path) -> None:
    """With its next shuffle, and with what the optimizer remembers."""
    net, y = MLP([3, 4, 2], backend=backend), np.arange(30) % 2
    net.fit(X, y, epochs=3, batch_size=7, optimizer=optimizer, verbose=False)
    net.save(path)
    again = load(path, backend=backend)
    for each in (net, again):
        each.fit(X, y, epochs=2, batch_size=7, optimizer=optimizer, verbose=False)
    assert net.weights[0].tobytes() == again.weights[0].tobytes()


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("optimizer", ["rmsprop", "adam", "adamw"])
def test_squares_beyond_float32(optimizer: str, backend: str, path: Path) -> None:
    """What is remembered of them is infinite, while weights and loss are not: the network goes on as it would have."""
    times = (1_760_000_000_000_000_000 + np.arange(64) * 10**9)[:, None]
    net = MLP([1, 4, 1], output="identity", backend=backend, seed=0)
    how = {"epochs": 1, "optimizer": optimizer, "learning_rate": 1e-3, "verbose": False}
    net.fit(times, np.sin(np.arange(64)), **how)
    assert np.isinf(net._state.slots[-1][1]).any()
    net.save(path)
    again = load(path, backend=backend)
    for each in (net, again):
        each.fit(times, np.sin(np.arange(64)), **how)
    np.testing.assert_array_equal(net.weights[1], again.weights[1])


def test_weights_that_are_not_finite_are_not_saved(path: Path) -> None:
    net = tiny()
    net.weights[0][0, 0] = np.nan
    with pytest.raises(ValueError, match=r"weights\.0 holds a value that is not finite"):
        net.save(path)
    assert not path.exists()


def test_a_checkpoint_comes_back_whole(path: Path) -> None:
    net = tiny()
    history = net.fit(X[:, :2], np.arange(30) % 2, epochs=3, verbose=False)
    net._state.unfinished = Unfinished(steps=2, loss=0.1 + 0.2, right=7)
    settings, data = {"hidden": [1], "data": '"checksum": "\\"', "lr": 0.1 + 0.2, "quick": True}, {"rows": 30}
    storage.save(path, storage.Checkpoint(net.architecture, net._state, history, settings, data))
    again = storage.load(path)
    assert (again.history, again.settings, again.data) == (history, settings, data)
    assert (again.state.unfinished, again.state.steps) == (net._state.unfinished, net._state.steps)


def test_the_same_network_makes_the_same_bytes(path: Path) -> None:
    assert content_of(tiny(), path) == content_of(tiny(), path)


def test_text_paths(path: Path) -> None:
    tiny().save(str(path))
    assert load(str(path)).architecture == tiny().architecture


def test_a_network_of_too_many_layers_is_not_saved(path: Path) -> None:
    with pytest.raises(ValueError, match="expected at most 1048576: fewer layers"):
        MLP([1] * 10_000, init="uniform:1").save(path)
    assert not path.exists()


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tiny().save(tmp_path / "missing" / "model.safetensors")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.safetensors")
    for use in (tiny().save, load):
        with pytest.raises(IsADirectoryError):
            use(tmp_path)
    assert os.listdir(tmp_path) == []
