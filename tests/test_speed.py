"""A guard against large losses of speed: fastnn beside NumPy in the same run. Ratios, never seconds.

Floors are far below what is measured on an idle machine (full batch 4.2, mini-batches 2.4), and only three failures in
a row count: noise cannot fail this, while kernels that are no longer compiled to vectors do.
"""

import pytest
from numba import config

from benchmarks import contest
from benchmarks.workloads import Workload

ATTEMPTS = 3
WORKLOADS = [
    Workload("full batch", (784, 64, 10), None, "sgd", 1.5, "sigmoid", rows=3000),
    Workload("mini-batches", (784, 128, 10), 64, "adam", 1.5, rows=3000),
]


@pytest.mark.skipif(bool(config.CPU_NAME), reason="the kernels are compiled for another CPU than this one")
def test_fastnn_is_faster_than_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        contest, "SLEEP_SECONDS", 0.0
    )  # single threads leave none behind that would have to fall asleep
    with contest.contest(["fastnn", "numpy32"], threads=1) as runner:
        for workload in WORKLOADS:
            ratios: list[float] = []
            while len(ratios) < ATTEMPTS and max(ratios, default=0.0) < workload.floor:
                ratios.append(contest.ratio(runner.run(workload, rounds=3, seconds=0.1), "numpy32"))
            assert max(ratios) >= workload.floor, (
                f"{workload.name}: NumPy took {ratios} times as long; expected {workload.floor}"
            )
