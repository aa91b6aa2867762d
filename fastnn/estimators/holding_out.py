"""Which rows early stopping measures on, and how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import is_classifier, is_regressor
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.validation import _check_sample_weight, validate_data

from .. import reference
from ..objective import Objective
from .rows import HeldOut, Rows, features

Array = NDArray[Any]


def split(estimator: Any, rows: Rows, X: Any, y: Any, objective: Objective) -> tuple[Rows, HeldOut]:
    """validation_fraction of the rows held out of the others. X, y: as they were handed in, for a scorer."""
    stratify = rows.Y[:, 0].astype(bool)[:, None] if is_classifier(estimator) and estimator.n_outputs_ == 1 else None
    kept, out = train_test_split(
        np.arange(len(rows.X)),
        random_state=estimator._random.split_generator(),
        test_size=estimator.validation_fraction,
        stratify=stratify,
    )
    if len(out) < 2:
        raise ValueError(
            f"The validation set is too small: {len(out)} of {len(rows.X)} rows. Increase 'validation_fraction' or the"
            " number of rows."
        )
    scorer = _scorer(estimator, lambda: (_safe_indexing(_with_rows(X), out), _safe_indexing(y, out)))
    return rows.take(kept), _held_out(rows.take(out), objective, scorer)


def handed_in(
    estimator: Any, X: Any, y: Any, sample_weight: Any, objective: Objective, dtype: np.dtype[Any]
) -> HeldOut:
    """Rows that were given to be measured on."""
    if y is None:
        raise ValueError("y_val is None; expected what X_val's rows should be.")
    checked = validate_data(estimator, X, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=False)
    check_consistent_length(X, y)
    weights = None
    if sample_weight is not None:
        weights = _check_sample_weight(sample_weight, checked, dtype=np.float64, ensure_non_negative=True)
    rows = Rows(features(checked, dtype), estimator._encode_held_out(y, dtype), weights)
    if rows.Y.ndim > 1 and rows.Y.shape[1] != estimator.n_outputs_:
        raise ValueError(f"y_val has {rows.Y.shape[1]} columns; expected {estimator.n_outputs_}, as y has.")
    if len(rows.X) < 2 and is_regressor(estimator) and estimator.scoring is None:
        raise ValueError("X_val has one row; expected at least two, as R2 is of how targets differ.")
    return _held_out(rows, objective, _scorer(estimator, lambda: (X, y)))


def _with_rows(X: Any) -> Any:
    """X in a form whose rows can be chosen, which some sparse ones have not."""
    return X.tocsr() if issparse(X) else X


def _scorer(estimator: Any, data: Callable[[], tuple[Any, Any]]) -> Callable[..., float] | None:
    """The estimator's scorer on this data, or None for accuracy and R2, which need only logits."""
    if estimator.scoring is None:
        return None
    scorer, (X, y) = check_scoring(estimator, scoring=estimator.scoring), data()
    return lambda fitted, **weights: float(scorer(fitted, X, y, **weights))


def _held_out(rows: Rows, objective: Objective, scorer: Callable[..., float] | None) -> HeldOut:
    weights = {} if rows.sample_weight is None else {"sample_weight": rows.sample_weight}
    loss_name = objective.loss or ""

    def measure(estimator: Any) -> tuple[float, float]:
        logits = estimator._forward(rows.X, "identity")
        with np.errstate(all="ignore"):
            losses = reference.losses(logits.astype(np.float64), rows.Y, loss_name, objective.parameter)
            loss = float(np.average(losses / objective.divisor, weights=rows.sample_weight))
        if not np.isfinite(logits).all():
            return np.nan, loss
        score = scorer(estimator, **weights) if scorer else estimator._score_logits(logits, rows)
        return float(score), loss

    return HeldOut(measure)
