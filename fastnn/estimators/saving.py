"""A fitted estimator as a checkpoint: its network and optimizer as any network's, the rest beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ..architecture import Architecture
from ..storage import Checkpoint
from ..trainer import State
from . import parameters
from .schedule import OptimizerState
from .values import codes_of, to_json, words_of

Array = NDArray[Any]

COUNTS = ("n_iter_", "t_", "_no_improvement_count")
FIGURES = ("loss_", "best_loss_", "best_validation_score_")  # any number, or None; the first may be missing
CURVES = ("loss_curve_", "validation_scores_", "validation_loss_curve_")  # a list, or None


def checkpoint_of(estimator: Any) -> Checkpoint:
    """All of it but callbacks and metadata requests, which are code and of no use without it.

    Raises NotFittedError; TypeError for a class of somebody else's; ValueError for a parameter that cannot be saved.
    """
    check_is_fitted(estimator, ["coefs_", "_random"])
    kind = type(estimator).__name__
    if type(estimator).__module__.rpartition(".")[0] != __package__:
        raise TypeError(f"The estimator is a {kind}; expected an MLPClassifier or MLPRegressor, and no subclass.")
    estimator._validate_params()
    state, memory = _state(estimator), getattr(estimator, "_optimizer", None)
    sizes = len(state.weights[0]), *map(len, state.biases)
    activations = parameters.activations(estimator.activation, len(sizes) - 2)
    architecture = Architecture(sizes, activations, estimator._output()[1])
    estimator._check_shapes(architecture)
    random, arrays = _random(estimator._random)
    described = {
        "kind": kind,
        "parameters": {name: to_json(name, value) for name, value in estimator.get_params(deep=False).items()},
        "attributes": {
            name: to_json(name, getattr(estimator, name)) for name in (*COUNTS, *FIGURES) if hasattr(estimator, name)
        },
        "out_activation_": estimator.out_activation_,
        "schedule": None if memory is None else vars(memory.schedule) | {"learning_rate": memory.learning_rate},
        "random": random,
    }
    if hasattr(estimator, "classes_"):
        binarizer = estimator._label_binarizer
        described["labels"] = {"kind": binarizer.y_type_, "sparse": bool(binarizer.sparse_input_)}
    return Checkpoint(architecture, state, estimator=described, arrays=arrays | _arrays(estimator))


def _state(estimator: Any) -> State:
    """The network, and what the optimizer remembers if that would be gone on with."""
    dtype = estimator._network_dtype()
    parameters.dtype_of(dtype, dtype)
    weights, biases = ([np.array(P, dtype, order="C") for P in Ps] for Ps in (estimator.coefs_, estimator.intercepts_))
    state = State(weights, biases, len(estimator.loss_curve_))
    memory: OptimizerState | None = getattr(estimator, "_optimizer", None)
    if memory is not None and memory.fits(weights + biases):
        state.optimizer, state.steps = memory.schedule.solver, memory.steps
        state.slots = [[np.array(P, dtype, order="C") for P in slot] for slot in memory.slots]
    return state


def _random(random: Any) -> tuple[dict[str, Any], dict[str, Array]]:
    """The random numbers to come. Row numbers take four bytes where they fit."""
    arrays: dict[str, Array] = {}
    arrays["random.generator"], generator = words_of(random.generator.get_state())
    described = {"generator": generator, "splitting": None, "dropout": random.dropout}
    if random.splitting is not None:
        arrays["random.splitting"], described["splitting"] = words_of(random.splitting)
    if random.order is not None:
        arrays["random.order"] = random.order.astype(np.int32 if len(random.order) < 2**31 else np.int64)
    return described, arrays


def _arrays(estimator: Any) -> dict[str, Array]:
    arrays = {name: getattr(estimator, name) for name in CURVES}
    arrays = {name: np.array(values, np.float64) for name, values in arrays.items() if values is not None}
    if hasattr(estimator, "feature_names_in_"):
        arrays["feature_names_in_"] = codes_of(estimator.feature_names_in_)
    if hasattr(estimator, "classes_"):
        arrays["classes_"] = _classes(estimator.classes_)
    return arrays


def _classes(classes: Array) -> Array:
    if classes.dtype.kind == "U":
        return codes_of(classes)
    if classes.dtype.kind not in "biuf" or classes.dtype.itemsize > 8:
        raise ValueError(f"classes_ are of dtype {classes.dtype}, which cannot be saved; expected text or numbers.")
    return np.array(classes, order="C")
