"""fastnn's estimators against scikit-learn's: the same parameters and data, fit at equal epochs, and predictions.

Each library has a process of its own, they take turns, and the medians are compared.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.page import add_write, machine, milliseconds, ratio_text, write
from benchmarks.process import SLEEP_SECONDS, Loop, Process

Array = NDArray[Any]

MARKER = "estimators-speed"
LIBRARIES = ("fastnn", "scikit-learn")
DTYPES = ("float32", "float64")
TURN_SECONDS = 0.2  # after a pause a core is slow for some of them: a row would take three times as long
ENDLESS: dict[str, Any] = {"n_iter_no_change": np.inf, "random_state": 0}


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


class Turn(Loop):
    """Timed for a while, several times."""

    def seconds(self) -> float:
        began, times = time.perf_counter(), [super().seconds()]
        while time.perf_counter() - began < TURN_SECONDS:
            times.append(super().seconds())
        return median(times)


def make(name: str, library: str, dtype: str) -> Turn:
    """The fit or prediction of one library, to be timed in the process that calls this."""
    warnings.simplefilter("ignore")
    work, (X, y) = WORKS[name], load(WORKS[name].data)
    X, kind = X.astype(dtype), _classifier(library)
    if work.what == "fit":
        return Turn(lambda: kind(**work.parameters).fit(X, y).loss_)
    net, rows = kind(**work.parameters).fit(X, y), X[:10000] if work.what == "predict_proba" else X[:1].copy()
    return Turn(partial(net.predict_proba, rows))


def _classifier(library: str) -> Any:
    if library == "fastnn":
        from fastnn import MLPClassifier

        return MLPClassifier
    from sklearn.neural_network import MLPClassifier as Theirs

    return Theirs


@contextmanager
def processes() -> Iterator[dict[str, Process]]:
    """One for each library, from one work to the next."""
    made = {library: Process() for library in LIBRARIES}
    try:
        yield made
    finally:
        for process in made.values():
            process.close()


def compare(homes: dict[str, Process], name: str, dtype: str, rounds: int) -> list[float]:
    """Each library's median seconds. Raises AssertionError if they do not agree in what they are timed for."""
    for library, process in homes.items():
        process.hold(make, name, library, dtype)
    ours, theirs = (process.call("first") for process in homes.values())
    # Losses of fits differ by 2.5% at most (lbfgs in float32); probabilities of networks that differ so, more.
    far = 0.0 if WORKS[name].what == "fit" else 0.02
    np.testing.assert_allclose(ours, theirs, rtol=0.05, atol=far, err_msg=f"{name}, {dtype}")
    seconds: dict[str, list[float]] = {library: [] for library in homes}
    for _ in range(rounds):
        for library, process in homes.items():
            time.sleep(SLEEP_SECONDS)
            seconds[library].append(process.call("seconds"))
    for process in homes.values():
        process.drop()
    return [median(times) for times in seconds.values()]


def row(homes: dict[str, Process], name: str, rounds: int) -> str:
    """A line of the table: milliseconds and ratios, float32 then float64."""
    cells = []
    for dtype in DTYPES:
        ours, theirs = compare(homes, name, dtype, rounds)
        cells.append(f"{milliseconds(ours)} | {milliseconds(theirs)} | {ratio_text(theirs / ours)}")
    return f"| {name} | {' | '.join(cells)} | {WORKS[name].wanted:.0f} |"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, write it where asked. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators_speed", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="WORK", default=list(WORKS), help="default: all of them")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each library (default: 7)")
    add_write(parser, MARKER)
    options = parser.parse_args(argv)
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    strange = [name for name in options.names if name not in WORKS]
    if strange:
        parser.error(f"{strange[0]!r} is not measured; expected some of: {'; '.join(WORKS)}")
    lines = [
        "| | fastnn, ms | scikit-learn, ms | ratio | fastnn, ms | scikit-learn, ms | ratio | wanted |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    with processes() as homes:
        for name in options.names:
            lines.append(row(homes, name, options.rounds))
            print(lines[-1], flush=True)
    how = f"First in float32, then in float64; medians of {options.rounds} turns, each library in its own process."
    text = "\n".join([*lines, "", f"{how} {machine()}"])
    print(f"\n{text}")
    if options.write is not None:
        write(options.write, MARKER, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
