"""fastnn's estimators beside scikit-learn's on its own data sets: accuracies and R2 over several seeds.

Each seed is a split of its own, the same for both. They start from the same weights and see the same batches, so in
float64 they should agree to rounding; float32 shows the noise. Exit status 1 if a mean is off by more than noise.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import fastnn
from benchmarks.page import add_write, machine, write

Array = NDArray[Any]

MARKER = "estimators"
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Case:
    """A data set, and the parameters of the estimators beside their defaults."""

    load: Callable[[], tuple[Array, Array]]
    classes: bool
    parameters: dict[str, Any]


def generated(make: Callable[..., Any], **how: Any) -> Callable[[], tuple[Array, Array]]:
    """A data set that scikit-learn makes, the same each time."""

    def load() -> tuple[Array, Array]:
        X, y = make(random_state=0, **how)
        return X, y / y.std() if make is datasets.make_regression else y

    return load


def bundled(load: Callable[..., Any], unit: float = 1.0) -> Callable[[], tuple[Array, Array]]:
    """A data set that comes with scikit-learn, its targets in another unit."""

    def scaled() -> tuple[Array, Array]:
        X, y = load(return_X_y=True)
        return X, y if unit == 1.0 else y / unit

    return scaled


NARROW = {"n_samples": 3000, "n_features": 10, "n_informative": 6, "n_classes": 4}
WIDE = {"n_samples": 2000, "n_features": 200, "n_informative": 30}
CASES = {
    "digits": Case(bundled(datasets.load_digits), True, {"max_iter": 50}),
    "breast cancer": Case(bundled(datasets.load_breast_cancer), True, {"alpha": 0.01}),
    "wine": Case(bundled(datasets.load_wine), True, {"solver": "lbfgs"}),
    "iris": Case(bundled(datasets.load_iris), True, {"solver": "sgd", "learning_rate_init": 0.05}),
    "make_classification, narrow": Case(generated(datasets.make_classification, **NARROW), True, {"max_iter": 60}),
    "make_classification, wide": Case(
        generated(datasets.make_classification, **WIDE), True, {"early_stopping": True, "activation": "tanh"}
    ),
    "diabetes": Case(bundled(datasets.load_diabetes, 100.0), False, {"max_iter": 100, "alpha": 1.0}),
    "make_regression": Case(
        generated(datasets.make_regression, n_samples=2000, n_features=20, noise=10.0), False, {"max_iter": 60}
    ),
    "make_regression, three targets": Case(
        generated(datasets.make_regression, n_samples=1000, n_features=20, n_targets=3, noise=50.0), False, {}
    ),
}


def scores(case: Case, home: Any, dtype: str, seeds: int) -> Array:
    """Accuracy or R2 on a quarter of the rows, held out, for every seed."""
    X, y = case.load()
    found = []
    for seed in range(seeds):
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
        scaler = StandardScaler().fit(X_train)
        kind = home.MLPClassifier if case.classes else home.MLPRegressor
        net = kind(random_state=seed, **case.parameters)
        net.fit(scaler.transform(X_train).astype(dtype), y_train)
        found.append(net.score(scaler.transform(X_test).astype(dtype), y_test))
    return np.array(found)


def is_near(ours: Array, theirs: Array) -> bool:
    """Whether the mean difference is within four of its standard errors, or half a point."""
    difference = ours - theirs
    error = difference.std() / np.sqrt(len(difference))
    return bool(abs(difference.mean()) <= max(4 * error, 0.005))


def row(name: str, dtype: str, ours: Array, theirs: Array) -> str:
    """A line of the table; figures in percent."""
    figures = [f"{100 * values.mean():.2f} ± {100 * values.std():.2f}" for values in (ours, theirs)]
    what = "accuracy" if CASES[name].classes else "R2"
    largest = 100 * np.abs(ours - theirs).max()
    return f"| {name} | {what} | {dtype} | {figures[0]} | {figures[1]} | {largest:.2f} |"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, write it where asked. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="DATA", default=list(CASES), help="default: all of them")
    parser.add_argument("--seeds", type=int, default=10, help="splits of each data set (default: 10)")
    add_write(parser, MARKER)
    options = parser.parse_args(argv)
    if options.seeds < 1:
        parser.error("--seeds must be at least 1")
    strange = [name for name in options.names if name not in CASES]
    if strange:
        parser.error(f"{strange[0]!r} is no data set; expected some of {', '.join(CASES)}")
    warnings.simplefilter("ignore", ConvergenceWarning)
    lines = ["| data | score | dtype | fastnn, % | scikit-learn, % | furthest apart |", "|---|---|---|--:|--:|--:|"]
    missed = []
    for name in options.names:
        for dtype in DTYPES:
            ours, theirs = (scores(CASES[name], home, dtype, options.seeds) for home in (fastnn, neural_network))
            lines.append(row(name, dtype, ours, theirs))
            print(lines[-1], flush=True)
            missed += [] if is_near(ours, theirs) else [f"{name}, {dtype}"]
    how = f"Mean ± standard deviation over {options.seeds} splits, on the quarter held out, both from the same seeds."
    text = "\n".join([*lines, "", f"{how} {machine()}"])
    print(f"\n{text}")
    if options.write is not None:
        write(options.write, MARKER, text)
    for name in missed:
        print(f"not within noise: {name}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
