"""The parts of a dataset and what every reader checks of them. Sizes: m rows, K features."""

from typing import NamedTuple

import numpy as np

from .source import Array

REAL_KINDS = "buif"
EXACT = 2.0**53  # from it on a float64 no longer tells neighbouring integers apart


class Dataset(NamedTuple):
    """Features (m, K) in the type of the file and labels (m,), int64 or float64; a file may have no test part."""

    X_train: Array
    y_train: Array
    X_test: Array | None = None
    y_test: Array | None = None


def make_part(X: Array, y: Array, name: str) -> tuple[Array, Array]:
    """Features (m, ...) flattened to (m, K) and labels (m,) or (m, 1) as (m,); ValueError where they do not match."""
    X, y = make_features(X, name), make_labels(y, name)
    if len(X) != len(y):
        raise ValueError(f"{name} has {len(y)} labels; expected {len(X)}, one for each row of features.")
    return X, y


def make_features(X: Array, name: str) -> Array:
    """Features (m, ...) as a C-contiguous (m, K) of the same type; ValueError where m or K is 0 or the type no real."""
    if X.dtype.kind not in REAL_KINDS:
        raise ValueError(f"{name} has features of type {X.dtype}; expected real numbers.")
    if X.ndim < 2 or X.size == 0:
        raise ValueError(f"{name} has features of shape {X.shape}; expected (m, K) or more dimensions, none of them 0.")
    return np.ascontiguousarray(X.reshape(len(X), -1))


def make_labels(y: Array, name: str) -> Array:
    """Labels (m,) or (m, 1) as a contiguous (m,): int64 where all are whole numbers, else float64.

    Raises ValueError for any other shape, for a type that is no real number and for integers above int64.
    """
    if y.dtype.kind not in REAL_KINDS:
        raise ValueError(f"{name} has labels of type {y.dtype}; expected real numbers.")
    if y.shape not in ((y.size,), (y.size, 1)):
        raise ValueError(f"{name} has labels of shape {y.shape}; expected one dimension (m,).")
    y = y.reshape(-1)
    if y.dtype.kind == "f":
        y = y.astype(np.float64)
    if y.dtype.kind == "u" and y.size and int(y.max()) > np.iinfo(np.int64).max:
        raise ValueError(f"{name} has the label {y.max()}; expected at most {np.iinfo(np.int64).max}.")
    return y.astype(np.int64) if _are_whole(y) else y


def _are_whole(y: Array) -> bool:
    # NaN and infinity fail the comparison with EXACT, so they stay floats for the caller to refuse.
    return y.dtype.kind != "f" or bool(np.all((abs(y) < EXACT) & (y == np.floor(y))))


def join_parts(train: tuple[Array, Array], test: tuple[Array, Array], name: str) -> Dataset:
    """Both parts as one dataset; ValueError where their rows differ in length."""
    K, K_test = train[0].shape[1], test[0].shape[1]
    if K_test != K:
        raise ValueError(f"{name} has {K_test} features in a test row; expected {K} as in a training row.")
    return Dataset(*train, *test)
