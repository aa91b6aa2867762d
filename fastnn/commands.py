"""What `python -m fastnn.train` does with its settings: read, train, save, measure, print."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from .cpus import thread_count
from .data import Dataset, load_mnist, read_dataset
from .history import History
from .initializers import Initializer
from .mlp import MLP, backend_of
from .recipes import RECIPES, Array, Prepared, hold_out
from .report import class_report, confusion_matrix, format_matrix, format_report
from .settings import Settings

MODEL, HISTORY = "model.safetensors", "history.json"
WIDEST_MATRIX = 40  # classes; a wider matrix would wrap in any terminal


@dataclass(frozen=True)
class Result:
    """How well the trained network does on the rows it is measured on. score: accuracy, or R2 for identity outputs."""

    loss: float
    score: float
    predictions: Array


def train(settings: Settings) -> None:
    """All of a run. Raises ValueError, TypeError, OSError or ArithmeticError; nothing is written before it trained."""
    init = _initializer(settings)
    if settings.out is not None:
        check_directory(Path(settings.out))
    rows, validation = prepare(settings, read(settings))
    net = make_network(settings, rows, init)
    print(describe(settings, net, rows), flush=True)
    net.check(rows.X_evaluate, rows.y_evaluate)  # strange test rows are refused before the long wait
    history = fit(net, settings, rows, validation)
    if settings.out is not None:
        save(net, history, Path(settings.out))
    with backend_of(settings.backend).messages(lambda text: print(text, flush=True)):
        result = measure(net, rows)
    print_report(settings, net, rows, result)
    if settings.json:
        print(json.dumps(summary(settings, net, rows, history, result)))


# --- before training


def check_directory(out: Path) -> None:
    """Raise OSError unless a model and its history can be saved in `out`, which need not exist yet."""
    for name in (MODEL, HISTORY):
        if os.path.lexists(out / name):
            raise FileExistsError(f"--out is {str(out)!r}, which holds a {name}; expected a directory without one.")
    parent = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise NotADirectoryError(f"--out is {str(out)!r}; expected a directory that can be written.")


def read(settings: Settings) -> Dataset:
    """The data, its test part from --test-data if that is given. Raises OSError or ValueError."""
    data = Dataset(*load_mnist()) if settings.data == "mnist" else read_dataset(settings.data)
    if settings.test_data is not None:
        test = read_dataset(settings.test_data)
        part = (test.X_train, test.y_train) if test.X_test is None else (test.X_test, test.y_test)
        data = Dataset(data.X_train, data.y_train, *part)
    K = data.X_train.shape[1]
    if data.X_test is not None and data.X_test.shape[1] != K:
        raise ValueError(
            f"The test rows have {data.X_test.shape[1]} features; expected {K}, as the training rows have."
        )
    return _alike(data)


def _alike(data: Dataset) -> Dataset:
    """The data with bytes, which mean x / 255, in both parts or in neither: a table's type follows from its values."""
    if data.X_test is None or (data.X_train.dtype == np.uint8) == (data.X_test.dtype == np.uint8):
        return data
    return data._replace(X_train=data.X_train.astype(np.float64), X_test=data.X_test.astype(np.float64))


def prepare(settings: Settings, data: Dataset) -> tuple[Prepared, tuple[Array, Array] | None]:
    """The rows to train and measure on, and the validation rows if there are any. Raises ValueError."""
    recipe = RECIPES[settings.recipe] if settings.recipe is not None else None
    rows = recipe.rows if recipe is not None and recipe.rows is not None else len(data.X_train)
    fraction = settings.validation_fraction
    held_out = max(1, round(fraction * rows)) if fraction > 0 else 0
    if recipe is not None:
        recipe = replace(recipe, held_out=held_out or recipe.held_out)
        prepared = recipe.prepare(*data, settings.seed)
        return prepared, (prepared.X_evaluate, prepared.y_evaluate) if held_out else None
    X, y, X_held, y_held = hold_out(data.X_train, data.y_train, held_out, settings.seed)
    validation = (X_held, y_held) if held_out else None
    if data.X_test is not None and data.y_test is not None:
        return Prepared(X, y, data.X_test, data.y_test, "test"), validation
    if validation is not None:
        return Prepared(X, y, *validation, "validation"), validation
    return Prepared(X, y, X, y, "training"), None


def make_network(settings: Settings, rows: Prepared, init: Initializer | None) -> MLP:
    """A network that fits the rows: their features and labels say how many inputs and outputs it has."""
    outputs = _classes(rows) if settings.output in (None, "softmax") else 1
    return MLP(
        [rows.X_train.shape[1], *settings.hidden, outputs],
        activation=settings.activation,
        output=settings.output,
        init=init,
        dtype=settings.dtype,
        seed=settings.seed,
        backend=settings.backend,
    )


def _classes(rows: Prepared) -> int:
    labels = np.concatenate([rows.y_train, rows.y_evaluate])
    if labels.dtype.kind not in "biu":
        raise ValueError("The labels are not whole numbers; expected classes from 0, or --output-activation identity.")
    largest = int(labels.max())
    if largest >= len(labels):
        raise ValueError(
            f"The labels go to {largest}; expected fewer classes than rows, or --output-activation identity."
        )
    return max(2, largest + 1)


def _initializer(settings: Settings) -> Initializer | None:
    if settings.init is None:
        return None
    return replace(Initializer.of(settings.init), biases=settings.init_biases)


def describe(settings: Settings, net: MLP, rows: Prepared) -> str:
    """A line of what is about to be trained, such as "784-128-10, 60000 rows in batches of 128, ..."."""
    sizes = "-".join(map(str, net.architecture.sizes))
    batch = "at once" if settings.batch_size is None else f"in batches of {settings.batch_size}"
    how = f"{settings.optimizer} at {settings.learning_rate:g}, {settings.epochs} epochs, seed {settings.seed}"
    return f"{sizes}, {len(rows.X_train)} rows {batch}, {how}"


def fit(net: MLP, settings: Settings, rows: Prepared, validation: tuple[Array, Array] | None) -> History:
    """Train the network as the settings say."""
    return net.fit(
        rows.X_train,
        rows.y_train,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        optimizer=settings.optimizer,
        learning_rate=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        validation=validation,
        seed=settings.seed,
        threads=settings.threads,
        verbose=settings.progress,
    )


# --- after training


def save(net: MLP, history: History, out: Path) -> None:
    """Write the model and its history, in a directory that is created if need be."""
    out.mkdir(parents=True, exist_ok=True)
    net.save(out / MODEL)
    (out / HISTORY).write_text(json.dumps(history.as_dict(), indent=1) + "\n", encoding="utf-8")


def measure(net: MLP, rows: Prepared) -> Result:
    """The network's loss, score and predictions on the rows to measure on."""
    X, y = rows.X_evaluate, rows.y_evaluate
    return Result(net.loss(X, y), net.score(X, y), net.predict(X))


def print_report(settings: Settings, net: MLP, rows: Prepared, result: Result) -> None:
    """Score and loss, then confusion matrix and report by class where there are classes, then where the model is."""
    what = rows.evaluated
    score = f"accuracy {result.score:.2%}" if net.architecture.classifies else f"R2 {result.score:.4f}"
    note = "" if what in ("test", "held-out") else "; the data has no test rows"
    print(f"\n{what} {score}  ({len(rows.X_evaluate)} {what} rows{note})\n{what} loss {result.loss:.4f}")
    if net.architecture.classifies:
        classes = max(2, net.architecture.sizes[-1])
        matrix = confusion_matrix(rows.y_evaluate, result.predictions, classes)
        if classes <= WIDEST_MATRIX:
            print(f"\nconfusion matrix (rows: true class, columns: predicted class)\n{format_matrix(matrix)}")
        print(f"\n{format_report(class_report(matrix))}")
    saved = f"Saved {MODEL} and {HISTORY} in {settings.out}."
    print(f"\n{saved if settings.out is not None else 'Nothing is saved; --out DIR saves the model and its history.'}")


def summary(settings: Settings, net: MLP, rows: Prepared, history: History, result: Result) -> dict[str, Any]:
    """The figures of --json. What is not a finite number is None, for JSON has no NaN."""
    classifies = net.architecture.classifies
    figures = {
        "test_accuracy": result.score if classifies else None,
        "test_r2": None if classifies else result.score,
        "test_loss": result.loss,
        "train_accuracy": history.accuracy[-1] if history.accuracy else None,
        "final_loss": history.loss[-1],
        "train_seconds": history.seconds[-1],
    }
    finite = {name: value if value is not None and isfinite(value) else None for name, value in figures.items()}
    kept = ("recipe", "epochs", "seed", "dtype", "backend", "out")
    return {
        **finite,
        "evaluated": rows.evaluated,
        "sizes": list(net.architecture.sizes),
        "threads": thread_count(settings.threads),
        **{name: getattr(settings, name) for name in kept},
    }
