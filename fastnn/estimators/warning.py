"""Warnings that name the line that called the estimator."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import sklearn

# Between that line and ours: the package, and scikit-learn's wrappers of `fit`.
OWN = (str(Path(__file__).resolve().parents[1]), str(Path(sklearn.__file__).parent))


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """As warnings.warn, for whoever called fit or partial_fit, through however many functions."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(OWN):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
