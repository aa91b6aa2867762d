"""Estimators with scikit-learn's parameters, attributes and methods, on fastnn's trainers; extra `sklearn`."""

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        'fastnn\'s estimators need scikit-learn; expected it to be installed, by pip install "fastnn-numba[sklearn]".'
    ) from error

from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
