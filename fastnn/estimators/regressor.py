"""Numbers from rows."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array

from . import parameters
from .base import Perceptron
from .rows import Rows

Array = NDArray[Any]

LOSSES = {"squared_error": "identity", "poisson": "poisson", "absolute_error": "absolute_error", "huber": "huber"}


class MLPRegressor(RegressorMixin, Perceptron):  # type: ignore[misc]
    """A dense network that predicts numbers: scikit-learn's MLPRegressor on compiled kernels.

    Parameters, attributes and methods are those of sklearn.neural_network.MLPRegressor, with the same defaults and the
    same random numbers; see there. Beyond them:

    loss: also "absolute_error", and "huber", which is squared up to huber_delta, in y's unit, and a line beyond.
    The others, and what is kept from call to call: as for MLPClassifier.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **parameters.CONSTRAINTS,
        "loss": [StrOptions(set(LOSSES))],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
    }
    _y_numeric = True

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        huber_delta: float = 1.0,
        dropout: Any = 0.0,
        scoring: Any = None,
        dtype: Any = None,
        n_threads: int | None = None,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.huber_delta = huber_delta
        self.dropout = dropout
        self.scoring = scoring
        self.dtype = dtype
        self.n_threads = n_threads

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> MLPRegressor:
        """Train on X (m, K), dense or sparse, and y (m,) or (m, N).

        X_val, y_val: rows to stop early by; handing them in turns that on. Otherwise validation_fraction of the rows
        are held out if early_stopping says so. Raises and warns as scikit-learn does.
        """
        return self._fit(X, y, sample_weight, False, (X_val, y_val, sample_weight_val))  # type: ignore[no-any-return]

    @available_if(Perceptron._check_solver)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """One more epoch, on these rows."""
        return self._fit(X, y, sample_weight, True)  # type: ignore[no-any-return]

    def predict(self, X: Any) -> Array:
        """What the network makes of every row: (m,) for one output, (m, N) for several."""
        return self._decode(self._outputs(X, "identity"))

    def _decode(self, logits: Array) -> Array:
        values = np.exp(logits) if self.out_activation_ == "exp" else logits
        return values.ravel() if values.shape[1] == 1 else values

    # --- what the base asks

    def _encode(self, y: Any, dtype: np.dtype[Any], incremental: bool) -> Array:
        return self._encode_held_out(y, dtype)

    def _encode_held_out(self, y: Any, dtype: np.dtype[Any]) -> Array:
        y = check_array(y, ensure_2d=False, dtype="numeric", input_name="y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if self.loss == "poisson" and y.min() < 0:
            raise ValueError(f"y holds {y.min()} with loss 'poisson'; expected numbers of at least 0.")
        with np.errstate(over="ignore"):
            targets: Array = np.array(y, dtype, order="C").reshape(len(y), -1)
        if not np.isfinite(targets).all():
            raise ValueError(f"y holds a value that is infinite as {dtype}; expected one in its range, or float64.")
        return targets

    def _output(self) -> tuple[str, str, str]:
        return ("exp" if self.loss == "poisson" else "identity"), "identity", LOSSES[self.loss]

    def _loss_parameter(self) -> float:
        return float(self.huber_delta) if self.loss == "huber" else 0.0

    def _score_logits(self, logits: Array, rows: Rows) -> float:
        predicted = self._decode(logits)
        if not np.isfinite(predicted).all():
            return np.nan
        return float(r2_score(rows.Y, predicted, sample_weight=rows.sample_weight))
