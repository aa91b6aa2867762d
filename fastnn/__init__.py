"""Train small dense neural networks on a CPU, fast.

For example:

    X_train, y_train, X_test, y_test = fastnn.load_mnist()
    net = fastnn.MLP([784, 128, 10])
    net.fit(X_train, y_train, epochs=5)
    net.score(X_test, y_test)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import data, ops, plots
    from .data import load_mnist
    from .errors import Diverged
    from .estimators import MLPClassifier, MLPRegressor
    from .history import History
    from .initializers import Initializer
    from .loading import load
    from .mlp import MLP

__version__ = "0.1.0"
__all__ = [
    "MLP",
    "Diverged",
    "History",
    "Initializer",
    "MLPClassifier",
    "MLPRegressor",
    "data",
    "load",
    "load_mnist",
    "ops",
    "plots",
]

# Imported when first used, so that `python -m fastnn.train --help` need not wait for numpy and numba.
_HOMES = {
    "MLP": "mlp",
    "load": "loading",
    "Diverged": "errors",
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
    "History": "history",
    "Initializer": "initializers",
    "load_mnist": "data",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    if name in ("data", "ops", "plots"):
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
