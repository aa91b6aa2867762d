"""A run that was stopped, however it was stopped, goes on bit for bit as if it never had been."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fastnn.workers
from fastnn import MLP, History, storage
from fastnn.bar import Silent
from fastnn.commands.recorder import Recorder, Signals
from fastnn.compiled import training
from fastnn.fitting import Keeper
from fastnn.kernels.compiling.interrupts import held
from fastnn.mlp import network
from fastnn.optimizers import OPTIMIZERS, Optimizer
from fastnn.train import main
from fastnn.trainer import Plan

Array = NDArray[Any]
X = np.random.default_rng(0).normal(size=(203, 6)).astype(np.float32)
y = (X @ np.arange(18).reshape(6, 3)).argmax(axis=1)
LARGE = np.tile(X, (400, 1)), np.tile(y, 400)  # some 40 ms an epoch, so that it is looked at often on busy CPUs, too


def essence(path: Path) -> dict[str, Any]:
    """All of a checkpoint that must be the same, bit for bit: all but the time it took."""
    checkpoint = storage.load(path)
    state, history = checkpoint.state, checkpoint.history.as_dict()
    arrays = [*state.weights, *state.biases, *(P for slot in state.slots for P in slot)]
    known = {name: value for name, value in checkpoint.settings.items() if name not in ("threads", "save_every")}
    return {
        "arrays": [(array.dtype.name, array.shape, array.tobytes()) for array in arrays],
        "counts": (state.epochs, state.steps, state.optimizer, state.unfinished.steps),
        "history": {name: [value.hex() for value in values] for name, values in history.items() if name != "seconds"},
        "settings": known,
        "data": checkpoint.data,
    }


# --- a pause after any step


class Pausing:
    """Ends training at moments chosen at random: after less than `looks` looks from when `fit` began."""

    def __init__(self, looks: int) -> None:
        self.random, self.looks = random.Random(0), looks
        self.left = looks // 2

    def due(self) -> bool:
        self.left -= 1
        return self.left < 0

    def paused(self, history: History) -> None:
        self.left = self.random.randrange(self.looks)
        raise InterruptedError(history)

    def epoch(self, history: History) -> None:
        self.history = history


def fit(net: MLP, data: tuple[Array, Array], plan: Plan, history: History | None, keeper: Keeper | None) -> History:
    validation = (X, y)
    return net.fit_plan(*data, validation, plan, lambda rows: Silent(), history, keeper)


@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_stopped_often(
    backend: str, optimizer: str, batch_size: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a file at every stop, and with another number of threads after it."""
    monkeypatch.setattr(fastnn.workers, "POLL_SECONDS", 0.0002)
    for limit in ("SHORT_STEP", "SHORT_SECONDS"):  # or nobody would look up in an epoch as short as these
        monkeypatch.setattr(training, limit, 0)
    data = LARGE if backend == "numba" else (X, y)
    unbroken, stops, middle = MLP([6, 5, 3], backend=backend), 0, 0

    def plan(threads: int) -> Plan:
        return Plan(8, batch_size, Optimizer(optimizer, 1e-3), seed=5, threads=threads)

    wanted = fit(unbroken, data, plan(1), None, None)
    net, history, path = MLP([6, 5, 3], backend=backend), None, tmp_path / "last.safetensors"
    keeper = Pausing(40)
    while True:
        try:
            history = fit(net, data, plan(1 + stops % 3), history, keeper)
            break
        except InterruptedError as stop:
            storage.save(path, storage.Checkpoint(net.architecture, net._state, stop.args[0]))
            checkpoint = storage.load(path)
            net, history = network(checkpoint, backend=backend), checkpoint.history
            stops, middle = stops + 1, middle + (checkpoint.state.unfinished.steps > 0)
    found, expected = ([*n.weights, *n.biases, *(P for s in n._state.slots for P in s)] for n in (net, unbroken))
    assert [P.tobytes() for P in found] == [P.tobytes() for P in expected]
    assert (history.loss, history.accuracy, history.val_loss) == (wanted.loss, wanted.accuracy, wanted.val_loss)
    assert len(history.seconds) == 8
    assert sorted(history.seconds) == history.seconds
    if batch_size is not None:
        assert middle > 1, stops


@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_saves_that_are_always_due_do_not_stop_training(
    backend: str, batch_size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a step takes longer than saves are apart: each pause waits for a step, and the bits are the same."""
    monkeypatch.setattr(fastnn.workers, "POLL_SECONDS", 0.0)

    class Always(Pausing):
        def due(self) -> bool:
            return True

        def paused(self, history: History) -> None:
            pass

    nets = [MLP([6, 5, 3], backend=backend) for _ in range(2)]
    plan = Plan(3, batch_size, Optimizer(), seed=5, threads=2)
    losses = [fit(net, (X, y), plan, None, keeper).loss for net, keeper in zip(nets, (None, Always(1)), strict=True)]
    assert losses[0] == losses[1]
    assert nets[0].weights[0].tobytes() == nets[1].weights[0].tobytes()


def test_an_unfinished_epoch_of_other_rows_is_refused() -> None:
    net = MLP([6, 3], backend="numpy")
    net._state.unfinished.steps = 13
    with pytest.raises(ValueError, match="stopped after 13 steps of an epoch; expected less than 13, its steps"):
        fit(net, (X, y), Plan(4, 16, Optimizer(), 0, 1), History(), None)


# --- SIGKILL

# Runs in a process that forks one for each kill, so that nothing is imported twice. A fork kills itself before or after
# the n-th of the calls that reach the disk, or at the n-th look of the keeper, which in NumPy is after the n-th step.
KILLED = """
import json, os, signal, sys
from fastnn import files
from fastnn.commands.recorder import Recorder
import fastnn.commands.training
from fastnn.train import main

flags, out, kills = json.loads(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])

def armed(holder, name, point):
    original, left = getattr(holder, name), [point]
    def call(*arguments):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments)
    setattr(holder, name, call)

for number, (name, point) in enumerate(kills):
    child = os.fork()
    if child == 0:
        armed(Recorder if name == "due" else files if name[0] == "_" else os, name, point)
        main([*flags, "--out", f"{out}{number}"])
        os._exit(0)
    print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
"""

FLAGS = ("--hidden", "4", "--epochs", "4", "--batch-size", "32", "--no-progress", "--no-report")
SAVES = [("_sync_folder", 7), ("fsync", 11), ("fsync", 13), ("fsync", 14), ("replace", 6), ("replace", 8), ("chmod", 7)]
STEPS = [("due", step) for step in (1, 2, 9, 15, 21, 33, 39)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="SIGKILL is of POSIX")
def test_killed(clusters: str, tmp_path: Path) -> None:
    kills = STEPS + SAVES
    flags = [*FLAGS, "--data", clusters, "--backend", "numpy"]
    flags += ["--validation-fraction", "0.1", "--save-every", "0.000001s"]
    arguments = [json.dumps(flags), str(tmp_path / "killed"), json.dumps(kills)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True, check=False)
    signals = [line for line in done.stdout.splitlines() if line.isdigit()]
    assert signals == ["9"] * len(kills), done.stderr
    assert main([*flags, "--out", str(tmp_path / "unbroken")]) == 0
    for number, kill in enumerate(kills):
        out = tmp_path / f"killed{number}"
        assert main(["--resume", str(out), "--no-progress"]) == 0, kill
        for name in ("last.safetensors", "best.safetensors"):
            assert essence(out / name) == essence(tmp_path / "unbroken" / name), (kill, name)
        lines = [(run / "metrics.jsonl").read_text().count("\n") for run in (out, tmp_path / "unbroken")]
        assert lines == [4, 4]
        assert sorted(os.listdir(out)) == sorted(os.listdir(tmp_path / "unbroken")), kill


@pytest.mark.skipif(not hasattr(os, "fork"), reason="SIGKILL is of POSIX")
def test_killed_while_the_kernels_run(save_clusters: Callable[..., str], tmp_path: Path) -> None:
    """At moments that depend on how fast the machine is; the epochs of the unbroken run are as many as it takes."""
    data = save_clusters(tmp_path / "large.npz", 30000, 90)
    flags = ["--data", data, "--hidden", "64", "--batch-size", "16", "--epochs", "3", "--no-progress", "--no-report"]
    out, command = tmp_path / "killed", [sys.executable, "-m", "fastnn.train", "--no-progress"]
    assert main([*flags, "--threads", "1", "--out", str(tmp_path / "unbroken")]) == 0
    start, kills = [*flags, "--save-every", "0.01s", "--out", str(out)], 0
    steps = 0
    while kills < 3:
        process = subprocess.Popen([*command, *start], stdout=subprocess.DEVNULL)
        while process.poll() is None and _steps(out / "last.safetensors") <= steps:
            time.sleep(0.001)
        steps = _steps(out / "last.safetensors")
        process.kill()
        process.wait()
        start, kills = ["--resume", str(out)], kills + 1
    assert 0 < steps < 3 * 1875
    assert main(["--resume", str(out), "--threads", "3", "--no-progress"]) == 0
    for name in ("last.safetensors", "best.safetensors"):
        assert essence(out / name) == essence(tmp_path / "unbroken" / name)


def _steps(path: Path) -> int:
    return storage.load(path).state.steps if path.exists() else 0


# --- Ctrl-C and SIGTERM


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a single process")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_signal_ends_with_a_checkpoint(
    backend: str, number: int, status: int, save_clusters: Callable[..., str], tmp_path: Path
) -> None:
    data, out = save_clusters(tmp_path / "large.npz", 30000, 90), tmp_path / "my run"
    flags = ["--data", data, "--batch-size", "2", "--epochs", "100", "--backend", backend, "--out", str(out)]
    process = subprocess.Popen([sys.executable, "-m", "fastnn.train", *flags], stderr=subprocess.PIPE, text=True)
    while not (out / "last.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.005)
    time.sleep(0.1)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == status, err
    state = storage.load(out / "last.safetensors").state
    steps = state.unfinished.steps  # mostly within an epoch
    where = f"step {steps} of epoch {state.epochs + 1}" if steps else f"epoch {state.epochs}"
    assert f"stopped after {where}; to go on: " in err
    assert err.endswith(f"python -m fastnn.train --resume '{out}'\n")
    assert state.steps == state.epochs * 15000 + state.unfinished.steps > 0


def test_a_second_signal_interrupts_at_once() -> None:
    with Signals() as signals:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signals.received == signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_signal_interrupts_a_fit_at_once() -> None:
    with Signals() as signals, held():
        signal.raise_signal(signal.SIGINT)
        assert signals.received == 0
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert signals.received == signal.SIGINT


def test_a_signal_that_was_ignored_is_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Signals() as signals, held():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        assert signals.received == 0
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


# --- what may be resumed, and how


def trained(clusters: str, out: Path, *flags: str) -> list[str]:
    """Train for 4 epochs; returns the flags."""
    argv = [*FLAGS, "--data", clusters, "--backend", "numpy", *flags]
    assert main([*argv, "--out", str(out)]) == 0
    return argv


def test_more_epochs_than_first_asked_for(clusters: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    trained(clusters, out)
    assert main(["--resume", str(out), "--epochs", "6", "--no-progress"]) == 0
    assert "epochs = 6\n" in (out / "config.toml").read_text()
    assert main([*FLAGS, "--data", clusters, "--backend", "numpy", "--epochs", "6", "--out", str(tmp_path / "6")]) == 0
    assert essence(out / "last.safetensors") == essence(tmp_path / "6" / "last.safetensors")


def test_a_report_is_of_all_epochs_or_not_there(clusters: str, tmp_path: Path) -> None:
    out, resume = tmp_path / "run", ["--resume", str(tmp_path / "run"), "--no-progress"]
    trained(clusters, out, "--report")
    assert "<b>4</b>epochs" in (out / "report.html").read_text()
    assert main([*resume, "--epochs", "5", "--no-report"]) == 0
    assert not (out / "report.html").exists()
    assert main([*resume, "--epochs", "6", "--report"]) == 0
    assert "<b>6</b>epochs" in (out / "report.html").read_text()


def test_a_run_that_ended_is_only_measured(clusters: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    trained(clusters, out)
    before = essence(out / "last.safetensors")
    capsys.readouterr()
    assert main(["--resume", str(out), "--no-progress"]) == 0
    assert "test accuracy" in capsys.readouterr().out
    assert essence(out / "last.safetensors") == before


def other_rows(clusters: str, out: Path, save_clusters: Callable[..., str]) -> None:
    save_clusters(Path(clusters), 299, 90)


def other_shape(clusters: str, out: Path, save_clusters: Callable[..., str]) -> None:
    save_clusters(Path(clusters), 300, 90, K=5)


def no_checkpoint(clusters: str, out: Path, save_clusters: Callable[..., str]) -> None:
    (out / "last.safetensors").unlink()


def a_link(clusters: str, out: Path, save_clusters: Callable[..., str]) -> None:
    (out / "last.safetensors").rename(out / "elsewhere")
    (out / "last.safetensors").symlink_to(out / "elsewhere")


def cut_short(clusters: str, out: Path, save_clusters: Callable[..., str]) -> None:
    os.truncate(out / "last.safetensors", 500)


def a_saved_network(clusters: str, out: Path, save_clusters: Callable[..., str]) -> None:
    MLP([4, 3]).save(out / "last.safetensors")


def strange_settings(clusters: str, out: Path, save_clusters: Callable[..., str]) -> None:
    checkpoint = storage.load(out / "last.safetensors")
    checkpoint.settings["learning_rate"] = "../.."
    storage.save(out / "last.safetensors", checkpoint)


def too_many_steps(clusters: str, out: Path, save_clusters: Callable[..., str]) -> None:
    checkpoint = storage.load(out / "last.safetensors")
    checkpoint.state.unfinished.steps = 99
    storage.save(out / "last.safetensors", checkpoint)


def gone(clusters: str, out: Path, save_clusters: Callable[..., str]) -> None:
    shutil.rmtree(out)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (other_rows, "last.safetensors was trained on rows that are {'rows': 300"),
        (other_shape, "was trained on rows that are {'rows': 300, 'features': 4"),
        (no_checkpoint, "run holds no last.safetensors; expected the folder of a run, with a checkpoint."),
        (a_link, "last.safetensors is a symbolic link; expected a file"),
        (cut_short, "last.safetensors is damaged|something else"),
        (a_saved_network, "is no folder of a run; expected one that"),
        (strange_settings, "last.safetensors: learning_rate is '../..'; expected a number."),
        (too_many_steps, "last.safetensors: Training stopped after 99 steps of an epoch; expected less than"),
        (gone, "run: No such file or directory"),
    ],
)
def test_what_cannot_be_resumed(
    spoil: Callable[..., None],
    sentence: str,
    clusters: str,
    tmp_path: Path,
    save_clusters: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    trained(clusters, out)
    spoil(clusters, out, save_clusters)
    before = {path: path.read_bytes() for path in out.rglob("*")}
    capsys.readouterr()
    assert main(["--resume", str(out)]) == 2
    out_text, err = capsys.readouterr()
    assert (out_text, err.count("\n")) == ("", 1)
    assert any(part in err for part in sentence.split("|")), err
    assert {path: path.read_bytes() for path in out.rglob("*")} == before


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--lr", "0.1"), "--lr is given with --resume; expected none but --epochs"),
        (("--epochs", "3"), "--epochs is 3; expected at least 4, which are trained"),
        (("--threads", "0"), "threads is 0; expected"),
    ],
)
def test_flags_that_cannot_be_given_anew(
    flags: tuple[str, ...], sentence: str, clusters: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(clusters, tmp_path / "run")
    assert main(["--resume", str(tmp_path / "run"), *flags]) == 2
    assert sentence in capsys.readouterr().err


# --- disks


# The first such calls after two epochs were kept.
FIRST = {"fsync": 19, "replace": 10, "open": 16}


def failing(patch: pytest.MonkeyPatch, name: str, number: int, last: float) -> None:
    """The calls of os.`name` from the first such time after training began up to the last fail."""
    original, calls = getattr(os, name), [0]

    def call(*arguments: Any, **keywords: Any) -> Any:
        calls[0] += 1
        if FIRST[name] <= calls[0] <= last:
            raise OSError(number, os.strerror(number))
        return original(*arguments, **keywords)

    patch.setattr(os, name, call)


@pytest.mark.parametrize(("name", "number"), [("fsync", errno.ENOSPC), ("replace", errno.EACCES), ("fsync", errno.EIO)])
def test_a_disk_that_fails_for_good(
    name: str,
    number: int,
    clusters: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Training goes on to its end and is measured; the checkpoint before is whole, and can be resumed."""
    out = tmp_path / "run"
    argv = trained(clusters, tmp_path / "unbroken", "--save-every", "1")
    capsys.readouterr()
    with monkeypatch.context() as patch:
        failing(patch, name, number, last=np.inf)
        assert main([*argv, "--out", str(out)]) == 2
    text, err = capsys.readouterr()
    assert "test accuracy" in text
    *warnings, error = filter(None, err.splitlines())
    assert 1 <= len(warnings) <= 3  # one a file, and not one an epoch
    for warning in warnings:
        assert warning.startswith(f"fastnn.train: warning: {out}")
        assert warning.endswith(f"{os.strerror(number)}; the checkpoint before is kept, and training goes on.")
    hint = f"the checkpoint before is kept; to go on: python -m fastnn.train --resume {out}"
    assert error == f"fastnn.train: error: {out / 'best.safetensors'}: {os.strerror(number)}; {hint}"
    assert 0 < storage.load(out / "last.safetensors").state.epochs < 4
    assert main(["--resume", str(out), "--no-progress"]) == 0
    assert essence(out / "last.safetensors") == essence(tmp_path / "unbroken" / "last.safetensors")


@pytest.mark.parametrize("name", ["fsync", "replace", "open"])
def test_a_disk_that_fails_for_a_while(
    name: str, clusters: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    argv = trained(clusters, tmp_path / "unbroken", "--save-every", "1")
    with monkeypatch.context() as patch:
        failing(patch, name, errno.ENOSPC, last=FIRST[name] + 1)
        assert main([*argv, "--out", str(out)]) == 0
    assert "No space left on device; the checkpoint before is kept" in capsys.readouterr().err
    for file in ("last.safetensors", "best.safetensors"):
        assert essence(out / file) == essence(tmp_path / "unbroken" / file)
    assert (out / "metrics.jsonl").read_text().count("\n") == 4


def test_a_folder_that_is_removed_is_made_anew(
    clusters: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, original = tmp_path / "run", Recorder.epoch

    def epoch(recorder: Recorder, history: History) -> None:
        if len(history) == 2:
            shutil.rmtree(out)
        original(recorder, history)

    monkeypatch.setattr(Recorder, "epoch", epoch)
    trained(clusters, out)
    said = capsys.readouterr().err
    assert f"warning: {out / 'metrics.jsonl'}: No such file or directory; training goes on." in said
    assert storage.load(out / "last.safetensors").state.epochs == 4
    assert (out / "metrics.jsonl").read_text().count("\n") == 4
    assert "config.toml" in os.listdir(out)


LIMITED = """
import resource, sys
from fastnn.train import main
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_real_write_that_fails(clusters: str, tmp_path: Path) -> None:
    """The very first checkpoint is larger than files may be: nothing is trained, and nothing is left over."""
    out = tmp_path / "run"
    argv = ["--data", clusters, "--backend", "numpy", "--hidden", "2000", "--out", str(out)]
    done = subprocess.run([sys.executable, "-c", LIMITED, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"fastnn.train: error: {out / 'last.safetensors'}: File too large.\n"
    assert sorted(os.listdir(out)) == ["config.toml", "environment.json", "metrics.jsonl"]
