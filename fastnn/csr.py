"""Features without their zeros, as scipy.sparse keeps them, checked once and for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

# Up to so many columns their numbers are kept in 16 bits: 3 bytes an entry of uint8 features, not 5.
MOST_SHORT = 1 << 16


@dataclass(frozen=True)
class CSR:
    """Rows of (m, K): row i's entries are starts[i]..starts[i + 1] of columns, ascending, and values.

    starts (m + 1,) int64 and columns (entries,) uint16 or int32 are our own, so that nobody can change them after they
    have been checked; values (entries,) of uint8, float32 or float64 may be the caller's.
    """

    starts: Array
    columns: Array
    values: Array
    shape: tuple[int, int]

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    def __getitem__(self, rows: slice | Array) -> Array:
        """These rows with their zeros."""
        numbers = np.arange(len(self))[rows]
        dense = np.zeros((len(numbers), self.shape[1]), self.dtype)
        for i, row in enumerate(numbers):
            entries = slice(self.starts[row], self.starts[row + 1])
            dense[i, self.columns[entries]] = self.values[entries]
        return dense


def is_sparse(X: object) -> bool:
    """Whether X is a matrix or array of scipy.sparse; without importing it."""
    return hasattr(X, "tocsr") and hasattr(type(X), "nnz")


def read(name: str, X: Any, dtype: DTypeLike) -> CSR:
    """What scipy.sparse holds in X, of any format, as CSR.

    Raises TypeError or ValueError for what is no matrix of real numbers, or holds columns that it does not have.
    Whether the numbers are finite remains to be checked.
    """
    if X.dtype.kind not in "buif":
        raise TypeError(f"{name} has dtype {X.dtype}; expected real numbers.")
    rows = X.tocsr()
    starts, columns = _checked(name, rows)
    if not _ascending(starts, columns):
        rows = rows.copy()
        rows.has_canonical_format = False  # whatever it said before
        rows.sum_duplicates()
        starts, columns = _checked(name, rows)
    values = np.asarray(rows.data)[: starts[-1]]
    if values.dtype not in (np.uint8, np.float32, np.float64) or (values.dtype != np.uint8 and values.dtype != dtype):
        values = values.astype(dtype)
    return CSR(starts, columns, np.require(values, requirements=["C", "A", "W"]), rows.shape)


def _checked(name: str, rows: Any) -> tuple[Array, Array]:
    """Copies of a matrix's row pointers and columns, before anything else reads them as memory."""
    (m, K), entries = rows.shape, min(len(rows.indices), len(rows.data))
    starts = rows.indptr.astype(np.int64)
    if starts.shape != (m + 1,) or starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] > entries:
        raise ValueError(f"{name} has row pointers that do not ascend from 0 to its {entries} numbers.")
    indices = np.array(rows.indices[: starts[-1]])  # nobody can change these any more
    if len(indices) and not (indices.min() >= 0 and indices.max() < K):
        wrong = indices.min() if indices.min() < 0 else indices.max()
        raise ValueError(f"{name} holds a number in column {wrong}; expected columns 0 to {K - 1}.")
    return starts, indices.astype(np.uint16 if K <= MOST_SHORT else np.int32, copy=False)


def _ascending(starts: Array, columns: Array) -> bool:
    """Whether every row's columns ascend."""
    rises = np.diff(columns.astype(np.int64)) > 0
    begins = starts[1:-1]
    rises[begins[(begins > 0) & (begins < len(columns))] - 1] = True  # from one row to the next they need not
    return bool(rises.all())
