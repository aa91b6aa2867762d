"""The parameters both estimators have, and their ranges: scikit-learn's, and what is fastnn's own beneath them."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import Interval, Options, StrOptions

from ..checks import number

# scikit-learn's names of activations, and those of fastnn.
ACTIVATIONS = {
    "identity": "identity",
    "logistic": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "leaky_relu": "leaky_relu",
    "elu": "elu",
    "gelu": "gelu",
    "silu": "silu",
}
# Solvers that go by mini-batches; "sgd" is the optimizer "nesterov", "momentum" or "sgd", the others are named alike.
STOCHASTIC = ("sgd", "adam", "nesterov", "rmsprop", "adamw")

_POSITIVE = Interval(Real, 0, None, closed="neither")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
_WHOLE = Interval(Integral, 1, None, closed="left")
_RATE = Interval(Real, 0, 1, closed="left")

SCHEDULES = ("constant", "invscaling", "adaptive")

CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", _WHOLE],
    "activation": [StrOptions(set(ACTIVATIONS)), list, tuple],
    "solver": [StrOptions({"lbfgs", *STOCHASTIC})],
    "alpha": [_NOT_NEGATIVE],
    "batch_size": [StrOptions({"auto"}), _WHOLE],
    "learning_rate": [StrOptions(set(SCHEDULES))],
    "learning_rate_init": [_POSITIVE],
    "power_t": [_NOT_NEGATIVE],
    "max_iter": [_WHOLE],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [_NOT_NEGATIVE],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [_RATE],
    "beta_1": [_RATE],
    "beta_2": [_RATE],
    "epsilon": [_POSITIVE],
    "n_iter_no_change": [_WHOLE, Options(Real, {np.inf})],
    "max_fun": [_WHOLE],
    "dropout": [_RATE, list, tuple],
    "scoring": [StrOptions(set(get_scorer_names())), callable, None],
    "dtype": [StrOptions({"float32", "float64"}), type, np.dtype, None],
    "n_threads": [_WHOLE, None],
}


def hidden_sizes(hidden_layer_sizes: Any) -> list[int]:
    """One size for each hidden layer. Raises ValueError or TypeError."""
    sizes = list(hidden_layer_sizes) if hasattr(hidden_layer_sizes, "__iter__") else [hidden_layer_sizes]
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, Integral):
            raise TypeError(f"hidden_layer_sizes holds {size!r}; expected integers of at least 1.")
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def activations(activation: Any, layers: int) -> tuple[str, ...]:
    """fastnn's name of every hidden layer's activation. Raises ValueError."""
    names = [activation] * layers if isinstance(activation, str) else list(activation)
    for name in names:
        if name not in ACTIVATIONS:
            raise ValueError(f"activation names {name!r}; expected each to be one of {', '.join(sorted(ACTIVATIONS))}.")
    if len(names) != layers:
        raise ValueError(
            f"activation names {len(names)} functions; expected one, or one for each of the {layers} hidden layers."
        )
    return tuple(ACTIVATIONS[name] for name in names)


def dropout_rates(dropout: Any, layers: int) -> tuple[float, ...]:
    """One rate for each hidden layer, or none if all are zero. Raises ValueError or TypeError."""
    given = [dropout] * layers if isinstance(dropout, Real) else list(dropout)
    rates = tuple(number("dropout", rate, least=0.0, below=1.0) for rate in given)
    if len(rates) != layers:
        raise ValueError(
            f"dropout holds {len(rates)} rates; expected one, or one for each of the {layers} hidden layers."
        )
    return rates if any(rates) else ()


def optimizer_name(solver: str, momentum: float, nesterovs_momentum: bool) -> str:
    """fastnn's name of the optimizer that a solver is."""
    if solver == "sgd" and momentum > 0:
        return "nesterov" if nesterovs_momentum else "momentum"
    return solver


def dtype_of(dtype: Any, X_dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of weights and arithmetic: the data's where none was asked for. Raises ValueError."""
    chosen = X_dtype if dtype is None else np.dtype(dtype)
    if chosen not in (np.float32, np.float64):
        raise ValueError(f"dtype is {dtype!r}; expected float32 or float64.")
    return chosen
