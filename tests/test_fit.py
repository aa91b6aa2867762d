"""Training through MLP.fit: going on, seeds, threads, batches, and what it reports."""

import _thread
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP, compiled, team
from fastnn.compiled import forward, training
from fastnn.kernels.training import minibatches
from fastnn.objective import Objective
from fastnn.optimizers import OPTIMIZERS, Optimizer
from fastnn.trainer import Plan

Array = NDArray[Any]
BACKENDS = ("numba", "numpy")
m, K, N = 701, 13, 5  # six blocks of the full batch, so that five threads have work
PIXELS = np.random.default_rng(0).integers(0, 256, (m, K), dtype=np.uint8)
X, LABELS = PIXELS / np.float32(255), np.random.default_rng(1).integers(0, N, m)


def parameters(net: MLP) -> bytes:
    return b"".join(array.tobytes() for array in net.weights + net.biases)


def trained(
    *epochs: int,
    X: Array = X,
    y: Array = LABELS,
    seed: int = 0,
    backend: str = "numba",
    dtype: str = "float32",
    **how: Any,
) -> bytes:
    """The bits of a network after as many calls of fit as there are numbers of epochs."""
    net = MLP([X.shape[1], 17, N], seed=seed, backend=backend, dtype=dtype)
    for count in epochs:
        net.fit(X, y, epochs=count, verbose=False, **how)
    return parameters(net)


# --- the same bits


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("batch_size", [64, 640, None])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_going_on_is_the_same_as_going_on_at_once(backend: str, batch_size: int | None, optimizer: str) -> None:
    how: dict[str, Any] = {"backend": backend, "batch_size": batch_size, "optimizer": optimizer, "weight_decay": 0.01}
    assert trained(2, 3, **how) == trained(5, **how)


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_optimizer_starts_afresh(backend: str) -> None:
    """What "adam" remembers is no use to "momentum", and is forgotten when "adam" comes again."""
    net, other = MLP([K, N], backend=backend), MLP([K, N], backend=backend)
    net.fit(X, LABELS, epochs=2, optimizer="adam", batch_size=None, verbose=False)
    other.weights, other.biases = net.weights, net.biases
    for fresh in (net, other):
        fresh.fit(X, LABELS, epochs=2, optimizer="momentum", batch_size=None, verbose=False)
    assert parameters(net) == parameters(other)


@pytest.mark.parametrize("backend", BACKENDS)
def test_seeds(backend: str) -> None:
    assert trained(1, seed=3, backend=backend) == trained(1, seed=3, backend=backend)
    assert trained(1, seed=3, backend=backend) != trained(1, seed=4, backend=backend)
    shuffled = [MLP([K, N], backend=backend) for _ in range(3)]
    for net, seed in zip(shuffled, (7, 7, 8), strict=True):
        net.fit(X, LABELS, epochs=1, seed=seed, verbose=False)
    assert parameters(shuffled[0]) == parameters(shuffled[1]) != parameters(shuffled[2])


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_epoch_takes_every_row_once_in_an_order_of_its_own(backend: str) -> None:
    """Row k moves W[k] alone, and the less the later it comes, for the bias has come nearer to what all rows want."""
    net, orders = MLP([20, 1], output="identity", backend=backend, dtype="float64"), []
    for _ in range(2):
        net.weights, net.biases = [np.zeros((20, 1))], [np.zeros(1)]
        net.fit(np.eye(20), np.ones(20), epochs=1, batch_size=1, optimizer="sgd", learning_rate=0.1, verbose=False)
        assert sorted(net.weights[0][:, 0]) == pytest.approx(sorted(0.1 * 0.9 ** np.arange(20)))
        orders.append(np.argsort(-net.weights[0][:, 0]).tolist())
    assert orders[0] != orders[1]
    assert list(range(20)) not in orders


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [64, 640, None])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_any_number_of_threads_gives_the_same_bits(dtype: str, batch_size: int | None, optimizer: str) -> None:
    for features in (PIXELS, X, X.astype(np.float64)):
        results = {
            trained(2, X=features, dtype=dtype, batch_size=batch_size, optimizer=optimizer, threads=threads)
            for threads in (1, 2, 3, 5)
        }
        assert len(results) == 1


def test_any_number_of_threads_predicts_and_measures_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    net = MLP([K, 17, N])
    monkeypatch.setattr(forward, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(forward, "WORTH_WAKING", 1)
    assert len({net.predict_proba(X, threads=threads).tobytes() for threads in (1, 2, 3, 5)}) == 1
    assert len({net.loss(X, LABELS, threads=threads) for threads in (1, 2, 3, 5)}) == 1


def test_memory_of_a_prediction_that_failed_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread might still be at work on it; nor is it lent to a prediction in the middle of another."""
    net, run, inner = MLP([K, 17, N]), team.run, []
    expected = net.predict_proba(X).tobytes()
    assert forward._kept.room is not None

    def fail(work: Any, threads: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(team, "run", fail)
    with pytest.raises(KeyboardInterrupt):
        net.predict_proba(X)
    assert forward._kept.room is None

    def twice(work: Any, threads: int) -> None:
        monkeypatch.setattr(team, "run", run)
        inner.append(MLP([K, 17, N], seed=1).predict_proba(X))
        run(work, threads)

    monkeypatch.setattr(team, "run", twice)
    assert net.predict_proba(X).tobytes() == expected
    assert inner[0].tobytes() == MLP([K, 17, N], seed=1).predict_proba(X).tobytes()


@pytest.mark.parametrize("name", ["learning_rate", "momentum", "weight_decay"])
@pytest.mark.parametrize("kind", [int, np.float32, np.int64])
def test_numbers_of_any_kind_run_the_same_compiled_kernel(name: str, kind: type) -> None:
    """A kernel compiled anew for a whole number would cost ten seconds."""
    kernel: Any = minibatches.train_minibatches
    value = {"learning_rate": 1, "momentum": 0, "weight_decay": 0}[name]
    as_float: dict[str, Any] = {"optimizer": "sgd", name: float(value)}
    as_given: dict[str, Any] = {"optimizer": "sgd", name: kind(value)}
    plain = trained(1, **as_float)
    compiled = len(kernel.signatures)
    assert trained(1, **as_given) == plain
    assert len(kernel.signatures) == compiled


def test_fits_in_two_threads_at_once() -> None:
    alone = [trained(20, seed=seed) for seed in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda seed: trained(20, seed=seed), (0, 1)))
    assert together == alone


PROCESSES = """
import multiprocessing, sys
import numpy as np
import fastnn

X = np.random.default_rng(0).normal(size=(300, 4))
y = (X[:, 0] > 0).astype(int)

def bits():
    net = fastnn.MLP([4, 3, 2])
    net.fit(X, y, epochs=2, threads=2, verbose=False)
    return net.predict_proba(X).tobytes()

if __name__ == "__main__":
    with_threads = bits()  # a fork must do without the threads that ran here
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        results = [pool.apply_async(bits) for _ in range(2)]
        assert [result.get(timeout=100) for result in results] == [with_threads] * 2
    print("the same")
"""


@pytest.mark.parametrize("method", ["spawn", pytest.param("fork", marks=pytest.mark.skipif("sys.platform == 'win32'"))])
def test_fits_in_other_processes(method: str, tmp_path: Path) -> None:
    script = tmp_path / "fits.py"
    script.write_text(PROCESSES, encoding="utf-8")
    command = [sys.executable, str(script), method]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.returncode) == ("the same\n", 0), done.stderr


# --- batches


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_last_smaller_batch_counts(backend: str) -> None:
    """Row k moves W[k] alone: four rows by half a quarter, then the fifth by half of what the bias has left over."""
    net = MLP([5, 1], output="identity", init="uniform:0", backend=backend)
    net.fit(np.eye(5), np.ones(5), epochs=1, batch_size=4, optimizer="sgd", learning_rate=0.5, verbose=False)
    assert sorted(net.weights[0][:, 0]) == [0.125] * 4 + [0.25]
    assert net.biases[0] == [0.75]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_is_never_larger_than_the_data(backend: str) -> None:
    assert trained(2, batch_size=10**9, backend=backend) == trained(2, batch_size=m, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("batch_size", [1, 128, None])
def test_one_row(backend: str, batch_size: int | None) -> None:
    net = MLP([K, 17, N], backend=backend)
    history = net.fit(X[:1], LABELS[:1], epochs=50, batch_size=batch_size, learning_rate=0.01, verbose=False)
    assert net.predict(X[:1]) == LABELS[:1]
    assert history.loss[-1] < history.loss[0] / 2


# --- what it reports


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("batch_size", [64, 640, None])
def test_history(backend: str, batch_size: int | None) -> None:
    net = MLP([K, 17, N], backend=backend)
    before = net.loss(X, LABELS), net.score(X, LABELS)
    history = net.fit(X, LABELS, epochs=7, batch_size=batch_size, optimizer="sgd", learning_rate=1e-9, verbose=False)
    assert list(map(len, history.as_dict().values())) == [7, 7, 0, 0, 7]
    assert history.loss == pytest.approx([before[0]] * 7, rel=1e-5)
    assert history.accuracy == [before[1]] * 7
    assert sorted(history.seconds) == history.seconds
    assert history.seconds[0] > 0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("batch_size", [64, 640, None])
def test_validation_is_what_loss_and_score_say(backend: str, batch_size: int | None) -> None:
    net, alone = MLP([K, 17, N], backend=backend), MLP([K, 17, N], backend=backend)
    held_out = X[:100], LABELS[:100]
    history = net.fit(X, LABELS, epochs=3, batch_size=batch_size, validation=held_out, verbose=False)
    for epoch in range(3):
        alone.fit(X, LABELS, epochs=1, batch_size=batch_size, verbose=False)
        assert history.val_loss[epoch] == alone.loss(*held_out)
        assert history.val_accuracy[epoch] == alone.score(*held_out)
    assert len(history.val_loss) == len(history.val_accuracy) == 3
    assert parameters(net) == parameters(alone)


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_have_no_accuracy(backend: str) -> None:
    net, y = MLP([K, 1], output="identity", backend=backend), X.sum(axis=1)
    history = net.fit(X, y, epochs=3, validation=(X, y), verbose=False)
    assert list(map(len, history.as_dict().values())) == [3, 0, 3, 0, 3]


@pytest.mark.parametrize("how", [{"penalty": 0.1}, {"dropout": (0.5,)}, {"divisor": 2.0}, {"weighted": True}])
def test_a_full_batch_refuses_what_it_would_not_look_at(how: dict[str, Any]) -> None:
    """Estimators, which have such objectives, train by mini-batches of all rows instead."""
    net = MLP([K, 4, N])
    weights = np.ones(m) if how.pop("weighted", False) else None
    plan = Plan(1, None, Optimizer("sgd"), 0, 1, objective=Objective(**how))
    with pytest.raises(ValueError, match="batch_size is None; expected a number of rows"):
        compiled.Trainer(net.architecture, net._state, X, LABELS, plan, weights)


@pytest.mark.parametrize("failure", [MemoryError, KeyboardInterrupt])
def test_an_optimizer_without_its_memory_is_none(failure: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels would write what it remembers into arrays that are not there."""
    net, whole = MLP([K, 4, N], seed=0), np.zeros_like

    def fail(array: Array) -> Array:
        if array.shape == (N,):
            raise failure
        return whole(array)

    monkeypatch.setattr(np, "zeros_like", fail)
    with pytest.raises(failure):
        net.fit(X, LABELS, epochs=1, verbose=False)
    monkeypatch.undo()
    net.fit(X, LABELS, epochs=2, verbose=False)
    other = MLP([K, 4, N], seed=0)
    other.fit(X, LABELS, epochs=2, verbose=False)
    assert parameters(net) == parameters(other)
    net._state.slots.pop()
    with pytest.raises(ValueError, match="The state has 1 slots; expected 2"):
        net.fit(X, LABELS, epochs=1, verbose=False)


def test_weights_that_cannot_be_written_to_are_copied(tmp_path: Path) -> None:
    """As joblib hands them to its processes."""
    net, other = MLP([K, 4, N], seed=0), MLP([K, 4, N], seed=0)
    np.save(tmp_path / "W.npy", net.weights[0])
    net._state.weights[0] = np.load(tmp_path / "W.npy", mmap_mode="r")
    net._state.biases[1].flags.writeable = False
    for each in (net, other):
        each.fit(X, LABELS, epochs=2, verbose=False)
    assert parameters(net) == parameters(other)


def test_a_short_step_is_taken_by_the_calling_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """To start a thread, and to be woken up by it, takes longer than a small network's step."""
    how = {"epochs": 1, "batch_size": None, "threads": 1, "sparse": False, "verbose": False}
    MLP([K, 4, N]).fit(X, LABELS, **how)
    started: list[Any] = []
    start = _thread.start_new_thread
    monkeypatch.setattr(_thread, "start_new_thread", lambda *what: started.append(what) or start(*what))
    MLP([K, 4, N]).fit(X, LABELS, **how)
    assert not started
    monkeypatch.setattr(training, "SHORT_STEP", 0)
    MLP([K, 5, N]).fit(X, LABELS, **how)  # of which nothing is known
    assert len(started) == 1
