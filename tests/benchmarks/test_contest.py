"""Who takes part, whether all train the same network, and how they are timed."""

import math
from typing import Any

import pytest

from benchmarks import rivals
from benchmarks.contest import Disagreement, Entry, as_dict, best_peer, calibrate, check, contest, ratio
from benchmarks.process import Process
from benchmarks.rivals import FASTNN, RIVALS
from benchmarks.workloads import TABLE, WITHOUT_ZERO, WORKLOADS, Workload, describe

FULL = Workload("full", (24, 16, 8), None, "sgd", 1.0, "sigmoid", TABLE, 500)
FULL_ADAM = Workload("full-adam", (24, 16, 8), None, "adam", 1.0, "relu", TABLE, 500)
BATCHES = Workload("batches", (24, 16, 8), 32, "adam", 1.0, "relu", TABLE, 500)  # the last has 20 rows


@pytest.mark.parametrize("name", RIVALS)
def test_everybody_trains_the_same_network(name: str) -> None:
    rival = RIVALS[name]
    if not rival.installed:
        pytest.skip(f"{rival.distribution} is not installed")
    process = Process(**rivals.environment(rival, 1))
    try:
        for workload in (FULL, FULL_ADAM, BATCHES):
            entries = {}
            for title, module, dtype in (
                (FASTNN, "numpy_reference", "float64"),
                (name, rival.module, rival.dtype),
            ):
                process.hold(rivals.make, module, workload, dtype, 1)
                seconds, losses = process.call("fit", 5)
                assert seconds > 0
                assert len(losses) == 5
                assert losses[-1] < losses[0]
                entries[title] = Entry(title, 1, 5, losses)
            check(workload, entries)
            again = process.call("fit", 5)[1]  # the same initial weights once more
            assert again[0] == pytest.approx(losses[0], rel=0.2 if workload is BATCHES else 1e-5)
    finally:
        process.close()


def entries_with(ours: list[float], theirs: list[float]) -> dict[str, Entry]:
    return {FASTNN: Entry("fastnn", None, 1, ours), "jax": Entry("JAX", 2, 1, theirs)}


@pytest.mark.parametrize(
    ("workload", "theirs", "agrees"),
    [
        (FULL, [2.0005, 1.0], True),
        (FULL, [2.003, 1.0], False),
        (FULL, [2.0, 1.002], False),
        (FULL, [2.0, math.nan], False),
        (BATCHES, [3.0, 1.1], True),
        (BATCHES, [2.0, 1.5], False),
        (BATCHES, [2.0, math.nan], False),
    ],
)
def test_other_losses_end_it(workload: Workload, theirs: list[float], agrees: bool) -> None:
    entries = entries_with([2.0, 1.0], theirs)
    if agrees:
        check(workload, entries)
    else:
        with pytest.raises(Disagreement, match=rf"{workload.name}: JAX has a loss of .* where fastnn has [12];"):
            check(workload, entries)


def test_a_contest_takes_turns() -> None:
    with contest([FASTNN, "numpy32"]) as runner:
        entries = runner.run(BATCHES, rounds=3, seconds=0.02)
    assert list(entries) == [FASTNN, "numpy32"]
    for entry in entries.values():
        assert len(entry.seconds) == 3
        assert entry.epochs >= 1
    assert entries[FASTNN].threads is None
    assert entries["numpy32"].threads in RIVALS["numpy32"].threads
    found: dict[str, Any] = as_dict(BATCHES, entries)
    assert found["best_peer"] == "numpy32"
    assert found["ratio"] == pytest.approx(entries["numpy32"].median / entries[FASTNN].median)


def test_ratios() -> None:
    entries = entries_with([1.0], [1.0]) | {"torch": Entry("PyTorch", 1, 1, [1.0])}
    for name, seconds in ((FASTNN, [4.0, 1.0, 2.0]), ("jax", [7.0, 6.0, 8.0]), ("torch", [1.0, 5.0, 5.0])):
        entries[name].seconds = seconds
    assert best_peer(entries) == "torch"
    assert (ratio(entries, "torch"), ratio(entries, "jax")) == (2.5, 3.5)


def test_fits_last_long_enough() -> None:
    """A fit with 10 ms of set-up and 1 ms an epoch."""
    asked = []

    def fit(epochs: int) -> tuple[float, list[float]]:
        asked.append(epochs)
        return 0.01 + 0.001 * epochs, []

    epochs, seconds = calibrate(fit, 0.5)
    assert 0.45 < fit(epochs)[0] < 0.6
    assert seconds == pytest.approx(0.001, rel=0.1)
    assert len(asked) < 10
    assert calibrate(lambda n: (2.0 * n, []), 0.5) == (1, 2.0)


def test_data_without_a_zero() -> None:
    workload = Workload("dense", (784, 10), None, "sgd", 1.0, data=WITHOUT_ZERO, rows=50)
    X, y = workload.load()
    assert (X.shape, X.min(), X.max(), len(y)) == ((50, 784), 1, 255, 50)
    real, _ = workload.load_real("float32")
    assert (real.dtype.name, real.max()) == ("float32", 1.0)


def test_workloads_have_names() -> None:
    assert len({workload.name for workload in WORKLOADS}) == len({describe(workload) for workload in WORKLOADS}) == 9
    assert describe(BATCHES) == "24-16-8 relu, B=32, Adam, table 20000x24, first 500 rows"
