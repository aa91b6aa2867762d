"""From what users hand in to the few layouts that kernels see, with every value checked once.

m rows, K features, N outputs. Whatever passes here can do no harm as unchecked memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import csr
from .architecture import Architecture
from .csr import CSR
from .finite import all_finite

Array = NDArray[Any]

# Numbers looked at in one go, so that checking a memory-mapped file takes little memory.
CHUNK_NUMBERS = 1 << 22


def features(name: str, X: Any, K: int, dtype: DTypeLike) -> Array | CSR:
    """X as (m, K) of uint8, float32 or float64, native, each row contiguous; the caller's own memory where it is so.
    What scipy.sparse holds becomes CSR.

    Other real dtypes are converted to `dtype`. Raises TypeError for what is no number, ValueError for a wrong shape, no
    rows, or a value that is not finite in `dtype`.
    """
    if isinstance(X, CSR):
        return X
    if csr.is_sparse(X):
        return _sparse_features(name, X, K, dtype)
    array = as_array(name, X)
    if array.dtype.kind not in "buif":
        raise TypeError(f"{name} has dtype {array.dtype}; expected real numbers.")
    if array.ndim != 2:
        hint = f" {name}.reshape(1, -1) makes one row of it." if array.ndim == 1 else ""
        raise ValueError(f"{name} has shape {array.shape}; expected two dimensions, (rows, {K}).{hint}")
    _check_shape(name, array.shape, K)
    if array.dtype.kind == "f":
        check_finite(name, array, np.dtype(dtype))
    if array.dtype not in (np.uint8, np.float32, np.float64) or not array.dtype.isnative:
        array = array.astype(np.float64 if array.dtype == np.dtype(">f8") else dtype)
    rows_contiguous = array.strides[1] == array.itemsize or K == 1
    return array if rows_contiguous and array.strides[0] >= 0 else np.ascontiguousarray(array)


def _sparse_features(name: str, X: Any, K: int, dtype: DTypeLike) -> CSR:
    if len(X.shape) != 2:
        raise ValueError(f"{name} has shape {X.shape}; expected two dimensions, (rows, {K}).")
    _check_shape(name, X.shape, K)
    with np.errstate(over="ignore"):
        rows = csr.read(name, X, dtype)
    if rows.dtype.kind == "f" and not np.isfinite(rows.values).all():
        entry = int(np.flatnonzero(~np.isfinite(rows.values))[0])
        row = int(np.searchsorted(rows.starts, entry, side="right")) - 1
        column = int(rows.columns[entry])
        value = X.tocsr()[row, column]
        fits = f" that fit {rows.dtype}." if np.isfinite(value) else "."
        raise ValueError(f"{name} holds {value} in row {row}, column {column}; expected finite numbers{fits}")
    return rows


def _check_shape(name: str, shape: tuple[int, ...], K: int) -> None:
    if shape[1] != K:
        raise ValueError(f"{name} has {shape[1]} features; expected {K}, the network's first size.")
    if shape[0] == 0:
        raise ValueError(f"{name} has no rows; expected at least one.")


def as_array(name: str, X: Any) -> Array:
    """X as an array of no other kind, the caller's own memory where it is one. Raises TypeError or ValueError."""
    if type(X) is np.ndarray:
        return X
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise TypeError(f"{name} is a masked array with masked values; expected none, such as {name}.filled(0).")
    if hasattr(X, "toarray"):
        raise TypeError(f"{name} is a sparse {type(X).__name__}; expected a dense array, such as {name}.toarray().")
    try:
        array = np.asarray(X)
        if array.dtype.kind == "O" and hasattr(X, "dtypes") and _are_real(X.dtypes):
            array = X.to_numpy(dtype=np.float64, na_value=np.nan)  # pandas' columns of several kinds
        return array
    except ValueError:
        raise ValueError(f"{name} has rows of different lengths; expected a table.") from None


def _are_real(dtypes: Any) -> bool:
    """Whether all of a table's columns, or a column, hold real numbers."""
    return all(getattr(dtype, "kind", "O") in "buif" for dtype in np.atleast_1d(np.asarray(dtypes, object)))


def check_finite(name: str, array: Array, dtype: np.dtype[Any]) -> None:
    """Raise ValueError at the first value that is not finite, or would not be after its conversion to dtype."""
    if array.dtype == dtype and all_finite(array):
        return
    largest = np.finfo(dtype).max
    step = max(1, CHUNK_NUMBERS // max(1, array[0].size))
    for start in range(0, len(array), step):
        chunk = array[start : start + step]
        if -largest <= chunk.min() and chunk.max() <= largest:  # false for NaN
            continue
        flat = np.flatnonzero(~(np.abs(chunk) <= largest))[0]
        row, column = divmod(int(flat), array[0].size)
        value = chunk.reshape(len(chunk), -1)[row, column]
        where = f"row {start + row}" + (f", column {column}" if array.ndim > 1 else "")
        raise ValueError(
            f"{name} holds {value} in {where}; expected finite numbers"
            + (f" that fit {dtype}." if np.isfinite(value) else ".")
        )


def labels_or_targets(name: str, y: ArrayLike, architecture: Architecture, m: int, dtype: DTypeLike) -> Array:
    """y as int64 labels (m,) for softmax, else as targets (m, N) of dtype. Raises TypeError or ValueError."""
    array = np.array(as_array(name, y), order="C")  # nobody can put another label there once these are checked
    if array.dtype.kind not in "buif":
        raise TypeError(f"{name} has dtype {array.dtype}; expected numbers.")
    N = architecture.sizes[-1]
    expected = (m,) if architecture.output == "softmax" or N == 1 else (m, N)
    if array.shape == (m, 1) and expected == (m,):
        array = array[:, 0]
    if array.ndim > 0 and len(array) != m:
        raise ValueError(f"{name} has {len(array)} entries; expected {m}, one for each row of X.")
    if array.shape != expected:
        hint = (
            f" For one-hot rows use {name}.argmax(axis=1)."
            if architecture.output == "softmax" and array.ndim == 2
            else ""
        )
        raise ValueError(f"{name} has shape {array.shape}; expected {expected}.{hint}")
    if array.dtype.kind == "f":
        check_finite(name, array, np.dtype(np.float64 if architecture.output == "softmax" else dtype))
    if architecture.classifies:
        check_labels(name, array, N if architecture.output == "softmax" else 2)
    if architecture.output == "softmax":
        return array.astype(np.int64, copy=False)
    return array.astype(dtype, copy=False).reshape(m, N)


def check_labels(name: str, labels: Array, classes: int | None, hint: str = "") -> None:
    """Raise ValueError at the first label that is not one of 0..classes-1, or no whole number from 0 for None.

    hint: what else would be right.
    """
    wrong = labels < 0
    if classes is not None:
        wrong |= labels > classes - 1
    if labels.dtype.kind == "f":
        wrong |= ~np.isfinite(labels) | (labels != np.floor(labels))
    if wrong.any():
        place = np.argwhere(wrong)[0]
        value = labels[tuple(place)]
        where = f"row {place[0]}" + (f", column {place[1]}" if len(place) > 1 else "")
        known = "from 0" if classes is None else f"from 0 to {classes - 1}"
        raise ValueError(f"{name} holds {value} in {where}; expected whole numbers {known}{hint}.")
