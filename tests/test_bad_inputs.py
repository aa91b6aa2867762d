"""What cannot be used is refused in one sentence, before anything is trained."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP

Array = NDArray[Any]
m, K, N = 20, 4, 3
X = np.random.default_rng(0).normal(size=(m, K))
LABELS = np.arange(m) % N


def refused(call: Callable[[], Any], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert text.startswith(sentence)
    assert text.endswith(".")
    assert "\n" not in text


def refused_untrained(net: MLP, error: type[Exception], sentence: str, *data: Any, **how: Any) -> None:
    """`fit` raises, and the network is as it was, to the bit."""
    before = [array.tobytes() for array in net.weights + net.biases]
    refused(lambda: net.fit(*data, verbose=False, **how), error, sentence)
    assert [array.tobytes() for array in net.weights + net.biases] == before


def with_value(array: Array, index: Any, value: Any) -> Array:
    changed = array.copy()
    changed[index] = value
    return changed


class Sparse:
    def toarray(self) -> Array:
        return X


BAD_X = [
    (X[:, :3], ValueError, "X has 3 features; expected 4, the network's first size."),
    (X[0], ValueError, "X has shape (4,); expected two dimensions, (rows, 4). X.reshape(1, -1) makes one row of it."),
    (X[None], ValueError, "X has shape (1, 20, 4); expected two dimensions, (rows, 4)."),
    (np.float64(1), ValueError, "X has shape (); expected two dimensions"),
    (X[:0], ValueError, "X has no rows; expected at least one."),
    ([], ValueError, "X has shape (0,); expected two dimensions"),
    (X.astype(object), TypeError, "X has dtype object; expected real numbers."),
    (X.astype(str), TypeError, "X has dtype <U32; expected real numbers."),
    (X.astype(complex), TypeError, "X has dtype complex128; expected real numbers."),
    (X.astype("M8[s]"), TypeError, "X has dtype datetime64[s]; expected real numbers."),
    (None, TypeError, "X has dtype object; expected real numbers."),
    ("rows.csv", TypeError, "X has dtype <U8; expected real numbers."),
    ([[10**30] * K] * m, TypeError, "X has dtype object; expected real numbers."),
    ([[1.0, 2.0], [3.0]], ValueError, "X has rows of different lengths; expected a table."),
    (Sparse(), TypeError, "X is a sparse Sparse; expected a dense array, such as X.toarray()."),
    (with_value(X, (7, 2), np.nan), ValueError, "X holds nan in row 7, column 2; expected finite numbers."),
    (with_value(X, ([9, 7], [0, 3]), np.inf), ValueError, "X holds inf in row 7, column 3; expected finite numbers."),
    (with_value(X, (-1, -1), -np.inf), ValueError, "X holds -inf in row 19, column 3; expected finite numbers."),
    (with_value(X, (3, 1), 1e39), ValueError, "X holds 1e+39 in row 3, column 1; expected finite numbers that fit"),
    (with_value(X, (3, 1), -1e300), ValueError, "X holds -1e+300 in row 3, column 1; expected finite numbers that fit"),
]
BAD_LABELS = [
    (LABELS[:19], ValueError, "y has 19 entries; expected 20, one for each row of X."),
    (with_value(LABELS, 5, 3), ValueError, "y holds 3 in row 5; expected whole numbers from 0 to 2."),
    (with_value(LABELS, [5, 8], -1), ValueError, "y holds -1 in row 5; expected whole numbers from 0 to 2."),
    (with_value(LABELS * 1.0, 6, 0.5), ValueError, "y holds 0.5 in row 6; expected whole numbers from 0 to 2."),
    (with_value(LABELS * 1.0, 6, np.nan), ValueError, "y holds nan in row 6; expected finite numbers."),
    (with_value(LABELS, 4, 2**62), ValueError, "y holds 4611686018427387904 in row 4; expected whole numbers"),
    (np.full(m, 2**64 - 1, np.uint64), ValueError, "y holds 18446744073709551615 in row 0; expected whole numbers"),
    (LABELS.astype(str), TypeError, "y has dtype <U"),
    (LABELS.astype(object), TypeError, "y has dtype object; expected numbers."),
    (np.eye(N)[LABELS], ValueError, "y has shape (20, 3); expected (20,). For one-hot rows use y.argmax(axis=1)."),
    (1, ValueError, "y has shape (); expected (20,)."),
]


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize(("bad", "error", "sentence"), BAD_X)
def test_features(bad: Any, error: type[Exception], sentence: str, backend: str) -> None:
    net = MLP([K, 5, N], backend=backend)
    refused_untrained(net, error, sentence, bad, LABELS)
    refused_untrained(net, error, re.sub(r"\bX\b", "validation X", sentence), X, LABELS, validation=(bad, LABELS))
    uses: list[Callable[[], Any]] = [lambda: net.predict(bad), lambda: net.predict_proba(bad)]
    for use in [*uses, lambda: net.score(bad, LABELS), lambda: net.loss(bad, LABELS)]:
        refused(use, error, sentence)


@pytest.mark.parametrize(("bad", "error", "sentence"), BAD_LABELS)
def test_labels(bad: Any, error: type[Exception], sentence: str) -> None:
    net = MLP([K, 5, N])
    refused_untrained(net, error, sentence, X, bad)
    for use in (net.score, net.loss):
        refused(lambda use=use: use(X, bad), error, sentence)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("output", "outputs", "bad", "sentence"),
    [
        ("sigmoid", 1, with_value(LABELS % 2, 7, 2), "y holds 2 in row 7; expected whole numbers from 0 to 1."),
        ("sigmoid", 2, with_value(np.zeros((m, 2)), (7, 1), 0.5), "y holds 0.5 in row 7, column 1; expected whole"),
        ("sigmoid", 2, np.zeros(m), "y has shape (20,); expected (20, 2)."),
        ("sigmoid", 1, np.zeros((m, 2)), "y has shape (20, 2); expected (20,)."),
        ("identity", 1, with_value(np.zeros(m), 3, np.nan), "y holds nan in row 3; expected finite numbers."),
        (
            "identity",
            2,
            with_value(np.zeros((m, 2)), (3, 1), 1e39),
            "y holds 1e+39 in row 3, column 1; expected finite",
        ),
        ("identity", 2, np.zeros((m, 3)), "y has shape (20, 3); expected (20, 2)."),
        ("identity", 1, np.zeros(21), "y has 21 entries; expected 20, one for each row of X."),
    ],
)
def test_targets(output: str, outputs: int, bad: Array, sentence: str) -> None:
    refused_untrained(MLP([K, 5, outputs], output=output), ValueError, sentence, X, bad)


def test_large_numbers_that_fit_are_no_mistake() -> None:
    """1e39 is infinite in float32 only."""
    assert np.isfinite(MLP([K, N], dtype="float64", init="uniform:0").predict_proba(np.full((1, K), 1e39))).all()


def test_the_first_of_many_wrong_values_is_found_far_into_the_data() -> None:
    rows = np.zeros((3_000_000, 2), np.float32)  # more than are looked at in one go
    rows[2_500_000:, 1] = np.nan
    refused(lambda: MLP([2, 2]).predict(rows), ValueError, "X holds nan in row 2500000, column 1;")


NOT_POSITIVE = "expected a finite number above 0."


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"epochs": 0}, ValueError, "epochs is 0; expected an integer of at least 1."),
        ({"epochs": 1.5}, TypeError, "epochs is 1.5; expected an integer."),
        ({"batch_size": 0}, ValueError, "batch_size is 0; expected an integer of at least 1."),
        ({"batch_size": -3}, ValueError, "batch_size is -3; expected an integer of at least 1."),
        ({"batch_size": "full"}, TypeError, "batch_size is 'full'; expected an integer."),
        ({"learning_rate": 0}, ValueError, f"learning_rate is 0; {NOT_POSITIVE}"),
        ({"learning_rate": -0.1}, ValueError, f"learning_rate is -0.1; {NOT_POSITIVE}"),
        ({"learning_rate": np.nan}, ValueError, f"learning_rate is nan; {NOT_POSITIVE}"),
        ({"learning_rate": np.inf}, ValueError, f"learning_rate is inf; {NOT_POSITIVE}"),
        ({"learning_rate": "0.1"}, TypeError, "learning_rate is '0.1'; expected a number."),
        ({"learning_rate": True}, TypeError, "learning_rate is True; expected a number."),
        ({"learning_rate": None}, TypeError, "learning_rate is None; expected a number."),
        ({"momentum": 1}, ValueError, "momentum is 1; expected a finite number at least 0 and below 1."),
        ({"momentum": -0.1}, ValueError, "momentum is -0.1; expected a finite number at least 0 and below 1."),
        ({"weight_decay": -1}, ValueError, "weight_decay is -1; expected a finite number at least 0."),
        (
            {"optimizer": "sdg"},
            ValueError,
            "optimizer is 'sdg'; expected one of sgd, momentum, nesterov, rmsprop, adam",
        ),
        ({"optimizer": None}, ValueError, "optimizer is None; expected one of sgd, momentum, nesterov, rmsprop"),
        ({"threads": 0}, ValueError, "threads is 0; expected an integer of at least 1."),
        ({"threads": 2.0}, TypeError, "threads is 2.0; expected an integer."),
        ({"seed": -1}, ValueError, "seed is -1; expected an integer of at least 0."),
        ({"sparse": "yes"}, ValueError, "sparse is 'yes'; expected True, False or 'auto'."),
        ({"sparse": np.zeros(2)}, ValueError, "sparse is array([0., 0.]); expected True, False or 'auto'."),
        ({"validation": X}, TypeError, "validation is a ndarray; expected a pair (X, y)."),
        ({"validation": (X,)}, TypeError, "validation is a tuple of 1; expected a pair (X, y)."),
        ({"validation": 0.1}, TypeError, "validation is a float; expected a pair (X, y)."),
        ({"validation": (X, LABELS + 1)}, ValueError, "validation y holds 3 in row 2; expected whole numbers"),
    ],
)
def test_arguments(arguments: dict[str, Any], error: type[Exception], sentence: str, backend: str) -> None:
    refused_untrained(MLP([K, 5, N], backend=backend), error, sentence, X, LABELS, **arguments)


@pytest.mark.parametrize("use", ["predict", "predict_proba", "score", "loss"])
def test_threads_of_other_methods(use: str) -> None:
    rows = (X, LABELS) if use in ("score", "loss") else (X,)
    for threads, found in ((0, "0; expected an integer of at least 1."), (1.5, "1.5; expected an integer.")):
        with pytest.raises((ValueError, TypeError), match=re.escape(f"threads is {found}")):
            getattr(MLP([K, 5, N]), use)(*rows, threads=threads)


USES: dict[str, Callable[[MLP], Any]] = {
    "fit": lambda net: net.fit(X, LABELS, verbose=False),
    "predict": lambda net: net.predict(X),
    "predict_proba": lambda net: net.predict_proba(X[:1]),
    "loss": lambda net: net.loss(X, LABELS),
    "score": lambda net: net.score(X, LABELS),
    "save": lambda net: net.save("never.safetensors"),
}


@pytest.mark.parametrize("shape", [(N, K), (1, K * N), (1, 1), (10 * K, N)])
@pytest.mark.parametrize("use", USES)
def test_arrays_that_are_resized_in_their_place(use: str, shape: tuple[int, int]) -> None:
    net = MLP([K, N])
    net.weights[0].resize(shape, refcheck=False)
    refused(lambda: USES[use](net), ValueError, "The network's weights or biases have been resized; expected")


@pytest.mark.parametrize("name", ["weights", "biases"])
def test_arrays_that_are_not_finite(name: str) -> None:
    net = MLP([K, N])
    getattr(net, name)[0][...] = np.nan
    refused_untrained(net, ValueError, "The network's weights or biases are not finite; expected finite", X, LABELS)
