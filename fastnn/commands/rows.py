"""The rows that a run trains and measures on."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..data import Dataset, load_mnist, read_dataset
from ..inputs import check_finite, check_labels
from ..recipes import RECIPES, Array, Prepared, hold_out
from .images import SIDE
from .run import Run
from .settings import Settings, from_file


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


def read_to_train(settings: Settings) -> Dataset:
    """The same, of which all can be trained on: what cannot is told by its file and its place in it, while these are
    known. Raises OSError or ValueError."""
    data = read(settings)
    _check(settings, settings.data, data.X_train, data.y_train)
    if data.X_test is not None and data.y_test is not None:
        _check(settings, settings.test_data or settings.data, data.X_test, data.y_test)
    return data


def _check(settings: Settings, path: str, X: Array, y: Array) -> None:
    dtype: np.dtype[Any] = np.dtype(settings.dtype)
    if X.dtype.kind == "f":
        from_file(path, lambda: check_finite("X", X, dtype))
    if settings.output == "identity":
        from_file(path, lambda: check_finite("y", y, dtype))
    else:
        binary = settings.output == "sigmoid" and settings.recipe is None
        hint = ", or --output-activation identity" if settings.output is None else ""
        from_file(path, lambda: check_labels("y", y, 2 if binary else None, hint))


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
    if recipe is not None and not held_out:
        if recipe.held_out and settings.test_data is not None:
            raise ValueError(
                f"test_data is {settings.test_data!r}, but {settings.recipe} is measured on rows it holds out itself; "
                "expected none, or --validation-fraction."
            )
        return recipe.prepare(*data, settings.seed), None
    y_train, y_test = data.y_train, data.y_test
    if recipe is not None:
        y_train, y_test = recipe.labels(y_train), None if y_test is None else recipe.labels(y_test)
    X, y, X_held, y_held = hold_out(data.X_train, y_train, held_out, settings.seed, rows=rows)
    validation = (X_held, y_held) if held_out else None
    if data.X_test is not None and y_test is not None:
        return Prepared(X, y, data.X_test, y_test, "test"), validation
    if validation is not None:
        return Prepared(X, y, *validation, "validation"), validation
    return Prepared(X, y, X, y, "training"), None


def rows_to_measure(run: Run, data: str | None) -> Prepared:
    """Those that the run was measured on or, from other data, its test rows or, without those, all of it."""
    if data is None:
        K = run.checkpoint.architecture.sizes[0]
        if not run.checkpoint.settings and K != SIDE * SIDE:
            raise ValueError(f"data is not given, nor does {run.path} say its rows; expected rows of {K} features.")
        prepared, _ = prepare(run.settings, read(run.settings))
        check_same(run, knowledge_of(prepared.X_train, prepared.y_train))
        return prepared
    other = read(run.settings.replace(data=data, test_data=None))
    recipe = RECIPES[run.settings.recipe] if run.settings.recipe is not None else None
    X, y = (other.X_train, other.y_train) if other.X_test is None else (other.X_test, other.y_test)
    assert y is not None  # as X_test has labels
    return Prepared(X[:0], y[:0], as_trained(X, run.checkpoint.data), recipe.labels(y) if recipe else y, "given")


def as_trained(X: Array, data: Mapping[str, Any]) -> Array:
    """Features as the network knows them: a table's type follows from its values, and bytes mean x / 255.

    Raises ValueError where one row that holds no bytes would change what all others mean.
    """
    trained = data.get("type", "uint8")
    if X.dtype == np.uint8 and trained != "uint8":
        return X.astype(np.float64)
    no_bytes = X.dtype != np.uint8 and trained == "uint8" and X.shape[1] == data.get("features")
    beyond = np.greater(X, 1.0) if no_bytes else np.zeros((0, 0), bool)
    if beyond.any():
        row, column = np.argwhere(beyond)[0]
        raise ValueError(
            f"The features hold {X[row, column]:g} in row {row}, column {column}, among numbers that are no bytes; "
            "expected bytes (uint8, or a CSV of whole numbers from 0 to 255), as the network was trained on, or all of "
            "them divided by 255."
        )
    return X


def check_same(run: Run, data: Mapping[str, Any]) -> None:
    """Raise ValueError unless the run was trained on these rows, or nothing is known of them."""
    if run.checkpoint.data and data != run.checkpoint.data:
        raise ValueError(
            f"{run.path} was trained on rows that are {run.checkpoint.data}; expected those, found {data}."
        )


def knowledge_of(X: Array, y: Array) -> dict[str, Any]:
    """What a checkpoint keeps of the rows it was trained on: enough to tell whether others are the same."""
    checksum = zlib.crc32(np.ascontiguousarray(y).data, zlib.crc32(np.ascontiguousarray(X).data))
    return {"rows": len(X), "features": X.shape[1], "type": X.dtype.name, "crc32": f"{checksum:08x}"}
