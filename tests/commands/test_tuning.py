"""`fastnn tune`: every combination over the seeds, as single runs would be, the best first, with its command."""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastnn.commands.trials import Score
from fastnn.commands.trials_table import Table
from fastnn.commands.tuning import command_line
from fastnn.commands.tuning_flags import combinations, grid_axis
from fastnn.train import main as train
from fastnn.tune import main as tune

FLAGS = ("--backend", "numpy", "--hidden", "4", "--epochs", "3", "--batch-size", "16")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The folder, the data and what was printed."""
    import numpy as np

    folder = tmp_path_factory.mktemp("tuned")
    rng = np.random.default_rng(0)
    np.savez(folder / "data.npz", X=rng.normal(size=(200, 4)), y=np.arange(200) % 3)
    argv = ["--data", str(folder / "data.npz"), *FLAGS, "--grid", "lr=0.001,0.1,1e30", "--grid", "optimizer=sgd,adam"]
    command = [
        sys.executable,
        "-m",
        "fastnn",
        "tune",
        *argv,
        "--seeds",
        "2",
        "--jobs",
        "2",
        "--out",
        str(folder / "out"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, str(folder / "data.npz"), done.stdout


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "out" / "tune.jsonl").read_text().splitlines()]


def test_every_combination_over_every_seed(tuned: tuple[Path, str, str]) -> None:
    lines = lines_of(tuned[0])
    found = {(line["choice"]["learning_rate"], line["choice"]["optimizer"], line["seed"]) for line in lines}
    assert len(lines) == len(found) == 12
    assert {(rate, name) for rate, name, _ in found} == {(r, o) for r in (0.001, 0.1, 1e30) for o in ("sgd", "adam")}
    assert {seed for *_, seed in found} == {0, 1}
    for line in lines:
        assert len(line["val_accuracy"]) == (0 if line["choice"]["learning_rate"] == 1e30 else 3)


def test_a_trial_is_the_run_of_its_settings(tuned: tuple[Path, str, str], tmp_path: Path) -> None:
    """The seed is the network's and the shuffles'; the rows held out are the first seed's, the same for all."""
    line = next(line for line in lines_of(tuned[0]) if line["seed"] == 0 and line["val_accuracy"])
    choice = line["choice"]
    argv = ["--data", tuned[1], *FLAGS, "--lr", str(choice["learning_rate"]), "--optimizer", choice["optimizer"]]
    out = tmp_path / "run"
    assert train([*argv, "--validation-fraction", "0.1", "--out", str(out), "--no-report", "--no-progress"]) == 0
    metrics = [json.loads(text) for text in (out / "metrics.jsonl").read_text().splitlines()]
    assert [epoch["val_accuracy"] for epoch in metrics] == line["val_accuracy"]
    assert [epoch["loss"] for epoch in metrics] == line["loss"]


def test_the_best_comes_with_its_command(tuned: tuple[Path, str, str], capsys: pytest.CaptureFixture[str]) -> None:
    folder, _, text = tuned
    means: dict[str, list[float]] = {}
    for line in lines_of(folder):
        if line["val_accuracy"]:
            means.setdefault(json.dumps(line["choice"]), []).append(line["val_accuracy"][-1])
    best = max(means.values(), key=sum)
    assert f"val_accuracy {sum(best) / 2:.2%}" in text
    assert sum(line.strip().startswith(("1/12 ", "12/12 ")) for line in text.splitlines()) == 2
    command = text.splitlines()[-1].split()
    assert command[:3] == ["python", "-m", "fastnn.train"]
    assert train([*command[3:], "--no-progress"]) == 0
    assert (folder / "out" / "tune.png").read_bytes()[:4] == b"\x89PNG"


def test_diverged_settings_come_last(tuned: tuple[Path, str, str]) -> None:
    scores = [
        Score({"a": 1}, "val_accuracy", [0.9], [[0.9]], [0.1], diverged=1),
        Score({"a": 2}, "val_accuracy", [], [], [], diverged=2),
        Score({"a": 3}, "val_accuracy", [0.5, 0.5], [[0.5], [0.5]], [1.0, 1.0]),
        Score({"a": 4}, "val_accuracy", [0.5, 0.5], [[0.5], [0.5]], [0.9, 0.9]),
    ]
    assert [score.choice["a"] for score in sorted(scores, key=lambda score: score.order)] == [4, 3, 1, 2]
    assert scores[1].text == "diverged"
    assert scores[0].text == "val_accuracy 90.00% ± 0.00 (1 seeds, 1 diverged)"


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("lr=0.1,1e-3", "learning_rate", [0.1, 0.001]),
        ("hidden=64;128,64;none", "hidden", [(64,), (128, 64), ()]),
        ("batch-size=32,full", "batch_size", [32, None]),
        ("init=he,uniform:0.5", "init", ["he", "uniform:0.5"]),
        ("init-biases=true,false", "init_biases", [True, False]),
    ],
)
def test_axes(text: str, name: str, values: list[Any]) -> None:
    assert grid_axis(text) == (name, values)


def test_combinations_and_their_flags() -> None:
    assert list(combinations({"a": [1, 2], "b": ["x"]})) == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]
    settings = {"learning_rate": 0.1, "hidden": (8, 4), "batch_size": None, "init_biases": True, "data": "my data.csv"}
    words = "--lr 0.1 --hidden 8,4 --batch-size full --init-biases --data 'my data.csv'"
    assert command_line(settings) == f"python -m fastnn.train {words}"
    assert command_line({"hidden": (), "init_biases": False, "seed": 0}).endswith(
        "--hidden none --no-init-biases --seed 0"
    )


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--grid", "speed=1,2"), "expected KEY=V,V with one of activation, backend, batch-size"),
        (("--grid", "lr=1,x"), "expected a number for lr, and not 'x'"),
        (("--grid", "lr="), "expected KEY=V,V"),
        (("--grid", "seed=1,2"), "expected KEY=V,V"),
        (("--grid", "validation-fraction=0.1,0.5"), "expected KEY=V,V"),
        (("--grid", "lr=0.1", "--grid", "lr=0.01"), "--grid is given 2 times for --lr; expected all values in one"),
        (("--grid", "lr=-1"), "--lr is -1.0; expected"),
        (("--grid", "optimizer=lion"), "--optimizer is 'lion'"),
        (("--grid", "activation=relu,swish"), "--activation is 'swish'"),
        (
            ("--grid", "momentum=0.5,0.9"),
            "momentum is 0.5, which adam has no use for; expected --optimizer momentum or",
        ),
        (
            ("--grid", "optimizer=sgd,adam", "--momentum", "0.8"),
            "--momentum is 0.8, which sgd, adam have no use for; expected --optimizer momentum or nesterov with it",
        ),
        (
            ("--grid", "output-activation=softmax,identity"),
            "--grid has output activations that are compared by accuracy",
        ),
        (("--seeds", "0"), "--seeds is 0; expected an integer of at least 1"),
        (("--jobs", "0"), "--jobs is 0"),
        (("--validation-fraction", "0"), "--validation-fraction is 0; expected more"),
        (("--data", "missing.npz"), "missing.npz: No such file"),
    ],
)
def test_refusals(
    flags: tuple[str, ...], sentence: str, clusters: str, tmp_path: Path, refusal: Callable[..., str]
) -> None:
    assert sentence in refusal("tune", "--data", clusters, *FLAGS, "--out", tmp_path / "out", *flags)
    assert not (tmp_path / "out").exists()


def test_command_wins_over_the_config(clusters: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the file says is not said again, and what the best setting says against it is."""
    config = tmp_path / "config.toml"
    config.write_text('validation_fraction = 0.4\ninit = "uniform:0.3"\ninit_biases = true\n')
    flags = ("--config", str(config), "--data", clusters, *FLAGS, "--seeds", "1", "--jobs", "1")
    assert tune([*flags, "--grid", "init-biases=false", "--out", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "--validation-fraction" not in found["command"]
    assert found["command"].endswith("--no-init-biases")
    line = json.loads((tmp_path / "out" / "tune.jsonl").read_text())
    assert line["settings"]["validation_fraction"] == 0.4


def test_results_are_not_overwritten(tmp_path: Path, clusters: str, refusal: Callable[..., str]) -> None:
    (tmp_path / "tune.jsonl").write_text("mine")
    error = refusal("tune", "--data", clusters, *FLAGS, "--out", tmp_path)
    assert f"--out is '{tmp_path}', which holds a tune.jsonl; expected none, or --force" in error
    assert (tmp_path / "tune.jsonl").read_text() == "mine"


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no signal to a single process")
@pytest.mark.parametrize(
    ("number", "status", "said"),
    [("SIGINT", 130, "fastnn.tune: interrupted\n"), ("SIGTERM", 143, "fastnn.tune: terminated\n"), ("SIGKILL", -9, "")],
)
def test_a_signal_ends_all_processes_and_keeps_only_what_is_done(
    number: str, status: int, said: str, clusters: str, tmp_path: Path
) -> None:
    """The output ends when the last process that holds it does."""
    results, temporary = tmp_path / "tune.jsonl", tmp_path / "temporary"
    temporary.mkdir()
    flags = ["--data", clusters, "--backend", "numpy", "--epochs", "40", "--batch-size", "4", "--out", str(tmp_path)]
    grid = ["--grid", "lr=" + ",".join(str(rate / 1000) for rate in range(1, 60))]
    command = [sys.executable, "-m", "fastnn.tune", *flags, *grid]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    while not results.exists() or not results.read_text().endswith("\n"):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.Signals[number])
    _, err = process.communicate(timeout=20)
    assert process.returncode == status, err
    assert err.endswith(said)
    assert all(json.loads(line)["loss"] for line in results.read_text().splitlines())
    assert list(temporary.iterdir()) == []


def test_there_is_no_best_where_all_diverge(clusters: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [*FLAGS, "--seeds", "1", "--lr", "1e30", "--grid", "optimizer=sgd", "--out", str(tmp_path / "out")]
    assert tune(["--data", clusters, *flags]) == 2
    out, err = capsys.readouterr()
    assert "best" not in out
    assert err.endswith(
        f"Every setting diverged; expected one that does not, such as a smaller --lr. Results: "
        f"{tmp_path / 'out' / 'tune.jsonl'}\n"
    )


def test_the_table_is_redrawn_in_place(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from fastnn import History
    from fastnn.commands.settings import Settings
    from fastnn.commands.trials import Trial, TrialResult

    trials = [Trial(number, {"learning_rate": rate}, Settings()) for number, rate in enumerate((0.1, 0.2))]
    results = [
        TrialResult(trial, History(loss=[1.0], val_loss=[1.0], val_accuracy=[0.5 + trial.number / 4]))
        for trial in trials
    ]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    table = Table(trials, quiet=False)
    table.show(results[:1])
    table.show(results)
    *_, last = capsys.readouterr().out.split("\x1b[J")
    assert last.splitlines() == ["lr 0.2  val_accuracy 75.00%", "lr 0.1  val_accuracy 50.00%", "2 of 2 trainings"]


@pytest.mark.parametrize("missing", ["matplotlib", "room"])
def test_the_best_is_told_without_a_picture(missing: str, clusters: str, tmp_path: Path) -> None:
    """Where matplotlib is missing, as after a plain installation, or the picture cannot be written."""
    code = "import sys; sys.modules['matplotlib'] = None\nfrom fastnn.tune import main\nsys.exit(main(sys.argv[1:]))"
    if missing == "room":
        code = code.replace("sys.modules['matplotlib'] = None", "")
        (tmp_path / "out" / "tune.png").mkdir(parents=True)
    flags = ["--data", clusters, *FLAGS, "--grid", "lr=0.01,0.1", "--seeds", "1", "--jobs", "1", "--force"]
    argv = [sys.executable, "-c", code, *flags, "--out", str(tmp_path / "out")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, "No picture: " in done.stderr) == (0, True), done.stderr
    assert "\nbest: lr" in done.stdout
    assert "python -m fastnn.train" in done.stdout
    assert "picture:" not in done.stdout


def test_the_command_is_one_that_train_takes(clusters: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Though the grid has a momentum that the best optimizer has no use for; and flags that need each other."""

    def tune_json(*grids: str) -> Any:
        flags = ["--data", clusters, *FLAGS, "--seeds", "1", "--jobs", "1", "--out", str(tmp_path / "out"), "--force"]
        assert tune([*flags, "--json", *grids]) == 0
        return json.loads(capsys.readouterr().out)

    found = tune_json("--grid", "momentum=0.5,0.9", "--grid", "optimizer=sgd,momentum", "--grid", "lr=0.1")
    assert found["best"]["choice"]["optimizer"] in ("sgd", "momentum")
    sgd = [line for line in found["settings"] if line["choice"]["optimizer"] == "sgd"]
    assert len(sgd) == 2
    assert ("--momentum" in found["command"]) == (found["best"]["choice"]["optimizer"] == "momentum")
    assert train([*shlex.split(found["command"])[3:], "--no-progress"]) == 0
    capsys.readouterr()
    found = tune_json("--grid", "init=uniform:0.5,normal:0.5", "--init-biases")
    assert "--init-biases" in found["command"]


def test_a_value_is_listed_once() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"every value of lr once, and not '0\.0?10?' twice"):
        grid_axis("lr=0.01,0.1,0.010")


def test_values_that_begin_with_a_dash() -> None:
    assert command_line({"data": "-t.csv"}) == "python -m fastnn.train --data=-t.csv"


def test_results_that_cannot_be_written_are_told(
    clusters: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk takes the file from the one who waits, not the answer."""
    whole = Path.open

    def full(path: Path, *given: Any, **named: Any) -> Any:
        if path.name == "tune.jsonl":
            raise OSError(28, "No space left on device")
        return whole(path, *given, **named)

    monkeypatch.setattr(Path, "open", full)
    flags = ["--data", clusters, *FLAGS, "--seeds", "1", "--jobs", "1", "--out", str(tmp_path / "out")]
    assert tune([*flags, "--grid", "lr=0.01,0.1"]) == 0
    out, err = capsys.readouterr()
    assert err.count("tune.jsonl: No space left on device; tuning goes on.") == 1
    assert "\nbest: lr" in out


@pytest.mark.skipif(not hasattr(os, "fork"), reason="finds the process by /proc")
def test_a_process_that_is_killed_is_an_error_in_one_line(clusters: str, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "fastnn.tune", "--data", clusters, "--backend", "numpy", "--epochs", "100000"]
    with subprocess.Popen(
        [*argv, "--jobs", "1", "--out", str(tmp_path / "out")], stderr=subprocess.PIPE, text=True
    ) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        until = time.monotonic() + 60
        victim = 0
        while not victim and time.monotonic() < until:
            time.sleep(0.05)
            for child in children.read_text().split():
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    victim = int(child)
        os.kill(victim, signal.SIGKILL)
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(timeout=60) == 2
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("fastnn.tune: error: A process was killed, perhaps for want of memory;")
