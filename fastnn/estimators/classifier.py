"""Classes from rows: two or more of them, or several yes-or-no labels at once."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from . import parameters
from .base import Perceptron
from .rows import Rows

Array = NDArray[Any]


class MLPClassifier(ClassifierMixin, Perceptron):  # type: ignore[misc]
    """A dense network that tells classes apart: scikit-learn's MLPClassifier on compiled kernels.

    Parameters, attributes and methods are those of sklearn.neural_network.MLPClassifier, with the same defaults and the
    same random numbers; see there. Beyond them:

    activation: also "leaky_relu", "elu", "gelu", "silu"; or a list of names, one a hidden layer.
    solver: also "nesterov", "rmsprop" and "adamw", which takes alpha off the weights directly: learning_rate * alpha
        times each a step. Learning-rate schedules are for all of them but "adam".
    class_weight: {class: weight}, or "balanced" for weights that make all classes count alike.
    dropout: the share of a hidden layer's values that a training step leaves out; one rate, or one a layer.
    label_smoothing: the share of certainty that is spread over all classes in training.
    scoring: what early stopping goes by instead of accuracy: a scorer's name, or a scorer.
    dtype: "float32" or "float64"; that of X where None.
    n_threads: all usable CPUs where None. It makes no difference to the result, not in one bit.

    Early stopping also keeps `validation_loss_curve_`, without penalty. With warm_start, and in partial_fit, the
    optimizer and the random numbers go on where the last call stopped: k epochs and then n - k are n.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **parameters.CONSTRAINTS,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }
    _y_numeric = False

    def __init__(
        self,
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
        class_weight: Any = None,
        dropout: Any = 0.0,
        label_smoothing: float = 0.0,
        scoring: Any = None,
        dtype: Any = None,
        n_threads: int | None = None,
    ) -> None:
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
        self.class_weight = class_weight
        self.dropout = dropout
        self.label_smoothing = label_smoothing
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
    ) -> MLPClassifier:
        """Train on X (m, K), dense or sparse, and y: classes (m,), or an indicator matrix (m, N) of several labels.

        X_val, y_val: rows to stop early by; handing them in turns that on. Otherwise validation_fraction of the rows
        are held out if early_stopping says so. Raises and warns as scikit-learn does.
        """
        return self._fit(X, y, sample_weight, False, (X_val, y_val, sample_weight_val))  # type: ignore[no-any-return]

    @available_if(Perceptron._check_solver)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """One more epoch, on these rows. The first call needs all classes that may ever come."""
        if _check_partial_fit_first_call(self, classes):
            self._label_binarizer = LabelBinarizer().fit(y if type_of_target(y).startswith("multilabel") else classes)
        return self._fit(X, y, sample_weight, True)  # type: ignore[no-any-return]

    # --- predictions

    def predict(self, X: Any) -> Array:
        """The likeliest class of every row (m,), or an indicator matrix (m, N) of all labels above one half."""
        logits = self._outputs(X, "identity")  # probabilities may have rounded to equals
        return self._decode(logits)

    def _decode(self, logits: Array) -> Array:
        if self.out_activation_ == "softmax":
            return np.asarray(self.classes_[logits.argmax(axis=1)])
        logits = logits.ravel() if self.n_outputs_ == 1 else logits
        decoded: Array = self._label_binarizer.inverse_transform(logits, threshold=0.0)
        return decoded

    def predict_proba(self, X: Any) -> Array:
        """Every class's probability (m, classes), in the order of classes_; memory for these and a block of rows."""
        p = self._outputs(X, "softmax" if self._is_softmax() else "sigmoid")
        if self.n_outputs_ > 1:
            return p
        both = np.empty((len(p), 2), p.dtype)
        both[:, 1:], both[:, :1] = p, 1 - p
        return both

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of predict_proba."""
        p = self.predict_proba(X)
        logarithms: Array = np.log(p, out=p)
        return logarithms

    def _is_softmax(self) -> bool:
        return getattr(self, "out_activation_", "softmax") == "softmax"

    # --- what the base asks

    def _encode(self, y: Any, dtype: np.dtype[Any], incremental: bool) -> Array:
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            if not incremental:
                self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._check_classes(unique_labels(y))
        return self._encode_held_out(y, dtype)

    def _check_classes(self, found: Array) -> None:
        if self.warm_start and set(found) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {found}"
            )
        if len(np.setdiff1d(found, self.classes_)):
            raise ValueError(f"`y` has the classes {found}; expected only those seen before, {self.classes_}.")

    def _encode_held_out(self, y: Any, dtype: np.dtype[Any]) -> Array:
        if self._label_binarizer.y_type_ == "multiclass":
            y = column_or_1d(y)
            labels: Array = np.searchsorted(self.classes_, y).astype(np.int64)
            known = labels < len(self.classes_)
            if not known.all() or not (self.classes_[labels] == y).all():
                raise ValueError(f"y holds classes that are none of {self.classes_}; expected only these.")
            return labels
        if self._label_binarizer.y_type_ == "binary" and len(np.setdiff1d(column_or_1d(y), self.classes_)):
            raise ValueError(f"y holds classes that are none of {self.classes_}; expected only these.")
        targets: Array = np.array(self._label_binarizer.transform(y) != 0, dtype, order="C")  # or 2 would be yes, twice
        return targets

    def _output(self) -> tuple[str, str, str]:
        kind = self._label_binarizer.y_type_
        return ("softmax",) * 3 if kind == "multiclass" else ("logistic", "sigmoid", "sigmoid")

    def _loss_parameter(self) -> float:
        return float(self.label_smoothing)

    def _class_weights(self, y: Any, incremental: bool) -> Array | None:
        if self.class_weight is None:
            return None
        if incremental and self.class_weight == "balanced":
            raise ValueError("class_weight is 'balanced' in partial_fit, which sees some rows only; expected a dict.")
        if incremental and isinstance(self.class_weight, dict):  # of all classes: one batch may be without some of them
            known = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_)
            weights: Array = known[np.searchsorted(self.classes_, column_or_1d(y))]
            checked = known
        else:
            weights = checked = np.asarray(compute_sample_weight(self.class_weight, y), np.float64)
        if not (np.isfinite(checked).all() and (checked >= 0.0).all() and checked.any()):
            raise ValueError(
                f"class_weight is {self.class_weight!r}; expected finite weights of 0 or more, and one above 0."
            )
        return weights

    def _score_logits(self, logits: Array, rows: Rows) -> float:
        if len(self.classes_) == 1 and self._label_binarizer.y_type_ == "binary":  # which then is what is predicted
            return 1.0
        right = ((logits > 0) == (rows.Y > 0.5)).all(axis=1) if rows.Y.ndim > 1 else logits.argmax(axis=1) == rows.Y
        return float(np.average(right, weights=rows.sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
