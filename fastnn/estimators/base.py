"""What classifier and regressor share: from checked arguments to a trained network, and from rows to its outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .. import reference, storage
from ..architecture import Architecture
from ..backends import backend_of
from ..cpus import thread_count
from ..csr import CSR
from ..finite import all_finite
from ..inputs import check_finite
from ..kernels.compiling.interrupts import held
from ..objective import Objective
from ..trainer import State
from . import holding_out, parameters
from .callbacks import CallbackSupportMixin, Notifier
from .lbfgs import evaluate, minimise
from .randomness import Randomness
from .rows import HeldOut, Rows, features
from .saving import checkpoint_of
from .stochastic import NOT_FINITE, Epochs

Array = NDArray[Any]

# So few rows are done in NumPy: 36 us for one of them, where the way to the kernels takes 83 (with AVX2).
FEW_ROWS = 16

DOUBLE = np.dtype(np.float64)


class Perceptron(CallbackSupportMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """The parts of an estimator that do not depend on what is predicted."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = parameters.CONSTRAINTS
    _backend = "numba"

    # --- what the two kinds of estimator say

    @abstractmethod
    def _encode(self, y: Any, dtype: np.dtype[Any], incremental: bool) -> Array:
        """Labels (m,) int64 or targets (m, N) of dtype, having learnt or checked the classes."""

    @abstractmethod
    def _encode_held_out(self, y: Any, dtype: np.dtype[Any]) -> Array:
        """The same of held-out rows, which teach nothing."""

    @abstractmethod
    def _output(self) -> tuple[str, str, str]:
        """scikit-learn's name of the output's activation, the output of the architecture, and the loss."""

    @abstractmethod
    def _score_logits(self, logits: Array, rows: Rows) -> float:
        """Accuracy or R2."""

    def _class_weights(self, y: Any, incremental: bool) -> Array | None:
        """What every row's weight is multiplied by."""
        return None

    def _loss_parameter(self) -> float:
        """See Objective.parameter."""
        return 0.0

    # --- fit

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool, validation: Any = (None, None, None)) -> Any:
        hidden = parameters.hidden_sizes(self.hidden_layer_sizes)
        activations = parameters.activations(self.activation, len(hidden))
        rates = parameters.dropout_rates(self.dropout, len(hidden))
        self._check_combination(incremental, validation, rates)
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        rows = self._rows(X, y, sample_weight, incremental, first)
        out_activation, output, loss = self._output()
        architecture = Architecture((rows.X.shape[1], *hidden, self.n_outputs_), activations, output)
        if first:
            self._begin(architecture, rows.X.dtype)
        self._check_shapes(architecture)
        self._own_parameters()
        self.out_activation_ = out_activation
        objective = self._objective(loss, rates)
        rows, held_out = self._hold_out(rows, X, y, validation, objective)
        count = 1 if incremental else self.max_iter
        lbfgs, metadata = self.solver == "lbfgs", {"sample_weight": sample_weight}
        notifier = Notifier(self, None if lbfgs else count, X=X, y=y, metadata=metadata)
        if lbfgs:
            self._fit_lbfgs(architecture, objective, rows, notifier)
        else:
            with held():
                Epochs(self, architecture, objective, rows, held_out, notifier).run(count, once=incremental)
        if not all(np.isfinite(P).all() for P in self.coefs_ + self.intercepts_):
            raise ValueError(NOT_FINITE)
        notifier.fit_ends()
        return self

    def _check_combination(self, incremental: bool, validation: Any, rates: tuple[float, ...]) -> None:
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        if self.solver == "lbfgs" and rates:
            raise ValueError(f"dropout is {self.dropout!r} with solver 'lbfgs'; expected 0, or another solver.")
        if validation[0] is None and any(given is not None for given in validation):
            raise ValueError("y_val or sample_weight_val is given without X_val; expected X_val, or none of them.")
        if self.solver == "lbfgs" and validation[0] is not None:
            raise ValueError("X_val is given with solver 'lbfgs', which does not stop early; expected another solver.")

    def _rows(self, X: Any, y: Any, sample_weight: Any, incremental: bool, first: bool) -> Rows:
        """Everything handed in, checked. Learns the features' names and the classes."""
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=self._y_numeric,
            dtype=(np.float64, np.float32),
            reset=first,
        )
        dtype = parameters.dtype_of(self.dtype, X.dtype) if first else self._network_dtype()
        Y = self._encode(y, dtype, incremental)
        self.n_outputs_ = len(self.classes_) if Y.ndim == 1 else int(Y.shape[1])
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        by_class = self._class_weights(y, incremental)
        if by_class is not None:
            weights = by_class if weights is None else weights * by_class
        return Rows(features(X, dtype), Y, weights)

    def _begin(self, architecture: Architecture, dtype: np.dtype[Any]) -> None:
        """First weights, and everything else as before the first epoch."""
        generator = check_random_state(self.random_state)
        self._random, self._optimizer = Randomness(generator), None
        coefs, intercepts = [], []
        # scikit-learn asks the parameter, whether there are hidden layers or not.
        usual = "sigmoid" if self.activation == "logistic" else "identity"
        functions = (*architecture.activations, *architecture.activations[-1:]) or (usual,)
        for (K, N), function in zip(architecture.layers, functions, strict=True):
            width = np.sqrt((2.0 if function == "sigmoid" else 6.0) / (K + N))
            coefs.append(generator.uniform(-width, width, (K, N)).astype(dtype))
            intercepts.append(generator.uniform(-width, width, N).astype(dtype))
        self.coefs_, self.intercepts_ = coefs, intercepts  # all, or none where Ctrl-C came first
        self.n_iter_, self.t_, self.n_layers_ = 0, 0, len(architecture.sizes)
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        self.best_loss_: float | None = np.inf
        self.best_validation_score_: float | None = None
        self.validation_scores_: list[float] | None = None
        self.validation_loss_curve_: list[float] | None = None

    def _check_shapes(self, architecture: Architecture) -> None:
        """Kernels check nothing: what somebody has set, or set_params has changed since, must fit."""
        found = [np.shape(P) for P in [*self.coefs_, *self.intercepts_]]
        expected = [*architecture.layers, *((N,) for _, N in architecture.layers)]
        if found != expected:
            raise ValueError(f"coefs_ and intercepts_ have shapes {found}; expected {expected}.")

    def _network_dtype(self) -> np.dtype[Any]:
        """float32 or float64, also where somebody has set weights of another dtype."""
        dtype = np.asarray(self.coefs_[0]).dtype
        return dtype if dtype in (np.float32, DOUBLE) else DOUBLE

    def _own_parameters(self) -> None:
        """Trainers change coefs_ and intercepts_ in place: make sure that nobody else's arrays are."""
        dtype = self._network_dtype()
        self.coefs_ = [np.array(W, dtype, order="C") for W in self.coefs_]
        self.intercepts_ = [np.array(b, dtype, order="C") for b in self.intercepts_]
        if not hasattr(self, "_random"):
            self._random = Randomness(check_random_state(self.random_state))

    def _objective(self, loss: str, rates: tuple[float, ...]) -> Objective:
        seed = self._random.dropout_seed() if rates else 0
        penalty = 0.0 if self.solver == "adamw" else float(self.alpha)
        divisor = 1 if loss in ("softmax", "sigmoid", "poisson") else self.n_outputs_
        return Objective(loss, self._loss_parameter(), penalty, rates, seed, divisor)

    def _hold_out(
        self, rows: Rows, X: Any, y: Any, validation: Any, objective: Objective
    ) -> tuple[Rows, HeldOut | None]:
        """The rows to train on, and those to measure on where training may stop early."""
        X_val, y_val, sample_weight_val = validation
        if self.solver == "lbfgs" or (X_val is None and not self.early_stopping):
            if self.best_loss_ is None:  # a call before this one went by scores
                self.best_loss_ = np.inf
            return rows, None
        if self.validation_scores_ is None:
            self.validation_scores_, self.validation_loss_curve_ = [], []
            self.best_validation_score_ = -np.inf
        self.best_loss_ = None
        if X_val is None:
            return holding_out.split(self, rows, X, y, objective)
        return rows, holding_out.handed_in(self, X_val, y_val, sample_weight_val, objective, rows.X.dtype)

    def _fit_lbfgs(self, architecture: Architecture, objective: Objective, rows: Rows, notifier: Notifier) -> None:
        """In float64 whatever the weights' dtype: the search for a minimum compares losses to their last digits."""
        gradient = self._gradient(architecture, replace(objective, divisor=1), rows)
        dtype, layers = self.coefs_[0].dtype, len(self.coefs_)
        self.n_iter_ = 0

        def mean(parameters: list[Array], loss: float) -> float:
            """Of the outputs' losses, whose sum is minimised; the penalty is not of each output."""
            squares = sum(float((W**2).sum()) for W in parameters[:layers])
            penalty = objective.penalty / 2 * squares / rows.total
            return loss if objective.divisor == 1 else (loss - penalty) / objective.divisor + penalty

        def keep(parameters: list[Array], loss: float, iterations: int) -> None:
            """All of it or nothing, for Ctrl-C may come."""
            own, attributes = [P.astype(dtype) for P in parameters], cast("dict[str, Any]", vars(self))
            learnt = {"coefs_": own[:layers], "intercepts_": own[layers:], "loss_": loss, "best_loss_": loss}
            attributes.update(learnt, n_iter_=iterations)

        def after_iteration(parameters: list[Array], loss: float) -> bool:
            loss = mean(parameters, loss)
            keep(parameters, loss, self.n_iter_ + 1)
            self.loss_curve_.append(loss)
            if self.verbose:
                print(f"Iteration {self.n_iter_}, loss = {loss:.8f}")
            stop = notifier.epoch_ends(lambda: {"coefs_": parameters[:layers], "intercepts_": parameters[layers:]})
            notifier.epoch_begins()
            return stop

        notifier.epoch_begins()
        found, least, iterations = minimise(
            gradient,
            self.coefs_ + self.intercepts_,
            max_iter=self.max_iter,
            max_fun=self.max_fun,
            tol=self.tol,
            after_iteration=after_iteration,
        )
        keep(found, mean(found, least), iterations)

    def _gradient(self, architecture: Architecture, objective: Objective, rows: Rows) -> Any:
        threads = thread_count(self.n_threads)
        backend = backend_of(self._backend)
        return backend.Gradient(architecture, rows.X, rows.Y, objective, rows.sample_weight, DOUBLE, threads)

    def _loss_grad_lbfgs(
        self, packed: Array, X: Array, Y: Array, sample_weight: Array | None = None, *_room: Any
    ) -> tuple[float, Array]:
        """The loss and its gradient over all rows, for packed parameters and binarized labels, as scikit-learn has it.

        What is handed in beyond that, room for results, is not needed.
        """
        _, output, loss = self._output()
        activations = parameters.activations(self.activation, self.n_layers_ - 2)
        architecture = Architecture((X.shape[1], *map(len, self.intercepts_)), activations, output)
        labels: Array = Y.argmax(axis=1) if output == "softmax" else np.array(Y, np.float64, order="C")
        rows = Rows(features(X, DOUBLE), labels, sample_weight)
        gradient = self._gradient(architecture, self._objective(loss, ()), rows)
        return evaluate(gradient, packed, [P.shape for P in self.coefs_ + self.intercepts_])

    def _check_solver(self) -> bool:
        if self.solver not in parameters.STOCHASTIC:
            raise AttributeError(f"partial_fit is of stochastic solvers only; the solver is {self.solver!r}.")
        return True

    # --- outputs

    def _outputs(self, X: Any, output: str) -> Array:
        """The network's outputs (m, N) for rows as somebody hands them in."""
        if not hasattr(self, "coefs_"):
            check_is_fitted(self, "coefs_")  # raises; if not, it takes longer than the prediction of a row
        dtype = self._network_dtype()
        validate = partial(
            validate_data, self, X, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=False
        )

        def check() -> None:
            if not all_finite(X):
                if get_config()["assume_finite"]:
                    return
                validate()
            check_finite("X", X, dtype)

        if self._is_table(X):
            return self._forward(features(X, X.dtype), output, check)
        X = validate()
        return self._forward(features(X, dtype if X.dtype == DOUBLE else X.dtype), output)

    def _is_table(self, X: Any) -> bool:
        """Whether its numbers are all there is to check: scikit-learn takes longer for that than predicting a row."""
        return (
            type(X) is np.ndarray
            and X.dtype in (np.float32, np.float64)
            and X.dtype.isnative
            and X.ndim == 2
            and len(X) > 0
            and X.shape[1] == self.n_features_in_
            and not hasattr(self, "feature_names_in_")
        )

    def _forward(self, X: Array | CSR, output: str, check: Callable[[], object] | None = None) -> Array:
        """The outputs for rows that are checked but for what `check` does, see trainer.Backend."""
        activations = parameters.activations(self.activation, len(self.coefs_) - 1)
        dtype = self._network_dtype()
        if len(X) <= FEW_ROWS:
            if check is not None:
                check()
            with np.errstate(all="ignore"):
                rows = X[:].astype(dtype, copy=False)
                return reference.OUTPUT[output](reference.forward(rows, self.coefs_, self.intercepts_, activations)[-1])
        architecture = Architecture((X.shape[1], *map(len, self.intercepts_)), activations, output)
        self._check_shapes(architecture)
        # Kernels may read them by address.
        coefs, intercepts = (
            [np.require(P, dtype, ["C", "A"]) for P in arrays] for arrays in (self.coefs_, self.intercepts_)
        )
        state, threads = State(coefs, intercepts), thread_count(self.n_threads)
        return backend_of(self._backend).predict(architecture, state, X, output, threads, check)

    # --- files

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted estimator to one safetensors file, for fastnn.load: it predicts and goes on as here, bit for
        bit. An existing file is replaced as a whole.

        Raises OSError, NotFittedError, or ValueError for a parameter that is no plain value, as a scorer of your own is
        or a RandomState. Callbacks are not kept.
        """
        storage.save(path, checkpoint_of(self))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
