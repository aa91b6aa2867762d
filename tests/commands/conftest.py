"""What the tests of several commands need."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn import load_mnist
from fastnn.__main__ import main


@pytest.fixture
def clusters(tmp_path: Path, save_clusters: Callable[..., str]) -> str:
    """An .npz of three classes of points (300 to train, 90 to test) that are easy to tell apart."""
    return save_clusters(tmp_path / "clusters.npz", 300, 90)


def _save_clusters(path: Path, m: int, m_test: int, classes: int = 3, K: int = 4) -> str:
    rng = np.random.default_rng(0)
    centres = 4 * rng.normal(size=(classes, K))
    y = np.arange(m + m_test) % classes
    X = (centres[y] + rng.normal(size=(m + m_test, K))).astype(np.float32)
    np.savez(path, X_train=X[:m], y_train=y[:m], X_test=X[m:], y_test=y[m:])
    return str(path)


@pytest.fixture
def save_clusters() -> Callable[..., str]:
    """save_clusters(path, m, m_test, classes=3, K=4) writes an .npz and returns its name."""
    return _save_clusters


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over some of MNIST's rows, with a report. Its folder is not to be changed."""
    folder = tmp_path_factory.mktemp("digits")
    X, y, X_test, y_test = load_mnist()
    np.savez(folder / "some.npz", X_train=X[:2000], y_train=y[:2000], X_test=X_test[:500], y_test=y_test[:500])
    flags = ["--data", str(folder / "some.npz"), "--hidden", "32", "--epochs", "5", "--batch-size", "64"]
    argv = ["train", *flags, "--validation-fraction", "0.1", "--no-progress", "--out", str(folder / "run")]
    assert main(argv) == 0
    return folder / "run"


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """command(verb, flag, ...) runs a command that must succeed, and returns what it printed."""

    def run(*argv: object) -> str:
        status, (out, err) = main([str(word) for word in argv]), capsys.readouterr()
        assert (status, err) == (0, "")
        return out

    return run


@pytest.fixture
def command_json(command: Callable[..., str]) -> Callable[..., Any]:
    """As command, with --json: what its only line holds."""
    return lambda *argv: json.loads(command(*argv, "--json"))


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """refusal(verb, flag, ...) runs a command that must fail, and returns its one line."""

    def run(*argv: object) -> str:
        try:
            status: object = main([str(word) for word in argv])
        except SystemExit as exit_:
            status = exit_.code
        out, err = capsys.readouterr()
        assert (status, out, err.count("\n")) == (2, "", 1), (status, out, err)
        return err

    return run
