"""The network people use: build, fit, predict, save."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import csr, inputs, storage
from .architecture import Architecture, usual_init
from .backends import BACKENDS, backend_of
from .checks import integer, one_of
from .cpus import thread_count
from .csr import CSR
from .fitting import Keeper, fit_epochs
from .history import History
from .initializers import Initializer
from .kernels.compiling.interrupts import held
from .optimizers import Optimizer
from .progress import Progress, make_progress
from .trainer import Plan, State

Array = NDArray[Any]
DTYPES = ("float32", "float64")


class MLP:
    """A dense network (multi-layer perceptron): X -> activation(X @ W + b) -> ... -> output.

    sizes: features, hidden layers, outputs, such as [784, 128, 10].
    activation: "relu", "sigmoid", "tanh", "identity", "leaky_relu", "elu", "gelu" (by its formula with tanh) or "silu";
        one name, or one for each hidden layer.
    output: "softmax" (classes 0..N-1, the default for N > 1), "sigmoid" (yes or no for each output, the default for
        N = 1), or "identity" (numbers, with the squared error as loss).
    init: "he" (the default for relu), "glorot" (for all else), "uniform:0.5" (its half-width), "normal:0.01" (its
        standard deviation), or an Initializer.
    dtype: "float32" or "float64", of weights and arithmetic.
    seed: of the first weights; the same seed gives the same bits.
    backend: "numba", or "numpy" for the plain reference.

    Features of dtype uint8 mean x / 255. Raises TypeError or ValueError for what it cannot use.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str | Sequence[str] = "relu",
        output: str | None = None,
        init: str | Initializer | None = None,
        dtype: str = "float32",
        seed: int = 0,
        backend: str = "numba",
    ) -> None:
        self.architecture = Architecture.of(sizes, activation, output)
        one_of("backend", backend, BACKENDS)
        self.backend = backend
        self.dtype = np.dtype(_dtype_name(dtype))
        rng = np.random.default_rng(integer("seed", seed, least=0))
        self._shapes = [*self.architecture.layers, *((N,) for _, N in self.architecture.layers)]
        default = usual_init(self.architecture.activations)
        initializer = Initializer.of(default if init is None else init)
        drawn = [initializer.draw(rng, K, N) for K, N in self.architecture.layers]
        with np.errstate(over="ignore"):
            self._state = State([W.astype(self.dtype) for W, _ in drawn], [b.astype(self.dtype) for _, b in drawn])
        if not _all_finite(self._state):
            raise ValueError(f"init is {init!r}, of which {self.dtype} gets infinite; expected a smaller scale.")

    # --- parameters

    @property
    def epochs(self) -> int:
        """How many epochs it has been trained for, by all calls of `fit`."""
        return self._state.epochs

    @property
    def weights(self) -> tuple[Array, ...]:
        """W (K, N) of every layer: the network's own arrays. Assigning as many of the same shapes replaces them, and
        the optimizer begins anew."""
        return tuple(self._state.weights)

    @weights.setter
    def weights(self, values: Sequence[ArrayLike]) -> None:
        self._state = State(
            self._parameters("weights", values, self._state.weights), self._state.biases, self._state.epochs
        )

    @property
    def biases(self) -> tuple[Array, ...]:
        """b (N,) of every layer: the network's own arrays. Assigning as many of the same shapes replaces them, and the
        optimizer begins anew."""
        return tuple(self._state.biases)

    @biases.setter
    def biases(self, values: Sequence[ArrayLike]) -> None:
        self._state = State(
            self._state.weights, self._parameters("biases", values, self._state.biases), self._state.epochs
        )

    def _parameters(self, name: str, values: Sequence[ArrayLike], present: list[Array]) -> list[Array]:
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise TypeError(f"{name} is {values!r}; expected a list of {len(present)} arrays.")
        given = [inputs.as_array(f"{name}[{layer}]", value) for layer, value in enumerate(values)]
        for layer, array in enumerate(given):
            if array.dtype.kind not in "buif":
                raise TypeError(f"{name}[{layer}] has dtype {array.dtype}; expected real numbers.")
        with np.errstate(over="ignore"):
            arrays = [np.array(array, self.dtype, order="C") for array in given]
        found, expected = [array.shape for array in arrays], [array.shape for array in present]
        if found != expected:
            raise ValueError(f"{name} has shapes {found}; expected {expected}.")
        for layer, array in enumerate(arrays):
            if not np.isfinite(array).all():
                raise ValueError(f"{name}[{layer}] holds a value that is not finite; expected finite numbers.")
        return arrays

    # --- training

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        epochs: int = 5,
        batch_size: int | None = 128,
        optimizer: str = "adam",
        learning_rate: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        validation: tuple[Any, ArrayLike] | None = None,
        seed: int = 0,
        threads: int | None = None,
        sparse: bool | str = "auto",
        verbose: bool = True,
    ) -> History:
        """Train on X (m, K) and y, going on from where an earlier call stopped; returns what was measured.

        X: any numbers, dense or of scipy.sparse. y: labels (m,) in 0..N-1 for output "softmax", 0 or 1 for "sigmoid"
            ((m,) or (m, N)), numbers for "identity".
        epochs: passes over all rows, reshuffled for each from `seed`. batch_size: rows of a step, or None for all of
            them; the last batch may be smaller. The gradient is the mean over a batch.
        optimizer: "sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"; momentum is of "momentum" and "nesterov".
        weight_decay: times the weights, added to their gradient; "adamw" takes it off the weights directly.
        validation: (X, y) to measure after every epoch. threads: all usable CPUs where None. sparse: leave out the
            zeros of X; "auto" where that is faster. verbose: show progress. These four do not change the weights by a
            bit, except that a matrix unit, which dense rows may go through, rounds in another order.

        Raises TypeError or ValueError before anything is trained, and RuntimeError while another call trains the same
        network; Diverged, and KeyboardInterrupt after Ctrl-C, with the weights as after the last good step.
        """
        plan = Plan(
            integer("epochs", epochs, least=1),
            None if batch_size is None else integer("batch_size", batch_size, least=1),
            Optimizer(optimizer, learning_rate, momentum=momentum, weight_decay=weight_decay),
            integer("seed", seed, least=0),
            thread_count(threads),
            _sparse(sparse, X),
        )
        return self.fit_plan(X, y, validation, plan, lambda rows: make_progress(plan.epochs, rows, verbose))

    def fit_plan(
        self,
        X: ArrayLike,
        y: ArrayLike,
        validation: tuple[ArrayLike, ArrayLike] | None,
        plan: Plan,
        progress_over: Callable[[int], Progress],
        history: History | None = None,
        keeper: Keeper | None = None,
    ) -> History:
        """As `fit`, for those who keep what is learnt and go on from a history: see `fitting.fit_epochs`.

        progress_over: makes what shows the progress, from the number of rows.
        """
        if not _all_finite(self._intact_state()):
            raise ValueError("The network's weights or biases are not finite; expected finite numbers to begin with.")
        data = self._checked("X", X, "y", y)
        held_out = None if validation is None else self._checked_validation(validation)
        progress = progress_over(len(data[0]))
        try:
            backend, network = backend_of(self.backend), self.architecture
            with held(), _training(self):
                return fit_epochs(backend, network, self._state, data, held_out, plan, progress, history, keeper)
        finally:
            progress.close()

    def _intact_state(self) -> State:
        """The state, unless an array of its has got another shape, or other numbers, in its place."""
        state = self._state
        arrays = state.weights + state.biases
        if [array.shape for array in arrays] != self._shapes:
            raise ValueError(
                "The network's weights or biases have been resized; expected the shapes they were made with."
            )
        if not all(array.dtype == self.dtype and array.flags.c_contiguous for array in arrays):
            raise ValueError(
                f"The network's weights or biases lie otherwise than they did; expected rows of {self.dtype}."
            )
        return state

    def check(self, X: Any, y: ArrayLike) -> None:
        """Raise what `fit` and `score` would for this X and y: TypeError or ValueError, if they are of no use here."""
        self._checked("X", X, "y", y)

    def _checked(self, X_name: str, X: Any, y_name: str, y: ArrayLike) -> tuple[Array | CSR, Array]:
        features = inputs.features(X_name, X, self.architecture.sizes[0], self.dtype)
        return features, inputs.labels_or_targets(y_name, y, self.architecture, len(features), self.dtype)

    def _checked_validation(self, validation: tuple[Any, ArrayLike]) -> tuple[Array | CSR, Array]:
        if not isinstance(validation, tuple | list) or len(validation) != 2:
            how_many = f" of {len(validation)}" if isinstance(validation, tuple | list) else ""
            raise TypeError(f"validation is a {type(validation).__name__}{how_many}; expected a pair (X, y).")
        return self._checked("validation X", validation[0], "validation y", validation[1])

    # --- use

    def predict_proba(self, X: Any, *, threads: int | None = None) -> Array:
        """The outputs for X (m, K) as (m, N): probabilities, or the values themselves for output "identity"."""
        features = inputs.features("X", X, self.architecture.sizes[0], self.dtype)
        return self._outputs(features, self.architecture.output, threads)

    def _outputs(self, X: Array | CSR, output: str, threads: int | None) -> Array:
        usable, state = thread_count(threads, len(X)), self._intact_state()
        return backend_of(self.backend).predict(self.architecture, state, X, output, usable)

    def predict(self, X: Any, *, threads: int | None = None) -> Array:
        """For X (m, K): the likeliest class (m,) for output "softmax"; 0 or 1 for "sigmoid" and values for "identity",
        (m,) for one output and (m, N) for several."""
        features = inputs.features("X", X, self.architecture.sizes[0], self.dtype)
        outputs = self._outputs(features, "identity", threads)  # the logits: probabilities may have rounded to equals
        if self.architecture.output == "softmax":
            labels: Array = outputs.argmax(axis=1)
            return labels
        if self.architecture.output == "sigmoid":
            outputs = (outputs > 0).astype(np.int64)
        return outputs[:, 0] if self.architecture.sizes[-1] == 1 else outputs

    def score(self, X: Any, y: ArrayLike, *, threads: int | None = None) -> float:
        """The share of rows predicted without a mistake; for output "identity" R2, averaged over the outputs."""
        features, wanted = self._checked("X", X, "y", y)
        if self.architecture.classifies:
            return self._evaluate(features, wanted, threads)[1] / len(features)
        residual = self.predict_proba(features, threads=threads).astype(np.float64) - wanted
        spread = wanted - wanted.mean(axis=0, dtype=np.float64)
        squares = (spread**2).sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = 1 - (residual**2).sum(axis=0) / squares
        return float(np.where(squares > 0, r2, 0.0).mean())

    def loss(self, X: Any, y: ArrayLike, *, threads: int | None = None) -> float:
        """The mean loss: cross-entropy in nats, or half the squared error, summed over the outputs; no weight decay."""
        features, wanted = self._checked("X", X, "y", y)
        return self._evaluate(features, wanted, threads)[0]

    def _evaluate(self, X: Array | CSR, y: Array, threads: int | None) -> tuple[float, int]:
        state = self._intact_state()
        return backend_of(self.backend).evaluate(self.architecture, state, X, y, thread_count(threads))

    def save(self, path: str | PathLike[str]) -> None:
        """Write the network to one safetensors file, for fastnn.load, with what the optimizer remembers, so that `fit`
        goes on as here. An existing file is replaced as a whole. Raises OSError, or ValueError for weights that are not
        finite."""
        storage.save(path, storage.Checkpoint(self.architecture, self._intact_state()))


# Networks that a call of `fit` trains now, by their id, and a mark of the call.
_trained: dict[int, object] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_trained.clear)


@contextmanager
def _training(net: MLP) -> Iterator[None]:
    """Raises RuntimeError if the network is in training already: two calls would take each other's optimizer away.

    Signals have to be held: one in the last line would leave the mark.
    """
    mark = object()
    try:
        if _trained.setdefault(id(net), mark) is not mark:
            raise RuntimeError("The network is being trained by another call of fit; expected one at a time.")
        yield
    finally:
        if _trained.get(id(net)) is mark:
            del _trained[id(net)]


def network(checkpoint: storage.Checkpoint, *, backend: str = "numba") -> MLP:
    """The network of a checkpoint, whose arrays it takes over."""
    architecture, state = checkpoint.architecture, checkpoint.state
    net = MLP(
        architecture.sizes,
        activation=architecture.activations,
        output=architecture.output,
        dtype=state.weights[0].dtype.name,
        init="uniform:0",
        backend=backend,
    )
    net._state = state
    return net


def _all_finite(state: State) -> bool:
    return all(np.isfinite(array).all() for array in (*state.weights, *state.biases))


def _sparse(sparse: bool | str, X: Any) -> bool | str:
    if not (isinstance(sparse, bool | np.bool_) or (isinstance(sparse, str) and sparse == "auto")):
        raise ValueError(f"sparse is {sparse!r}; expected True, False or 'auto'.")
    if not sparse and csr.is_sparse(X):
        raise ValueError(f"sparse is False and X a {type(X).__name__}; expected True, 'auto', or X.toarray().")
    return sparse if isinstance(sparse, str) else bool(sparse)


def _dtype_name(dtype: object) -> str:
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", getattr(dtype, "__name__", repr(dtype)))
    one_of("dtype", name, DTYPES)
    return str(name)
