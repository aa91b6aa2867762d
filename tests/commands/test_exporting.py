"""The ONNX file computes what the network does, in onnxruntime."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from fastnn import MLP, load, load_mnist
from fastnn.commands.exporting import to_onnx
from fastnn.data import read_npz

X = np.random.default_rng(0).normal(size=(200, 12))


def outputs(content: bytes, rows: Any) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": rows}), strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("output", "sizes", "activation"),
    [
        ("softmax", [12, 30, 20, 5], ["relu", "tanh"]),
        ("softmax", [12, 30, 20, 10, 9, 5], ["leaky_relu", "elu", "gelu", "silu"]),
        ("softmax", [12, 3], []),
        ("sigmoid", [12, 8, 1], "sigmoid"),
        ("sigmoid", [12, 8, 3], "identity"),
        ("identity", [12, 8, 1], "relu"),
        ("identity", [12, 8, 2], "relu"),
    ],
)
def test_every_kind_of_network(output: str, sizes: list[int], activation: Any, dtype: str) -> None:
    net = MLP(sizes, activation=activation, output=output, dtype=dtype, init="normal:0.5")
    found, rows = outputs(to_onnx(net, bytes_in=False), X.astype(dtype)), X.astype(dtype)
    labels = found["prediction" if output == "identity" else "label"]
    assert labels.shape == net.predict(rows).shape
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    if output == "identity":
        np.testing.assert_allclose(labels, net.predict(rows), rtol=tolerance, atol=10 * tolerance)
    else:
        assert (labels == net.predict(rows)).all()
        np.testing.assert_allclose(found["probabilities"], net.predict_proba(rows), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 5e-6), ("float64", 1e-12)])
def test_all_of_mnist_s_test_rows(dtype: str, tolerance: float) -> None:
    """Trained until probabilities are of all sizes. The tolerance of float32 is its rounding: see to_onnx."""
    X_train, y_train, X_test, _ = load_mnist()
    net = MLP([784, 64, 10], dtype=dtype)
    net.fit(X_train[:20000], y_train[:20000], epochs=2, learning_rate=3e-3, verbose=False)
    expected, found = net.predict_proba(X_test), outputs(to_onnx(net, bytes_in=True), X_test)
    assert expected.max() > 0.99999
    np.testing.assert_allclose(found["probabilities"], expected, rtol=0, atol=tolerance)
    best = np.sort(expected, axis=1)[:, -2:]
    clear = best[:, 1] - best[:, 0] > 4 * tolerance
    assert clear.mean() > 0.999
    assert (found["label"] == net.predict(X_test))[clear].all()


def test_a_run_with_its_scaling(digits: Path, tmp_path: Path, command: Callable[..., str]) -> None:
    """Bytes go in, as they were trained on."""
    path = tmp_path / "model.onnx"
    assert (
        command("export", digits, path)
        == f"{path}: 784-32-10; its input X takes rows of uint8, which it divides by 255.\n"
    )
    rows, net = read_npz(digits.parent / "some.npz").X_test, load(digits / "last.safetensors")
    assert rows is not None
    found = outputs(path.read_bytes(), rows)
    assert (found["label"] == net.predict(rows)).all()
    np.testing.assert_allclose(found["probabilities"], net.predict_proba(rows), rtol=0, atol=1e-6)


def test_refusals(digits: Path, tmp_path: Path, refusal: Callable[..., str]) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("mine")
    assert f"{path} exists; expected a new name, or --force" in refusal("export", digits, path)
    assert "FILE is '" in refusal("export", digits, tmp_path / "model.pt")
    assert "expected a name that ends with .onnx" in refusal("export", digits, tmp_path / "model.pt")
    assert "model.onnx holds 4 bytes of something else" in refusal("export", path, tmp_path / "new.onnx")
    assert path.read_text() == "mine"
