"""The command line: what it prints, what it saves, and how it refuses."""

import errno
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn import MLP, Diverged, load, storage
from fastnn.commands.settings import NAMES
from fastnn.recipes import RECIPES
from fastnn.train import main

NUMPY = ("--backend", "numpy", "--epochs", "3", "--hidden", "8", "--no-progress", "--no-report")


def save_csv(path: Path, X: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> str:
    np.savetxt(path, np.column_stack([y, X]), delimiter=",", fmt="%.6g")
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[str, dict[str, Any]]:
    """Run the command with --json: what it printed before the last line, and that line's object."""
    assert main([*argv, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    *text, last = out.splitlines()
    return "\n".join(text), json.loads(last)


def process(*argv: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fastnn.train", *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd, check=False)


# --- what it prints


def test_report_and_json(clusters: str, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ("--data", clusters, "--lr", "0.01", "--seed", "7", *NUMPY, "--epochs", "30", "--batch-size", "32")
    text, figures = run(capsys, *argv)
    assert text.splitlines()[0] == "4-8-3, 300 rows in batches of 32, adam at 0.01, 30 epochs, seed 7"
    assert f"test accuracy {figures['test_accuracy']:.2%}  (90 test rows)" in text
    assert "confusion matrix" in text
    assert "precision  recall" in text
    assert "Nothing is kept; --out DIR keeps the run." in text
    assert figures["accuracy"] == figures["test_accuracy"] > 0.95
    assert 0 < figures["loss"] == figures["test_loss"] < 1
    assert 0 < figures["final_loss"] < 1
    assert figures["train_seconds"] > 0
    expected = {"sizes": [4, 8, 3], "epochs": 30, "seed": 7, "backend": "numpy", "dtype": "float32", "recipe": None}
    assert expected.items() <= figures.items()


@pytest.mark.parametrize(("first", "said"), [("5", True), ("5.0", False), ("-5", False)])
def test_a_table_of_bytes_is_told(first: str, said: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{i % 2},{i % 7},{i}\n" for i in range(20))
    (tmp_path / "table.csv").write_text(f"0,{first},200\n{rows}")
    text, _ = run(capsys, "--data", str(tmp_path / "table.csv"), *NUMPY)
    assert ("features are whole numbers from 0 to 255, taken as x / 255" in text.splitlines()) == said


def test_a_seed_repeats_a_run(clusters: str, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ("--data", clusters, *NUMPY, "--validation-fraction", "0.2")
    losses = [run(capsys, *argv, "--seed", seed)[1]["final_loss"] for seed in ("1", "1", "2")]
    assert losses[0] == losses[1] != losses[2]


def test_progress_is_a_line_an_epoch(clusters: str, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ("--data", clusters, "--backend", "numpy", "--epochs", "4", "--validation-fraction", "0.1")
    text, _ = run(capsys, *argv)
    lines = [line for line in text.splitlines() if line.startswith("epoch ")]
    assert [line.split()[1] for line in lines] == ["1/4", "2/4", "3/4", "4/4"]
    assert all("val_accuracy" in line for line in lines)


def test_regression_reports_r2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    X = np.random.default_rng(0).normal(size=(200, 3))
    train = save_csv(tmp_path / "train.csv", X, X @ [1.0, -2.0, 0.5])
    argv = ("--data", train, "--test-data", train, "--output-activation", "identity", *NUMPY)
    text, figures = run(capsys, *argv, "--hidden", "none", "--lr", "0.1", "--epochs", "200")
    assert f"test R2 {figures['test_r2']:.4f}" in text
    assert figures["r2"] == figures["test_r2"] > 0.99
    assert figures["test_accuracy"] is None
    assert "confusion" not in text
    assert figures["sizes"] == [3, 1]


def test_yes_or_no(save_clusters: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = save_clusters(tmp_path / "two.npz", 100, 40, classes=2)
    text, figures = run(capsys, "--data", data, "--output-activation", "sigmoid", *NUMPY)
    assert figures["sizes"] == [4, 8, 1]
    assert re.search(r"true \| +0 +1\n", text)


@pytest.mark.parametrize(
    ("flags", "what", "rows"),
    [((), "training", 50), (("--validation-fraction", "0.2"), "validation", 10)],
)
def test_without_test_rows_it_says_what_it_measures_on(
    flags: tuple[str, ...], what: str, rows: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = save_csv(tmp_path / "train.csv", np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 2)
    text, figures = run(capsys, "--data", data, *NUMPY, *flags)
    assert f"{what} accuracy {figures['accuracy']:.2%}  ({rows} {what} rows; the data has no test rows)" in text
    assert figures["evaluated"] == what
    assert figures["test_accuracy"] is figures["test_loss"] is None


def test_a_class_of_rows_that_are_held_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It counts, though neither the rows to train on nor the test rows have it."""
    rng, sizes = np.random.default_rng(0), set()
    for place in range(8):
        y = np.where(np.arange(8) == place, 3, np.arange(8) % 3)
        arrays = {"x_train": rng.normal(size=(8, 4)), "y_train": y, "x_test": rng.normal(size=(6, 4))}
        np.savez(tmp_path / "rare.npz", **arrays, y_test=np.arange(6) % 3)
        argv = ("--data", str(tmp_path / "rare.npz"), "--validation-fraction", "0.1", *NUMPY)
        sizes.add(tuple(run(capsys, *argv)[1]["sizes"]))
    assert sizes == {(4, 8, 4)}


def test_test_data_of_bytes_is_read_as_the_training_rows_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    X, y = np.random.default_rng(0).integers(0, 9, size=(60, 3)), np.arange(60) % 2
    parts = save_csv(tmp_path / "a.csv", X + 0.5, y), save_csv(tmp_path / "b.csv", X, y)
    same = save_csv(tmp_path / "c.csv", np.vstack([X, X[:1] + 0.5]), np.append(y, 0))
    losses = [run(capsys, "--data", parts[0], "--test-data", test, *NUMPY)[1]["test_loss"] for test in (parts[1], same)]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


# --- recipes


def test_recipe_and_flags_that_win_over_it(
    save_clusters: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = save_clusters(tmp_path / "ten.npz", 1500, 50, classes=10)
    argv = ("--recipe", "digits-relu10", "--data", data, "--backend", "numpy", "--no-progress", "--epochs", "5")
    text, figures = run(capsys, *argv)
    assert text.startswith("4-10-10, 500 rows at once, sgd at 0.1, 5 epochs, seed 0\n")
    assert "(1000 held-out rows)" in text
    assert (figures["recipe"], figures["evaluated"]) == ("digits-relu10", "held-out")
    text, _ = run(capsys, *argv, "--lr", "0.2", "--hidden", "6", "--validation-fraction", "0.1")
    assert text.startswith("4-6-10, 1350 rows at once, sgd at 0.2, 5 epochs, seed 0\n")
    assert "(50 test rows)" in text  # those held out are for validation


def test_zero_recipe_tells_zeros_from_others(
    save_clusters: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = save_clusters(tmp_path / "ten.npz", 500, 100, classes=10)
    text, figures = run(capsys, "--recipe", "zero-logistic", "--data", data, "--backend", "numpy", "--epochs", "50")
    assert figures["sizes"] == [4, 1]
    assert figures["test_accuracy"] >= 0.85
    assert len(text.split("confusion matrix")[1].split("class  precision")[0].splitlines()) == 5


# --- keeping


FILES = ["best.safetensors", "config.toml", "environment.json", "last.safetensors", "metrics.jsonl"]


def test_a_folder_of_any_bytes(clusters: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    assert main(["--data", clusters, *NUMPY, "--report", "--out", out]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"Kept in {tmp_path}/?: ")
    assert "?: test accuracy" in (Path(out) / "report.html").read_text()


def test_out_keeps_the_run(clusters: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "run"
    text, figures = run(capsys, "--data", clusters, *NUMPY, "--out", str(out), "--validation-fraction", "0.1")
    assert f"Kept in {out}: config.toml, metrics.jsonl" in text
    assert sorted(os.listdir(out)) == FILES
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert [*lines[0]] == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    assert lines[-1]["loss"] == figures["final_loss"]
    best = load(out / "best.safetensors", backend="numpy")
    assert best._state.epochs == 1 + int(np.argmax([line["val_accuracy"] for line in lines]))
    environment = json.loads((out / "environment.json").read_text())
    assert environment["numpy"] == np.__version__
    assert {"python", "numba", "cpu", "cpus", "platform", "started", "command"} <= set(environment)


def test_metrics_are_there_as_soon_as_an_epoch_ends(
    clusters: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[int] = []
    monkeypatch.setattr(
        "fastnn.commands.recorder.Recorder.save",
        lambda *_: lines.append(len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines())),
    )
    assert main(["--data", clusters, *NUMPY, "--out", str(tmp_path / "run"), "--save-every", "1"]) == 0
    assert lines == [1, 2, 3, 3]


def test_config_is_read_back_and_flags_win(clusters: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--recipe", "digits-relu10", "--data", clusters, *NUMPY, "--hidden", "5,4", "--activation", "tanh,relu")
    more = ("--validation-fraction", "0.2", "--lr", "0.05", "--threads", "1", "--optimizer", "nesterov", "--seed", "3")
    _, figures = run(capsys, *flags, *more, "--out", str(tmp_path / "a"))
    config = ("--config", str(tmp_path / "a" / "config.toml"), "--no-progress")
    text, again = run(capsys, *config, "--out", str(tmp_path / "b"))
    assert again | {"train_seconds": 0, "out": 0} == figures | {"train_seconds": 0, "out": 0}
    assert (tmp_path / "a" / "config.toml").read_text() == (tmp_path / "b" / "config.toml").read_text()
    assert "at 0.05, 3 epochs" in text
    text, _ = run(capsys, *config, "--lr", "0.1", "--epochs", "2")
    assert "at 0.1, 2 epochs" in text


def test_config_holds_every_setting(clusters: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--data", Path(clusters).name, *NUMPY, "--batch-size", "full", "--out", "run"]) == 0
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert set(config) == NAMES - {"out", "force", "progress", "live", "json", "recipe", "test_data"}
    expected = {"batch_size": "full", "threads": "all", "init": "he", "output": "softmax", "data": clusters}
    assert expected.items() <= config.items()


@pytest.mark.parametrize(
    ("activation", "init"),
    [("leaky_relu", "glorot"), ("relu", "he"), ("leaky_relu,tanh", "glorot"), ("tanh,relu", "he")],
)
def test_config_names_the_first_weights(
    activation: str, init: str, clusters: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hidden = "5,4" if "," in activation else "5"
    flags = ("--data", clusters, *NUMPY, "--hidden", hidden, "--activation", activation)
    _, figures = run(capsys, *flags, "--out", str(tmp_path / "a"))
    assert tomllib.loads((tmp_path / "a" / "config.toml").read_text())["init"] == init
    _, again = run(capsys, "--config", str(tmp_path / "a" / "config.toml"), "--no-progress")
    assert again["final_loss"] == figures["final_loss"]


@pytest.mark.parametrize("name", [*FILES, "report.html"])
def test_out_overwrites_nothing(name: str, clusters: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_text("mine")
    assert main(["--data", clusters, *NUMPY, "--out", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""  # so nothing was trained
    assert err.startswith(
        f"fastnn.train: error: --out is '{tmp_path}', which holds a {name}; expected a folder without"
    )
    assert err.count("\n") == 1
    assert (tmp_path / name).read_text() == "mine"


def test_force_replaces_a_run_and_nothing_else(clusters: str, tmp_path: Path) -> None:
    for name in ("report.html", "last.safetensors", "mine"):
        (tmp_path / name).write_text("old")
    assert main(["--data", clusters, *NUMPY, "--out", str(tmp_path), "--force"]) == 0
    assert sorted(os.listdir(tmp_path)) == sorted([*FILES, "clusters.npz", "mine"])
    assert load(tmp_path / "last.safetensors", backend="numpy")._state.epochs == 3


def test_force_overwrites_nothing_when_something_else_is_wrong(clusters: str, tmp_path: Path) -> None:
    (tmp_path / "last.safetensors").write_text("old")
    for flags in (("--data", "missing.csv"), ("--lr", "-1"), ("--output-activation", "sigmoid")):
        assert main(["--data", clusters, *NUMPY, "--out", str(tmp_path), "--force", *flags]) == 2
    assert (tmp_path / "last.safetensors").read_text() == "old"


def test_force_overwrites_nothing_when_the_run_cannot_be_kept(
    clusters: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--data", clusters, *NUMPY, "--out", str(tmp_path), "--force")
    (tmp_path / "last.safetensors").write_text("old")
    monkeypatch.setattr("fastnn.storage.MOST_HEADER", 100)
    assert main([*flags]) == 2
    assert "The checkpoint's header has" in capsys.readouterr().err
    monkeypatch.undo()
    data = os.fsencode(tmp_path) + b"/caf\xe9.npz"
    try:
        os.rename(clusters, data)
    except OSError:  # where all names of files are UTF-8
        return
    assert main([*flags, "--data", os.fsdecode(data)]) == 2
    assert "which is no UTF-8; expected" in capsys.readouterr().err
    assert os.listdir(tmp_path).count("last.safetensors") == 1
    assert (tmp_path / "last.safetensors").read_text() == "old"


# --- refusing

BAD_FLAGS = [
    ("--recipe nothing", "--recipe is 'nothing'; expected one of zero-logistic"),
    ("--data missing.npz", "missing.npz"),
    ("--data missing\nfile", "missing\\nfile: No such file"),
    ("--test-data missing.csv", "missing.csv"),
    ("--test-data narrow.csv", "The test rows have 2 features; expected 4"),
    (
        "--data fractions.csv",
        "fractions.csv: y holds 0.333333 in row 1; expected whole numbers from 0, or --output-act",
    ),
    ("--test-data negative.csv", "negative.csv: y holds -1 in row 7; expected whole numbers from 0"),
    (
        "--data negative.csv --output-activation sigmoid",
        "negative.csv: y holds -1 in row 7; expected whole numbers fro",
    ),
    ("--data nan.csv --validation-fraction 0.5", "nan.csv: X holds nan in row 7, column 3; expected finite numbers."),
    ("--data nan.csv --output-activation identity --test-data clusters.npz", "nan.csv: X holds nan in row 7, column 3"),
    ("--data infinite.csv --output-activation identity", "infinite.csv: y holds inf in row 7; expected finite numbers"),
    ("--data large.csv", "The labels go to 1000000; expected fewer classes than rows"),
    ("--hidden 8,x", "--hidden"),
    ("--hidden 0", "--hidden is 0; expected an integer of at least 1."),
    ("--hidden -3", "--hidden is -3"),
    ("--activation swish", "--activation is 'swish'"),
    ("--activation relu,relu", "--activation names 2 functions"),
    ("--output-activation relu", "--output-activation is 'relu'; expected one of softmax, sigmoid, identity."),
    ("--output-activation sigmoid", ""),  # of labels 0, 1 and 2
    ("--epochs 0", "--epochs is 0"),
    ("--epochs 1.5", "--epochs"),
    ("--batch-size 0", "--batch-size is 0"),
    ("--batch-size half", "--batch-size"),
    ("--optimizer lion", "--optimizer is 'lion'"),
    ("--lr 0", "--lr is 0.0"),
    ("--lr -1", "--lr is -1.0"),
    ("--lr nan", "--lr is nan"),
    ("--momentum 1", "--momentum is 1.0"),
    (
        "--momentum 0.5",
        "--momentum is 0.5, which adam has no use for; expected --optimizer momentum or nesterov with it.",
    ),
    ("--weight-decay -1", "--weight-decay is -1.0"),
    ("--init xavier", "--init is 'xavier'"),
    ("--init uniform", "--init is 'uniform'"),
    ("--init normal:x", "--init is 'normal:x'"),
    ("--init-biases", "--init"),
    ("--validation-fraction 1", "--validation-fraction is 1.0"),
    ("--validation-fraction 0.999", "training rows; expected at least"),
    ("--seed -1", "--seed is -1"),
    ("--threads 0", "--threads is 0"),
    ("--dtype float16", "--dtype is 'float16'"),
    ("--backend torch", "--backend is 'torch'"),
    ("--out ", "--out is ''; expected a name."),
    ("--out clusters.npz", "--out is 'clusters.npz'"),
    ("--out clusters.npz/run", "--out is 'clusters.npz/run'"),
    ("--momentu 0.5", "--momentu"),
    ("--save-every 0", "--save-every is '0'; expected epochs such as 2, or 30s."),
    ("--save-every soon", "--save-every is 'soon'"),
    ("--save-every nans", "--save-every is 'nans'"),
    ("--config missing.toml", "missing.toml: No such file"),
    ("--config narrow.csv", "narrow.csv is no config.toml of a run"),
    ("--config wrong.toml", "wrong.toml: learning_rate is 'much'; expected a number."),
    ("--config recipe.toml", "recipe.toml: recipe is 'mine'; expected one of zero-logistic, "),
    ("--config unknown.toml", "unknown.toml is no config.toml of a run: a setting is 'lr'; expected one of"),
    ("--config wrong.toml --recipe digits-relu10", "--recipe and --config are both given"),
    ("--resume nothing", "--data is given with --resume"),
    ("--frobnicate", "--frobnicate"),
    ("positional", "positional"),
]


@pytest.mark.parametrize(("flags", "words"), BAD_FLAGS, ids=[flags for flags, _ in BAD_FLAGS])
def test_bad_flags(
    flags: str,
    words: str,
    clusters: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    X = np.ones((50, 2))
    save_csv(tmp_path / "narrow.csv", X, np.arange(50) % 3)
    save_csv(tmp_path / "fractions.csv", X, np.arange(50) / 3)
    save_csv(tmp_path / "large.csv", X, np.full(50, 1000000))
    seventh = np.arange(50) == 7
    save_csv(tmp_path / "negative.csv", np.ones((50, 4)), np.where(seventh, -1, 1))
    save_csv(tmp_path / "nan.csv", np.where(seventh[:, None] & (np.arange(4) == 3), np.nan, 1.0), np.arange(50) % 3)
    save_csv(tmp_path / "infinite.csv", np.ones((50, 4)), np.where(seventh, np.inf, 1.0))
    (tmp_path / "wrong.toml").write_text('learning_rate = "much"')
    (tmp_path / "recipe.toml").write_text('recipe = "mine"')
    (tmp_path / "unknown.toml").write_text("lr = 1")
    before = sorted(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    try:
        status: object = main(["--data", clusters, *NUMPY, "--out", "fresh", *flags.split(" ")])
    except SystemExit as exit_:
        status = exit_.code
    err = capfd.readouterr().err
    assert status == 2
    assert len(err.splitlines()) == 1
    assert err.startswith("fastnn.train: error: ")
    assert words in err
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_is_saved_without_a_folder(clusters: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", clusters, *NUMPY, "--save-every", "1"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == (
        "",
        "fastnn.train: error: --save-every is given without --out; expected both, for without it nothing is saved.\n",
    )


def test_divergence_without_a_folder_claims_nothing(clusters: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", clusters, *NUMPY, "--optimizer", "sgd", "--lr", "1e30"]) == 2
    err = capsys.readouterr().err
    assert "with learning_rate 1e+30; a smaller one would be right. Nothing is kept; --out DIR would keep" in err


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_divergence_keeps_the_last_finite_weights(
    backend: str, clusters: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of the very step before, as `fit` leaves them; the run resumed ends at once, and at the same place."""
    run = tmp_path / "run"
    with np.load(clusters) as file:
        X, y = file["X_train"], file["y_train"]
    how = {"epochs": 40, "batch_size": 32, "optimizer": "sgd", "learning_rate": 3.0}
    flags = ("--batch-size", "32", "--optimizer", "sgd", "--lr", "3", "--output-activation", "identity")
    argv = ("--data", clusters, *NUMPY, *flags, "--backend", backend, "--epochs", "40", "--out", str(run))
    net = MLP([4, 8, 1], output="identity", backend=backend)
    with pytest.raises(Diverged) as caught:
        net.fit(X, y, verbose=False, **how)
    for again in (argv, ("--resume", str(run), "--no-progress")):
        assert main(again) == 2
        err = capsys.readouterr().err
        assert err == f"fastnn.train: error: {str(caught.value)[:-1]} in {run / 'last.safetensors'}.\n"
        state = load(run / "last.safetensors", backend=backend)._state
        assert [P.tobytes() for P in state.weights + state.biases] == [P.tobytes() for P in net.weights + net.biases]
        steps = (caught.value.epoch - 1) * 10 + caught.value.batch - 1
        assert (state.steps, state.epochs, state.unfinished.steps) == (steps, *divmod(steps, 10))
        assert len((run / "metrics.jsonl").read_text().splitlines()) == state.epochs
    assert steps > 0


def test_divergence_where_nothing_can_be_written(
    clusters: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saves: list[Path] = []

    def save(path: Path, checkpoint: storage.Checkpoint) -> None:
        saves.append(path)
        if len(saves) > 1:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(storage, "save", save)
    argv = ("--data", clusters, *NUMPY, "--lr", "1e30", "--optimizer", "sgd", "--out", str(tmp_path / "run"))
    assert main(argv) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("fastnn.train: error: The loss is no longer finite in epoch ")
    assert f"The checkpoint in {tmp_path / 'run'} is an earlier one: {saves[1]}: No space left on device." in last
    assert "are kept" not in last


def test_interrupt(clusters: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fastnn.mlp.MLP.fit_plan", interrupt)
    assert main(["--data", clusters, *NUMPY]) == 130
    assert capsys.readouterr().err == "fastnn.train: interrupted\n"


# --- as a process


def test_list_recipes() -> None:
    assert process("--list-recipes").stdout.split() == list(RECIPES)


def test_process_with_numba(clusters: str, tmp_path: Path) -> None:
    argv = ("--data", clusters, "--epochs", "3", "--hidden", "8", "--batch-size", "16", "--json", "--out", "run")
    done = process(*argv, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    figures = json.loads(done.stdout.splitlines()[-1])
    assert (figures["backend"], figures["epochs"]) == ("numba", 3)
    assert (tmp_path / "run" / "last.safetensors").exists()


def test_process_refuses_with_status_2(tmp_path: Path) -> None:
    done = process("--data", "missing.npz", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fastnn.train: error: ")
    assert done.stderr.count("\n") == 1
