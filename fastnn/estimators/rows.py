"""Checked data, as trainers take it, and rows held out of it to measure on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .. import csr
from ..csr import CSR
from ..inputs import check_finite

Array = NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """X (m, K) float32 or float64, each row contiguous, or without zeros; Y labels (m,) int64 or targets (m, N);
    weights (m,) or None."""

    X: Array | CSR
    Y: Array
    sample_weight: Array | None

    @property
    def total(self) -> float:
        """What all rows count together."""
        return float(len(self.X)) if self.sample_weight is None else float(self.sample_weight.sum())

    def take(self, numbers: Array) -> Rows:
        """These rows only."""
        weights = None if self.sample_weight is None else self.sample_weight[numbers]
        return Rows(_take(self.X, numbers), self.Y[numbers], weights)


@dataclass(frozen=True)
class HeldOut:
    """Rows to measure on. measure: an estimator's score on them, and its mean loss without penalty."""

    measure: Callable[[Any], tuple[float, float]]


def features(X: Any, dtype: np.dtype[Any]) -> Array | CSR:
    """What scikit-learn has checked, as trainers take it. Raises ValueError for what is infinite in dtype."""
    if sparse.issparse(X):
        with np.errstate(over="ignore"):
            rows = csr.read("X", X, dtype)
        if not np.isfinite(rows.values).all():
            raise ValueError(f"X holds a value that is infinite as {dtype}; expected finite numbers that fit it.")
        return rows
    array: Array = X
    if array.dtype != dtype:
        check_finite("X", array, dtype)
        array = array.astype(dtype)
    contiguous = array.strides[1] == array.itemsize or array.shape[1] == 1
    return array if contiguous and array.strides[0] >= 0 else np.ascontiguousarray(array)


def _take(X: Array | CSR, numbers: Array) -> Array | CSR:
    if isinstance(X, CSR):
        return csr.read("X", sparse.csr_array((X.values, X.columns, X.starts), X.shape)[numbers], X.dtype)
    return X[numbers]
