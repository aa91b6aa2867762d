"""A network before any training: how it is built, what it predicts, and its parameters."""

import re
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import MLP, History, Initializer, reference
from fastnn.bar import Silent

Array = NDArray[Any]
BACKENDS = ("numba", "numpy")
SIZES = [5, 7, 3]


def features(m: int = 37, K: int = 5) -> Array:
    return np.random.default_rng(1).normal(size=(m, K))


# --- constructor


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"sizes": []}, ValueError, "sizes is []; expected at least two sizes"),
        ({"sizes": [3]}, ValueError, "sizes is [3]; expected at least two sizes"),
        ({"sizes": [3, 0, 2]}, ValueError, "sizes is [3, 0, 2]; expected at least two sizes"),
        ({"sizes": [3, -1]}, ValueError, "each at least 1."),
        ({"sizes": [3, 10**20, 2]}, ValueError, "expected at most 2**40 weights between two layers."),
        ({"sizes": [3, 2.5]}, TypeError, "sizes is [3, 2.5]; every size must be an integer."),
        ({"sizes": [3, "2"]}, TypeError, "sizes is [3, '2']; every size must be an integer."),
        ({"sizes": [3, True]}, TypeError, "sizes is [3, True]; every size must be an integer."),
        ({"init": "normal:1e300"}, ValueError, "init is 'normal:1e300', of which float32 gets infinite; expected a"),
        ({"sizes": "784"}, TypeError, "sizes is '784'; expected a sequence of integers"),
        ({"sizes": 784}, TypeError, "sizes is 784; expected a sequence of integers"),
        ({"activation": "rel"}, ValueError, "activation is 'rel'; expected one of relu, sigmoid, tanh, identity, "),
        ({"activation": ["rel"]}, ValueError, "activation is 'rel'; expected one of relu, sigmoid, tanh, identity, "),
        ({"activation": ["relu"] * 2}, ValueError, "activation names 2 functions; expected one, or one for each of"),
        ({"activation": []}, ValueError, "activation names 0 functions"),
        ({"activation": 3}, TypeError, "activation is 3; expected"),
        ({"activation": None}, TypeError, "activation is None; expected"),
        ({"output": "relu"}, ValueError, "output is 'relu'; expected one of softmax, sigmoid, identity."),
        ({"sizes": [3, 1], "output": "softmax"}, ValueError, 'output is "softmax" with one output'),
        ({"init": "xavier"}, ValueError, "init is 'xavier'; expected one of he, glorot, uniform, normal."),
        ({"init": "he:2"}, ValueError, "init 'he' takes no scale, and was given 2.0."),
        ({"init": "uniform"}, ValueError, "init is 'uniform' without a scale; expected one"),
        ({"init": "uniform:wide"}, ValueError, "init is 'uniform:wide'; expected a number after the colon."),
        (
            {"init": "uniform:-1"},
            ValueError,
            "the scale of init is -1.0; expected a finite number at least 0 and below 8e+307.",
        ),
        ({"init": "normal:nan"}, ValueError, "the scale of init is nan; expected a finite number at least 0 and"),
        ({"init": "uniform:1e308"}, ValueError, "the scale of init is 1e+308; expected a finite number"),
        ({"init": 0.5}, TypeError, "init is 0.5; expected a name"),
        ({"dtype": "float16"}, ValueError, "dtype is 'float16'; expected one of float32, float64."),
        ({"dtype": np.int32}, ValueError, "dtype is 'int32'; expected one of float32, float64."),
        ({"dtype": None}, ValueError, "expected one of float32, float64."),
        ({"seed": -1}, ValueError, "seed is -1; expected an integer of at least 0."),
        ({"seed": 1.5}, TypeError, "seed is 1.5; expected an integer."),
        ({"seed": True}, ValueError, "seed is True; expected an integer of at least 0."),
        ({"backend": "torch"}, ValueError, "backend is 'torch'; expected one of numba, numpy."),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=re.escape(sentence)) as caught:
        MLP(**{"sizes": [3, 4, 2]} | arguments)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32, np.dtype("float64")])
def test_dtypes(dtype: Any) -> None:
    net = MLP(SIZES, dtype=dtype)
    assert {array.dtype for array in net.weights + net.biases} == {np.dtype(dtype)}
    assert net.predict_proba(features()).dtype == np.dtype(dtype)


def test_what_is_left_out_is_filled_in() -> None:
    assert MLP([3, 1]).architecture.output == "sigmoid"
    assert MLP([3, 2]).architecture.output == "softmax"
    assert MLP([3, 4, 5, 2]).architecture.activations == ("relu", "relu")
    assert MLP([3, 4, 5, 2], activation=["tanh", "relu"]).architecture.activations == ("tanh", "relu")


def test_the_seed_decides_the_first_weights() -> None:
    first, same, other = (MLP(SIZES, seed=seed).weights for seed in (4, 4, 5))
    assert [W.tobytes() for W in first] == [W.tobytes() for W in same]
    assert all((W != V).all() for W, V in zip(first, other, strict=True))


@pytest.mark.parametrize(
    ("init", "activation", "deviation"),
    [
        (None, "relu", (2 / 300) ** 0.5),
        (None, "tanh", (2 / 500) ** 0.5),
        ("he", "tanh", (2 / 300) ** 0.5),
        ("glorot", "relu", (2 / 500) ** 0.5),
        ("uniform:0.5", "relu", 0.5 / 3**0.5),
        ("normal:0.01", "relu", 0.01),
    ],
)
def test_first_weights_have_the_spread_they_should(init: str | None, activation: str, deviation: float) -> None:
    net = MLP([300, 200, 2], init=init, activation=activation, dtype="float64")
    assert net.weights[0].std() == pytest.approx(deviation, rel=0.03)  # 60000 numbers: 0.3 % is their own error
    assert abs(net.weights[0].mean()) < 5 * deviation / 60000**0.5
    assert not np.concatenate(net.biases).any()


def test_biases_are_drawn_on_request() -> None:
    biases = MLP(SIZES, init=Initializer("uniform", 0.5, biases=True)).biases
    assert all((b != 0).all() and (np.abs(b) <= 0.5).all() for b in biases)


# --- predictions


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("m", [1, 2, 127, 300])
@pytest.mark.parametrize(
    ("output", "N", "shape"),
    [("softmax", 3, ()), ("sigmoid", 1, ()), ("sigmoid", 3, (3,)), ("identity", 1, ()), ("identity", 3, (3,))],
)
def test_shapes_and_values(backend: str, m: int, output: str, N: int, shape: tuple[int, ...]) -> None:
    net, X = MLP([5, 7, N], output=output, backend=backend, dtype="float64"), features(m)
    Z = reference.forward(X, net.weights, net.biases, ("relu",))[-1]
    outputs, predicted = net.predict_proba(X), net.predict(X)
    np.testing.assert_allclose(outputs, reference.OUTPUT[output](Z), rtol=1e-12)
    if output != "identity":
        Z = Z.argmax(axis=1) if output == "softmax" else Z > 0
    np.testing.assert_allclose(predicted, Z.reshape(m, *shape), rtol=1e-12)
    assert predicted.shape == (m, *shape)
    assert predicted.dtype == (np.float64 if output == "identity" else np.int64)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("output", "N"), [("softmax", 3), ("sigmoid", 1), ("sigmoid", 3)])
def test_score_counts_the_rows_that_predict_gets_right(backend: str, output: str, N: int) -> None:
    net, X = MLP([5, 7, N], output=output, backend=backend), features()
    y = np.random.default_rng(2).integers(0, 3 if output == "softmax" else 2, (len(X), N))
    y = y[:, 0] if output == "softmax" or N == 1 else y
    right = (net.predict(X) == y).reshape(len(X), -1).all(axis=1)
    assert net.score(X, y) == right.mean()
    assert 0 < right.mean() < 1  # or the test would show nothing


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("output", "N"), [("softmax", 3), ("sigmoid", 1)])
def test_score_agrees_with_predict_on_the_closest_calls(backend: str, output: str, N: int) -> None:
    """Logits so small that float32 probabilities are all alike: both must still say the same."""
    net = MLP([5, N], output=output, backend=backend, init="uniform:0")
    net.biases = [np.array([1e-9, 2e-9, 3e-9][:N])]
    X = features(4)
    assert net.score(X, net.predict(X)) == 1.0


@pytest.mark.parametrize("backend", BACKENDS)
def test_score_of_numbers_is_r2(backend: str) -> None:
    net, X = MLP([5, 7, 2], output="identity", backend=backend, dtype="float64"), features()
    y = net.predict(X) + 0.1 * np.random.default_rng(3).normal(size=(len(X), 2))
    residual, spread = ((net.predict(X) - y) ** 2).sum(axis=0), ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    assert net.score(X, y) == pytest.approx((1 - residual / spread).mean(), rel=1e-12)
    assert net.score(X, net.predict(X)) == 1.0
    assert net.score(X, np.ones((len(X), 2))) == 0.0  # nothing varies, so nothing is explained


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("output", "N"), [("softmax", 3), ("sigmoid", 3), ("identity", 3)])
def test_loss_is_the_mean_of_the_rows(backend: str, output: str, N: int) -> None:
    net, X = MLP([5, 7, N], output=output, backend=backend, dtype="float64"), features(300)
    y = np.random.default_rng(4).integers(0, 2, (300,) if output == "softmax" else (300, N))
    Z = reference.forward(X, net.weights, net.biases, ("relu",))[-1]
    assert net.loss(X, y) == pytest.approx(reference.losses(Z, y, output).mean(), rel=1e-12)


# --- parameters


@pytest.mark.parametrize("backend", BACKENDS)
def test_parameters_can_be_assigned(backend: str) -> None:
    net, other = (MLP(SIZES, backend=backend, seed=seed) for seed in (0, 1))
    other.biases = [np.arange(7), [1, 2, 3]]
    net.weights, net.biases = other.weights, other.biases
    assert net.predict_proba(features()).tobytes() == other.predict_proba(features()).tobytes()
    other.weights[0][:] = 0
    assert net.weights[0].all()  # a copy


@pytest.mark.parametrize("name", ["weights", "biases"])
def test_bad_parameters_are_refused(name: str) -> None:
    net = MLP(SIZES)
    before = [array.copy() for array in getattr(net, name)]
    with pytest.raises(ValueError, match=rf"^{name} has shapes .*; expected \[.*\]\.$"):
        setattr(net, name, before[::-1])
    with pytest.raises(ValueError, match=rf"^{name} has shapes "):
        setattr(net, name, before[:1])
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match=rf"^{name}\[1\] holds a value that is not finite"):
            setattr(net, name, [before[0], np.full_like(before[1], value)])
    for bad, sentence in [
        (1, f"{name} is 1; expected a list of 2 arrays."),
        ("abc", f"{name} is 'abc'; expected a list of 2 arrays."),
        ([before[0], before[1] * 1j], rf"{name}\[1\] has dtype complex64; expected real numbers."),
        ([before[0], before[1].astype(str)], rf"{name}\[1\] has dtype <U\d+; expected real numbers."),
        ([before[0], [[1, 2], [3]]], rf"{name}\[1\] has rows of different lengths; expected a table."),
    ]:
        with pytest.raises((TypeError, ValueError), match=f"^{sentence}$"):
            setattr(net, name, bad)
    assert all((array == old).all() for array, old in zip(getattr(net, name), before, strict=True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_changes_in_place_count(backend: str) -> None:
    net, X = MLP(SIZES, backend=backend), features()
    net.weights[1][:] = 0
    net.biases[1][:] = [0, 5, 0]
    assert (net.predict(X) == 1).all()
    net.fit(X, np.ones(len(X), int), epochs=1, learning_rate=1e-6, optimizer="sgd", verbose=False)
    assert net.biases[1] == pytest.approx([0, 5, 0], abs=1e-5)


def test_items_of_weights_are_not_replaced_unnoticed() -> None:
    net = MLP([3, 2], backend="numpy")
    for parameters in (net.weights, net.biases):
        with pytest.raises(TypeError, match="does not support item assignment"):
            parameters[0] = np.zeros_like(parameters[0])  # type: ignore[index]


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_weights_that_are_made_other_numbers(backend: str) -> None:
    """By their attributes; kernels would read them as what they were."""
    for change in ({"dtype": np.dtype("i4")}, {"dtype": np.dtype(">f4")}, {"strides": (4, 24)}):
        net = MLP([6, 5, 3], backend=backend)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy does not like it either
            for name, value in change.items():
                setattr(net.weights[0], name, value)
        for use in (net.predict_proba, lambda X, net=net: net.fit(X, np.zeros(len(X), int), verbose=False)):
            with pytest.raises(ValueError, match="weights or biases lie otherwise than they did"):
                use(np.ones((4, 6), np.float32))


def test_one_fit_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another would take the optimizer's memory away."""
    X, y = np.random.default_rng(0).normal(size=(64, 4)), np.arange(64) % 3
    net, raised = MLP([4, 3], backend="numpy"), []

    class Nested(Silent):
        def epoch(self, history: History) -> None:
            try:
                net.fit(X, y, epochs=1, optimizer="sgd", verbose=False)
            except RuntimeError as error:
                raised.append(str(error))

    monkeypatch.setattr("fastnn.mlp.make_progress", lambda *_, **__: Nested())
    history = net.fit(X, y, epochs=2)
    assert raised == ["The network is being trained by another call of fit; expected one at a time."] * 2
    assert len(history) == net.epochs == 2
    with pytest.raises(TypeError):
        net.fit(X, y, epochs=2, validation=(X, y, y))  # type: ignore[arg-type]
    assert len(net.fit(X, y, epochs=1)) == 1  # an error ends it, too
