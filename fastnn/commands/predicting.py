"""What `fastnn predict` does: read images or rows, and print or write labels and probabilities."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import files
from ..cpus import thread_count
from ..data import read_features
from ..mistakes import class_probabilities
from ..mlp import MLP, network
from .images import SIDE, is_image, read_digit
from .rows import as_trained
from .run import Run, open_given

Array = NDArray[Any]
Predicted = tuple[str, Array, Array]  # the name of a file, its rows' labels, and the network's outputs for them
LIKELY = 3  # classes that are shown with their probabilities


def run(given: Mapping[str, Any]) -> None:
    """The command, from its flags. Raises ValueError, OSError or ImportError before anything is written; and, once all
    else is done, an ExceptionGroup with what was wrong with each of the files that could not be used.
    """
    out = given.get("out")
    if out is not None:
        check_out(out, "force" in given, (".csv", ".npz"))
    opened = open_given(given)
    net, threads = network(opened.checkpoint, backend=opened.settings.backend), thread_count(given.get("threads"))
    done, wrong = _predict_all(given["files"], opened, net, threads)
    if done:
        _tell(given, net, done)
    if wrong:
        raise ExceptionGroup("files that could not be used", wrong)


def _tell(given: Mapping[str, Any], net: MLP, done: list[Predicted]) -> None:
    """Print it or write it."""
    out = given.get("out")
    names = [(name, row) for name, found, _ in done for row in range(len(found))]
    labels, outputs = (np.concatenate([each[part] for each in done]) for part in (1, 2))
    probabilities = class_probabilities(outputs) if _has_classes(net) else None
    if "json" in given:
        print(json.dumps({"predictions": _records(names, labels, probabilities)}))
    elif out is None:
        _print(names, labels, probabilities)
    if out is not None:
        files.replace(out, (_csv if out.lower().endswith(".csv") else _npz)(names, labels, probabilities))
        if "json" not in given:
            print(f"{len(labels)} predictions are in {out}.")


def check_out(out: str, force: bool, endings: tuple[str, ...], name: str = "out") -> None:
    """Raise ValueError or FileExistsError unless the file `out`, which the argument `name` says, may be written."""
    if not out.lower().endswith(endings):
        raise ValueError(f"{name} is {out!r}; expected a name that ends with {' or '.join(endings)}.")
    if os.path.lexists(out) and not force:
        raise FileExistsError(f"{out} exists; expected a new name, or --force to replace it.")


def _has_classes(net: MLP) -> bool:
    return net.architecture.output == "softmax" or (net.architecture.classifies and net.architecture.sizes[-1] == 1)


def _predict_all(names: list[str], opened: Run, net: MLP, threads: int) -> tuple[list[Predicted], list[Exception]]:
    """What the network makes of each file that can be used, and what is wrong with the others."""
    done: list[Predicted] = []
    wrong: list[Exception] = []
    for name in names:
        try:
            X = _read(name, opened, net.architecture.sizes[0])
            done.append((name, *_predict(name, X, net, threads)))
        except (ValueError, OSError) as error:
            wrong.append(error)
    return done, wrong


def _predict(name: str, X: Array, net: MLP, threads: int) -> tuple[Array, Array]:
    try:
        return net.predict(X, threads=threads), net.predict_proba(X, threads=threads)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _read(name: str, opened: Run, K: int) -> Array:
    if not is_image(name):
        return as_trained(read_features(name, K), opened.checkpoint.data)
    if K != SIDE * SIDE:
        raise ValueError(f"{name} is an image, of {SIDE * SIDE} pixels when scaled; expected rows of {K} features.")
    return read_digit(name)[None]


# --- output


def _records(names: list[tuple[str, int]], labels: Array, probabilities: Array | None) -> list[dict[str, Any]]:
    """A dict for every row."""
    records, called = [], next(iter(_columns(labels, probabilities)))
    for i, (name, row) in enumerate(names):
        more = {} if probabilities is None else {"probabilities": _finite(probabilities[i])}
        records.append({"file": name, "row": row, called: _finite(labels[i]), **more})
    return records


def _finite(values: Array) -> Any:
    """As lists, with None for what is no finite number, for JSON has no NaN."""
    kept = np.asarray(values).astype(object)
    kept[~np.isfinite(values)] = None
    return kept.tolist()


def _print(names: list[tuple[str, int]], labels: Array, probabilities: Array | None) -> None:
    several = {name for name, row in names if row > 0}
    shown = [f"{name}[{row}]" if name in several else name for name, row in names]
    shown = [os.fsencode(name).decode(errors="replace") for name in shown]
    width = max(map(len, shown))
    for i, name in enumerate(shown):
        if probabilities is None:
            print(f"{name:{width}}  {' '.join(f'{value:.6g}' for value in labels[i].ravel())}")
            continue
        likely = np.argsort(-probabilities[i], kind="stable")[:LIKELY]
        best, *others = [f"{label} {probabilities[i, label]:.1%}" for label in likely]
        print(f"{name:{width}}  {best}  ({', '.join(others)})")


def _columns(labels: Array, probabilities: Array | None) -> dict[str, Array]:
    if probabilities is None:
        return {"prediction": labels}
    return {"label": labels, "probabilities": probabilities}


def _npz(names: list[tuple[str, int]], labels: Array, probabilities: Array | None) -> bytes:
    content = io.BytesIO()
    rows = {"files": np.array([name for name, _ in names]), "rows": np.array([row for _, row in names])}
    np.savez(content, allow_pickle=False, **rows, **_columns(labels, probabilities))
    return content.getvalue()


def _csv(names: list[tuple[str, int]], labels: Array, probabilities: Array | None) -> bytes:
    import csv

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    tables = [array.reshape(len(names), -1) for array in _columns(labels, probabilities).values()]
    outputs = tables[-1].shape[1]
    if probabilities is not None:
        titles = ["label", *(f"p{c}" for c in range(outputs))]
    else:
        titles = ["prediction"] if outputs == 1 else [f"prediction{c}" for c in range(outputs)]
    writer.writerow(["file", "row", *titles])
    for i, (name, row) in enumerate(names):
        writer.writerow([name, row, *(value for table in tables for value in table[i].tolist())])
    return text.getvalue().encode(errors="surrogateescape")  # as names of files are, whatever bytes they have
