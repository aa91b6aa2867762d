"""A checkpoint as the estimator it was made of. Files may lie: all that `fit` and `predict` rely on is checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import LabelBinarizer

from ..backends import BACKENDS
from ..checks import integer, number, one_of
from ..optimizers import OPTIMIZERS
from ..storage import Checkpoint, count
from . import parameters
from .classifier import MLPClassifier
from .randomness import Randomness
from .regressor import MLPRegressor
from .saving import COUNTS, CURVES, FIGURES
from .schedule import OptimizerState, Schedule
from .values import curve_of, from_json, order_of, state_of, texts_of

Array = NDArray[Any]

KINDS = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}
ARRAYS = (*CURVES, "feature_names_in_", "classes_", "random.generator", "random.splitting", "random.order")
MOST_SEED = 2**31 - 1


def estimator_of(checkpoint: Checkpoint, backend: str = "numba") -> Any:
    """The estimator, which takes over the checkpoint's arrays. Raises KeyError, TypeError or ValueError for lies."""
    described, arrays, state = checkpoint.estimator, checkpoint.arrays, checkpoint.state
    one_of("estimator", described["kind"], tuple(KINDS))
    for name in arrays:
        one_of("an estimator's array", name, ARRAYS)
    if not isinstance(described["parameters"], dict):
        raise TypeError(f"parameters is {described['parameters']!r}; expected names and values")
    given = {name: from_json(value) for name, value in described["parameters"].items()}
    estimator = KINDS[described["kind"]](**given)
    estimator._validate_params()
    one_of("backend", backend, BACKENDS)
    estimator._backend = backend
    sizes = checkpoint.architecture.sizes
    estimator.coefs_, estimator.intercepts_ = state.weights, state.biases
    estimator.n_features_in_, estimator.n_outputs_, estimator.n_layers_ = sizes[0], sizes[-1], len(sizes)
    if isinstance(estimator, MLPClassifier):
        _give_classes(estimator, described["labels"], arrays["classes_"], sizes[-1])
    _check_functions(estimator, checkpoint)
    _give_attributes(estimator, described["attributes"], arrays)
    estimator._random = _random(described["random"], arrays)
    estimator._optimizer = _optimizer(described["schedule"], checkpoint)
    return estimator


def _give_classes(estimator: MLPClassifier, labels: Any, stored: Array, outputs: int) -> None:
    """classes_, and the binarizer that found them, which finds them again."""
    kind, sparse = labels["kind"], labels["sparse"]
    classes = texts_of("classes_", stored) if stored.dtype == np.uint32 and stored.ndim == 2 else stored
    if classes.ndim != 1 or (classes.dtype.kind == "f" and not np.isfinite(classes).all()):
        raise ValueError(f"classes_ is {classes.dtype} {classes.shape}; expected a row of text or finite numbers")
    binarizer = LabelBinarizer().fit(np.eye(2, outputs, dtype=int) if kind == "multilabel-indicator" else classes)
    found = binarizer.classes_
    if binarizer.y_type_ != kind or found.dtype != classes.dtype or not np.array_equal(found, classes):
        raise ValueError(f"classes_ is {classes} of {kind!r}; expected {found} of {binarizer.y_type_!r}")
    if len(found) != outputs and not (kind == "binary" and outputs == 1):
        raise ValueError(f"classes_ has {len(found)} classes; expected {outputs}, the network's outputs")
    if not isinstance(sparse, bool):
        raise TypeError(f"sparse labels is {sparse!r}; expected true or false")
    binarizer.sparse_input_ = sparse
    estimator.classes_, estimator._label_binarizer = found, binarizer


def _check_functions(estimator: Any, checkpoint: Checkpoint) -> None:
    """The network must be one that this estimator's parameters say; a regressor's loss may have been changed since."""
    architecture, name = checkpoint.architecture, checkpoint.estimator["out_activation_"]
    activations = parameters.activations(estimator.activation, len(architecture.activations))
    out_activation, output, _ = estimator._output()
    found, expected = (architecture.activations, architecture.output), (activations, output)
    if found != expected:
        raise ValueError(f"the network's functions are {found}; expected {expected}, of the estimator's parameters")
    one_of("out_activation_", name, ("identity", "exp") if output == "identity" else (out_activation,))
    estimator.out_activation_ = name


def _give_attributes(estimator: Any, attributes: Any, arrays: dict[str, Array]) -> None:
    for name in COUNTS:
        setattr(estimator, name, count(name, attributes))
    for name in FIGURES:
        if name != "loss_" or name in attributes:
            value = from_json(attributes[name])
            setattr(estimator, name, None if value is None else float(value))
    for name in CURVES:
        setattr(estimator, name, curve_of(name, arrays[name]) if name in arrays else None)
    if estimator.loss_curve_ is None or (estimator.validation_scores_ is None) != (
        estimator.validation_loss_curve_ is None
    ):
        raise ValueError(f"curves are {sorted(arrays)}; expected loss_curve_, and both of validation or none")
    if "feature_names_in_" in arrays:
        names = texts_of("feature_names_in_", arrays["feature_names_in_"])
        if len(names) != estimator.n_features_in_:
            raise ValueError(f"feature_names_in_ has {len(names)} names; expected {estimator.n_features_in_}")
        estimator.feature_names_in_ = names.astype(object)


def _random(described: dict[str, Any], arrays: dict[str, Array]) -> Randomness:
    random = Randomness(np.random.RandomState())
    random.generator.set_state(state_of("random.generator", arrays["random.generator"], described["generator"]))
    if described["splitting"] is not None:
        random.splitting = state_of("random.splitting", arrays["random.splitting"], described["splitting"])
    if "random.order" in arrays:
        random.order = order_of("random.order", arrays["random.order"])
    if described["dropout"] is not None:
        random.dropout = integer("random dropout", described["dropout"], least=0)
        if random.dropout > MOST_SEED:
            raise ValueError(f"random dropout is {random.dropout}; expected at most {MOST_SEED}")
    return random


def _optimizer(described: Any, checkpoint: Checkpoint) -> OptimizerState | None:
    """What the next call goes on from."""
    state = checkpoint.state
    if described is None:
        return None
    one_of("schedule's solver", described["solver"], OPTIMIZERS if not state.optimizer else (state.optimizer,))
    one_of("schedule's kind", described["kind"], parameters.SCHEDULES)
    rates = [number(name, described[name], least=0.0) for name in ("initial", "power_t", "learning_rate")]
    schedule = Schedule(described["solver"], described["kind"], *rates[:2])
    return OptimizerState(schedule, rates[2], state.steps, state.slots)
