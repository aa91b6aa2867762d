"""fastnn's estimators against scikit-learn's: the same parameters and data, fit at equal epochs, and predictions.

Each measurement is a process of its own, the two libraries take turns, and the medians are compared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.page import machine, write

Array = NDArray[Any]

LIBRARIES = ("fastnn", "scikit-learn")
DTYPES = ("float32", "float64")
ENDLESS: dict[str, Any] = {"n_iter_no_change": np.inf, "random_state": 0}
SECONDS = 0.3  # a measurement of something short is repeated for so long


@dataclass(frozen=True)
class Work:
    """What is timed, on which data, with which parameters; and how many times faster it should be than scikit-learn."""

    data: str
    what: str
    parameters: dict[str, Any]
    wanted: float


def hidden(*sizes: int, batch_size: Any = "auto", epochs: int) -> dict[str, Any]:
    return {"hidden_layer_sizes": sizes, "batch_size": batch_size, "max_iter": epochs, **ENDLESS}


WORKS = {
    "fit 20000x24, (64,), batches of 32": Work("narrow", "fit", hidden(64, batch_size=32, epochs=5), 10),
    "fit 20000x24, (100, 100), batches of 200": Work("narrow", "fit", hidden(100, 100, batch_size=200, epochs=5), 4),
    "fit digits, defaults": Work("digits", "fit", hidden(100, epochs=50), 8),
    "fit MNIST, (128,), batches of 64": Work("mnist", "fit", hidden(128, batch_size=64, epochs=2), 5),
    "fit digits, lbfgs": Work("digits", "fit", {**hidden(100, epochs=50), "solver": "lbfgs", "tol": 1e-9}, 2),
    "predict_proba 10000x24": Work("narrow", "predict_proba", hidden(64, epochs=1), 3),
    "predict_proba of one row": Work("narrow", "predict_one", hidden(64, epochs=1), 5),
}


def load(data: str) -> tuple[Array, Array]:
    from sklearn import datasets

    if data == "digits":
        X, y = datasets.load_digits(return_X_y=True)
        return X / 16, y
    if data == "mnist":
        import fastnn

        X, y, _, _ = fastnn.load_mnist()
        return X / 255, y
    X, y = datasets.make_classification(20000, 24, n_informative=12, n_classes=2, random_state=0)
    return X, y


def measure(name: str, library: str, dtype: str) -> float:
    """Median seconds of a fit, or of a prediction; the first call, which may compile, does not count."""
    warnings.simplefilter("ignore")
    work, (X, y) = WORKS[name], load(WORKS[name].data)
    X = X.astype(dtype)
    kind = _classifier(library)
    net = kind(**{**work.parameters, "max_iter": 1}).fit(X, y)
    if work.what == "fit":
        return _median_seconds(lambda: kind(**work.parameters).fit(X, y))
    rows = X[:10000] if work.what == "predict_proba" else X[:1].copy()
    return _median_seconds(lambda: net.predict_proba(rows))


def _classifier(library: str) -> Any:
    if library == "fastnn":
        from fastnn import MLPClassifier

        return MLPClassifier
    from sklearn.neural_network import MLPClassifier as Theirs

    return Theirs


def _median_seconds(call: Callable[[], Any]) -> float:
    call()
    seconds: list[float] = []
    while sum(seconds) < SECONDS:
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return median(seconds)


def in_a_process(name: str, library: str, dtype: str) -> float:
    """`measure` in a process that ends with it: threads of one library do not disturb the other."""
    command = [sys.executable, "-m", "benchmarks.estimators_speed", "--measure", json.dumps([name, library, dtype])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def row(name: str, rounds: int) -> str:
    """A line of the table: milliseconds and ratios, float32 then float64."""
    cells = []
    for dtype in DTYPES:
        turns = [[in_a_process(name, library, dtype) for library in LIBRARIES] for _ in range(rounds)]
        ours, theirs = (median(seconds) for seconds in zip(*turns, strict=True))
        cells.append(f"{1e3 * ours:.3g} | {1e3 * theirs:.3g} | {theirs / ours:.1f}")
    return f"| {name} | {' | '.join(cells)} | {WORKS[name].wanted:.0f} |"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, write it where asked. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators_speed", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="WORK", default=list(WORKS), help="default: all of them")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each library (default: 3)")
    parser.add_argument("--write", type=Path, metavar="README.md", help="put the table between this file's markers")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.measure:
        print(measure(*json.loads(options.measure)))
        return 0
    strange = [name for name in options.names if name not in WORKS]
    if strange:
        parser.error(f"{strange[0]!r} is not measured; expected some of: {'; '.join(WORKS)}")
    lines = [
        "| | fastnn, ms | scikit-learn, ms | ratio | fastnn, ms | scikit-learn, ms | ratio | wanted |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name in options.names:
        lines.append(row(name, options.rounds))
        print(lines[-1], flush=True)
    how = f"First in float32, then in float64; medians of {options.rounds} processes each, which took turns."
    text = "\n".join([*lines, "", f"{how} {machine()}"])
    print(f"\n{text}")
    if options.write is not None:
        write(options.write, "estimators-speed", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
