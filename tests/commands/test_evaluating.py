"""`fastnn evaluate` against counts made here, row by row."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn import MLP, load
from fastnn.data import read_npz

Json = Callable[..., Any]
Refusal = Callable[..., str]


def test_figures_are_those_of_the_network(digits: Path, command_json: Json) -> None:
    found = command_json("evaluate", digits, "--worst", 7)
    net, data = load(digits / "last.safetensors"), read_npz(digits.parent / "some.npz")
    X, y = data.X_test, data.y_test
    assert X is not None
    assert y is not None
    predictions, probabilities = net.predict(X), net.predict_proba(X)
    assert (found["accuracy"], found["loss"], found["rows"]) == (net.score(X, y), net.loss(X, y), 500)
    matrix = np.array(found["confusion_matrix"])
    assert matrix.sum() == 500
    for true, predicted in np.ndindex(10, 10):
        assert matrix[true, predicted] == ((y == true) & (predictions == predicted)).sum()
    for label, row in enumerate(found["one_against_rest"]):
        assert row["true_positives"] == ((y == label) & (predictions == label)).sum()
        assert row["false_negatives"] == ((y == label) & (predictions != label)).sum()
        assert row["false_positives"] == ((y != label) & (predictions == label)).sum()
        assert row["true_negatives"] == ((y != label) & (predictions != label)).sum()
    assert found["wrong"] == (predictions != y).sum() > 7
    wrong = sorted((float(probabilities[i, y[i]]), i) for i in np.flatnonzero(predictions != y))
    assert [mistake["row"] for mistake in found["mistakes"]] == [i for _, i in wrong[:7]]
    worst = found["mistakes"][0]
    assert (worst["true"], worst["predicted"]) == (y[worst["row"]], predictions[worst["row"]])
    assert worst["probability"] == pytest.approx(probabilities[worst["row"]].max())


def test_text(digits: Path, command: Callable[..., str]) -> None:
    text = command("evaluate", digits)
    for part in (
        "test accuracy",
        "confusion matrix",
        "precision  recall",
        "one class against the rest",
        "the 10 worst of",
    ):
        assert part in text


def test_best_and_last_and_a_saved_network(digits: Path, command_json: Json, tmp_path: Path) -> None:
    last, best = (command_json("evaluate", digits, "--checkpoint", which) for which in ("last", "best"))
    assert last["epochs"] == 5
    assert best["epochs"] == load(digits / "best.safetensors").epochs
    load(digits / "last.safetensors").save(tmp_path / "model.safetensors")
    saved = command_json("evaluate", tmp_path / "model.safetensors", "--data", digits.parent / "some.npz")
    assert (saved["accuracy"], saved["evaluated"]) == (last["accuracy"], "given")


def test_other_data_of_bytes_is_read_as_the_training_rows_were(
    save_clusters: Callable[..., str], tmp_path: Path, command: Callable[..., str], command_json: Json
) -> None:
    data, run = save_clusters(tmp_path / "clusters.npz", 300, 90), tmp_path / "run"
    command("train", "--data", data, "--backend", "numpy", "--out", run, "--no-report", "--no-progress")
    X, y = np.random.default_rng(0).integers(0, 9, size=(40, 4)), np.arange(40) % 3
    np.savetxt(tmp_path / "whole.csv", np.column_stack([y, X]), delimiter=",", fmt="%d")
    found = command_json("evaluate", run, "--data", tmp_path / "whole.csv")
    assert found["loss"] == load(run / "last.safetensors", backend="numpy").loss(X.astype(np.float32), y)


def test_bytes_are_not_mixed_with_other_numbers(
    tmp_path: Path, command: Callable[..., str], command_json: Json, refusal: Refusal
) -> None:
    """One cell would change what all others mean."""
    rng = np.random.default_rng(0)
    table = np.column_stack([np.arange(90) % 3, rng.integers(0, 256, size=(90, 4))])
    np.savetxt(tmp_path / "bytes.csv", table, delimiter=",", fmt="%d")
    flags = ("--data", tmp_path / "bytes.csv", "--backend", "numpy", "--epochs", 2, "--no-report", "--no-progress")
    command("train", *flags, "--out", tmp_path / "run")
    (tmp_path / "mixed.csv").write_text("0,100,20,30,40\n1,140,10.5,5,6\n")
    wanted = "The features hold 100 in row 0, column 0, among numbers that are no bytes; expected bytes"
    assert wanted in refusal("evaluate", tmp_path / "run", "--data", tmp_path / "mixed.csv")
    assert wanted in refusal("predict", tmp_path / "run", tmp_path / "mixed.csv")
    fractions = np.column_stack([table[:, 0], table[:, 1:] / 255])
    np.savetxt(tmp_path / "fractions.csv", fractions, delimiter=",")
    found = [
        command_json("evaluate", tmp_path / "run", "--data", tmp_path / f"{name}.csv")["loss"]
        for name in ("bytes", "fractions")
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_data_that_has_changed(
    save_clusters: Callable[..., str], tmp_path: Path, command: Callable[..., str], refusal: Refusal
) -> None:
    """Rows that were trained on could be among those measured on."""
    data, run = save_clusters(tmp_path / "clusters.npz", 300, 90), tmp_path / "run"
    flags = ("--data", data, "--backend", "numpy", "--epochs", 1, "--no-report", "--no-progress")
    command("train", *flags, "--out", run)
    save_clusters(tmp_path / "clusters.npz", 303, 90)
    assert "was trained on rows that are {'rows': 300" in refusal("evaluate", run)


def test_yes_or_no_and_numbers(
    save_clusters: Callable[..., str], tmp_path: Path, command: Callable[..., str], command_json: Json
) -> None:
    data = save_clusters(tmp_path / "two.npz", 100, 40, classes=2)
    common = ("--data", data, "--backend", "numpy", "--hidden", "4", "--no-report", "--no-progress", "--epochs", 2)
    command("train", *common, "--output-activation", "sigmoid", "--out", tmp_path / "yes")
    found = command_json("evaluate", tmp_path / "yes")
    assert len(found["one_against_rest"]) == 2
    assert all(m["probability"] >= 0.5 >= m["probability_of_true"] for m in found["mistakes"])
    command("train", *common, "--output-activation", "identity", "--out", tmp_path / "number")
    found = command_json("evaluate", tmp_path / "number", "--worst", 3)
    distances = [abs(row["target"] - row["prediction"]) for row in found["worst"]]
    assert distances == sorted(distances, reverse=True)
    assert len(distances) == 3
    assert "farthest off" in command("evaluate", tmp_path / "number")


def test_a_saved_network_of_numbers(tmp_path: Path, command_json: Json, refusal: Refusal) -> None:
    """Nothing is known of how it was trained, only what it is; and rows that are not measured on may hold anything."""
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = 1e50 * X.sum(axis=1)
    net = MLP([4, 5, 1], output="identity", dtype="float64", backend="numpy")
    net.save(tmp_path / "net.safetensors")
    np.savez(tmp_path / "rows.npz", x_train=np.full((3, 4), np.nan), y_train=[0.5, 1, np.nan], x_test=X, y_test=y)
    found = command_json("evaluate", tmp_path / "net.safetensors", "--data", tmp_path / "rows.npz")
    assert (found["rows"], found["r2"]) == (60, net.score(X, y))
    np.savez(tmp_path / "nan.npz", X=np.where(np.arange(60)[:, None] == 7, np.nan, X), y=y)
    wanted = "nan.npz: X holds nan in row 7, column 0; expected finite numbers."
    assert wanted in refusal("evaluate", tmp_path / "net.safetensors", "--data", tmp_path / "nan.npz")


def test_a_prediction_that_is_not_finite_is_null(tmp_path: Path, command_json: Json) -> None:
    net = MLP([1, 1], output="identity", backend="numpy")
    net.weights[0][:] = 4.0
    net.save(tmp_path / "net.safetensors")
    np.savez(tmp_path / "rows.npz", X=np.array([[1.0], [2e38]], np.float32), y=[0.5, 1.0])
    with np.errstate(over="ignore"):
        found = command_json("evaluate", tmp_path / "net.safetensors", "--data", tmp_path / "rows.npz")
    assert [row["prediction"] for row in found["worst"]] == [None, 4.0]


def test_a_recipe_s_question_is_asked_of_other_data(
    save_clusters: Callable[..., str], tmp_path: Path, command: Callable[..., str], command_json: Json
) -> None:
    data = save_clusters(tmp_path / "ten.npz", 500, 100, classes=10)
    flags = ("--recipe", "zero-logistic", "--data", data, "--backend", "numpy", "--epochs", 50, "--no-report")
    command("train", *flags, "--out", tmp_path / "run", "--no-progress")
    found = [command_json("evaluate", tmp_path / "run", *more) for more in ((), ("--data", data))]
    assert found[0]["confusion_matrix"] == found[1]["confusion_matrix"]


def test_refusals(digits: Path, tmp_path: Path, refusal: Refusal, save_clusters: Callable[..., str]) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no last.safetensors; expected the folder of a run" in refusal("evaluate", tmp_path / "empty")
    assert "No such file" in refusal("evaluate", tmp_path / "nothing")
    other = save_clusters(tmp_path / "clusters.npz", 30, 9)
    assert f"{other}: X has 4 features; expected 784" in refusal("evaluate", digits, "--data", other)
    assert "--worst is -1" in refusal("evaluate", digits, "--worst", -1)
    MLP([4, 3]).save(tmp_path / "four.safetensors")
    assert "--data is not given, nor does" in refusal("evaluate", tmp_path / "four.safetensors")
    MLP([784, 3]).save(tmp_path / "few.safetensors")
    few = refusal("evaluate", tmp_path / "few.safetensors", "--checkpoint", "best")
    assert f"--checkpoint is 'best', and {tmp_path / 'few.safetensors'} the file of a network" in few
    some = digits.parent / "some.npz"
    assert "expected whole numbers from 0 to 2" in refusal("evaluate", tmp_path / "few.safetensors", "--data", some)
