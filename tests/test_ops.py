"""Single kernels as functions of arrays: their results, what they take and refuse, `out`, threads, and their laws."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from fastnn import ops, reference

Array = NDArray[Any]
Arguments = dict[str, Array]

SHAPES = [(1, 1, 1), (2, 3, 1), (1, 16, 33), (15, 17, 2), (64, 31, 3), (3, 783, 100), (65, 2, 63)]  # m, K, N

# Every operation's arguments, by the sizes of their shapes, and its formula.
OPS: dict[str, tuple[str, Callable[..., Any]]] = {
    "matmul_bias": ("x:mK w:KN b:N", reference.matmul_bias),
    "matmul_bias_backward": ("dz:mN x:mK w:KN", reference.matmul_bias_backward),
    "relu": ("z:mN", reference.ACTIVATION["relu"]),
    "relu_backward": ("da:mN a:mN", lambda da, a: da * reference.DERIVATIVE["relu"](a)),
    "sigmoid": ("z:mN", reference.sigmoid),
    "sigmoid_backward": ("da:mN a:mN", lambda da, a: da * reference.DERIVATIVE["sigmoid"](a)),
    "tanh": ("z:mN", reference.ACTIVATION["tanh"]),
    "tanh_backward": ("da:mN a:mN", lambda da, a: da * reference.DERIVATIVE["tanh"](a)),
    "softmax": ("z:mN", reference.softmax),
    "softmax_backward": ("dp:mN p:mN", lambda dp, p: p * (dp - (p * dp).sum(axis=1, keepdims=True))),
    "softmax_cross_entropy": ("z:mN labels:m", lambda z, y: reference_loss(z, y, "softmax")),
    "binary_cross_entropy": ("z:mN y:mN", lambda z, y: reference_loss(z, y, "sigmoid")),
    "squared_error": ("z:mN y:mN", lambda z, y: reference_loss(z, y, "identity")),
}
LOSSES = ("softmax_cross_entropy", "binary_cross_entropy", "squared_error")
WITH_OUT = [name for name in OPS if name not in ("matmul_bias_backward", *LOSSES)]


def reference_loss(z: Array, y: Array, output: str) -> tuple[Array, Array]:
    return reference.losses(z, y, output), reference.logits_backward(z, y, output)


def call(name: str, arguments: dict[str, Any], **options: Any) -> tuple[Array, ...]:
    """The operation's results, always as a tuple."""
    results = getattr(ops, name)(**arguments, **options)
    return results if isinstance(results, tuple) else (results,)


def make(name: str, shape: tuple[int, int, int], dtype: Any = np.float32, whole: bool = False) -> Arguments:
    """Random arguments; whole ones can be written in every dtype."""
    rng = np.random.default_rng(sum(shape))
    sizes = dict(zip("mKN", shape, strict=True))
    arguments = {}
    for argument, letters in (part.split(":") for part in OPS[name][0].split()):
        form = [sizes[letter] for letter in letters]
        values = rng.integers(1, 5, form) if whole else rng.normal(size=form)
        labels = rng.integers(sizes["N"] or 1, size=form)
        arguments[argument] = labels if argument == "labels" else values.astype(dtype)
    return arguments


def assert_right(name: str, results: tuple[Array, ...], arguments: dict[str, Any]) -> None:
    """The results are the formula's, within what adding up in the results' dtype loses."""
    wide = {key: np.asarray(value, np.int64 if key == "labels" else np.float64) for key, value in arguments.items()}
    expected = OPS[name][1](*wide.values())
    for result, wanted in zip(results, expected if isinstance(expected, tuple) else (expected,), strict=True):
        tolerance = 40 * np.finfo(results[-1].dtype).eps
        np.testing.assert_allclose(result, wanted, rtol=tolerance, atol=tolerance * max(1, abs(wanted).max(initial=0)))


def bits(results: tuple[Array, ...]) -> list[bytes]:
    return [result.tobytes() for result in results]


# --- results


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OPS)
def test_result(name: str, shape: tuple[int, int, int], dtype: Any) -> None:
    arguments = make(name, shape, dtype)
    before = {key: value.copy() for key, value in arguments.items()}
    results = call(name, arguments)
    assert_right(name, results, arguments)
    assert [result.dtype for result in results[name in LOSSES :]] == [dtype] * (len(results) - (name in LOSSES))
    assert name not in LOSSES or results[0].dtype == np.float64
    for key, value in before.items():
        np.testing.assert_array_equal(arguments[key], value)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (0,), (2, 0, 3)])
def test_activations_take_any_shape(name: str, shape: tuple[int, ...]) -> None:
    z = np.full(shape, -0.5)
    a = call(name, {"z": z})[0]
    np.testing.assert_allclose(a, reference.ACTIVATION[name](z), rtol=1e-15)
    np.testing.assert_array_equal(call(f"{name}_backward", {"da": 0 * a, "a": a})[0], np.zeros(shape))


@pytest.mark.parametrize("shape", [(0, 3, 4), (0, 1, 1)])
@pytest.mark.parametrize("name", OPS)
def test_no_rows(name: str, shape: tuple[int, int, int]) -> None:
    arguments = make(name, shape)
    if name == "matmul_bias_backward":
        dX, dW, db = call(name, arguments)
        assert dX.shape == (0, shape[1])
        np.testing.assert_array_equal(dW, np.zeros(shape[1:]))
        np.testing.assert_array_equal(db, np.zeros(shape[2]))
    else:
        assert [result.shape for result in call(name, arguments)] in ([(0, shape[2])], [(0,), (0, shape[2])])


def test_no_inputs_and_no_outputs() -> None:
    x, w, b = np.ones((3, 0)), np.ones((0, 2)), np.array([1.0, 2.0])
    np.testing.assert_array_equal(ops.matmul_bias(x, w, b), [b, b, b])
    assert [result.shape for result in ops.matmul_bias_backward(np.ones((3, 2)), x, w)] == [(3, 0), (0, 2), (2,)]
    assert ops.matmul_bias(x, np.ones((0, 0)), []).shape == (3, 0)
    dX, dW, db = ops.matmul_bias_backward(np.ones((3, 0)), np.ones((3, 2)), np.ones((2, 0)))
    np.testing.assert_array_equal(dX, np.zeros((3, 2)))
    assert (dW.shape, db.shape) == ((2, 0), (0,))


# --- what arguments may be


def unaligned(array: Array) -> Array:
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
    view: Array = memory.view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def read_only(array: Array) -> Array:
    array = array.copy()
    array.flags.writeable = False
    return array


KINDS: dict[str, Callable[[Array], Any]] = {
    "fortran": np.asfortranarray,
    "strided": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "backwards": lambda array: array[::-1].copy()[::-1],
    "read-only": read_only,
    "unaligned": unaligned,
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "list": lambda array: array.tolist(),
    "float16": lambda array: array if array.dtype.kind == "i" else array.astype(np.float16),
    "longdouble": lambda array: array if array.dtype.kind == "i" else array.astype(np.longdouble),
    "int8": lambda array: array.astype(np.int8),
    "uint64": lambda array: array.astype(np.uint64),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPS)
def test_inputs_of_any_kind(name: str, kind: str) -> None:
    arguments = make(name, (5, 3, 17), whole=True)
    wanted = np.float64 if kind in ("list", "longdouble") else np.float32
    plain = {key: value if key == "labels" else value.astype(wanted) for key, value in arguments.items()}
    results = call(name, {key: KINDS[kind](value) for key, value in arguments.items()})
    assert results[-1].dtype == wanted
    assert bits(results) == bits(call(name, plain))


def test_one_wide_argument_makes_all_wide() -> None:
    x, w, b = make("matmul_bias", (3, 2, 4)).values()
    assert ops.matmul_bias(x, w, b.astype(np.float64)).dtype == np.float64
    assert ops.matmul_bias(x, w.astype(np.float16), b.astype(int)).dtype == np.float32


@pytest.mark.parametrize("value", [object(), "text", 1 + 2j, None, b"bytes"])
@pytest.mark.parametrize("name", OPS)
def test_what_is_no_real_number_is_refused(name: str, value: object) -> None:
    arguments = make(name, (2, 3, 4))
    for argument, array in arguments.items():
        with pytest.raises(TypeError, match=rf"^{argument} has dtype"):
            call(name, {**arguments, argument: np.full(array.shape, value)})


ANY_SHAPE = ("relu", "sigmoid", "tanh")
ANY_COLUMNS = ("softmax", "softmax_cross_entropy")


@pytest.mark.parametrize("name", [name for name in OPS if name not in ANY_SHAPE])
def test_wrong_shapes_are_refused(name: str) -> None:
    """A dimension too many, one too few, and a column too few; of two that do not fit, either may be named."""
    arguments = make(name, (5, 3, 4))
    for argument, array in arguments.items():
        shorter = [] if argument == "z" and name in ANY_COLUMNS else [array[..., :-1]]
        for wrong in (array[None], array[0], *shorter):
            with pytest.raises(ValueError, match=rf"^({'|'.join(arguments)}) has .*expected"):
                call(name, {**arguments, argument: wrong})


@pytest.mark.parametrize("name", ["softmax", "softmax_backward", *LOSSES])
def test_rows_without_columns_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"at least one column"):
        call(name, make(name, (3, 1, 0)))


@pytest.mark.parametrize("value", [4, -1, 2**62])
def test_label_out_of_range_names_value_and_row(value: int) -> None:
    with pytest.raises(ValueError, match=rf"^labels holds {value} in row 2; expected 0 to 3"):
        ops.softmax_cross_entropy(np.zeros((4, 4)), [0, 3, value, 99])
    with pytest.raises(ValueError, match=r"^labels holds 18446744073709551615 in row 1"):
        ops.softmax_cross_entropy(np.zeros((2, 4)), np.array([0, 2**64 - 1], np.uint64))


def test_labels_must_be_integers() -> None:
    with pytest.raises(TypeError, match=r"^labels has dtype float64; expected integers"):
        ops.softmax_cross_entropy(np.zeros((1, 4)), [1.0])
    np.testing.assert_array_equal(ops.softmax_cross_entropy([[3, 3]], [True])[1], [[0.5, -0.5]])


# --- out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", WITH_OUT)
def test_out_is_filled_and_returned(name: str, dtype: Any) -> None:
    arguments = make(name, (5, 3, 17), dtype)
    out = np.full((5, 17), np.nan, dtype)
    assert call(name, arguments, out=out)[0] is out
    assert bits((out,)) == bits(call(name, arguments))


WRONG_OUT: dict[str, Array] = {
    "shape": np.zeros((17, 5), np.float32),
    "flat": np.zeros(5 * 17, np.float32),
    "dtype": np.zeros((5, 17), np.float64),
    "byte order": np.zeros((5, 17), np.dtype(np.float32).newbyteorder()),
    "fortran": np.zeros((17, 5), np.float32).T,
    "strided": np.zeros((5, 34), np.float32)[:, ::2],
    "read-only": read_only(np.zeros((5, 17), np.float32)),
    "unaligned": unaligned(np.zeros((5, 17), np.float32)),
}


@pytest.mark.parametrize("wrong", WRONG_OUT)
@pytest.mark.parametrize("name", WITH_OUT)
def test_wrong_out_is_refused_and_left_alone(name: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=r"^out (has|is) .*expected"):
        call(name, make(name, (5, 3, 17)), out=WRONG_OUT[wrong])
    assert not WRONG_OUT[wrong].any()


@pytest.mark.parametrize("name", WITH_OUT)
def test_out_must_be_an_array(name: str) -> None:
    with pytest.raises(TypeError, match=r"^out is a list; expected an array"):
        call(name, make(name, (2, 2, 2)), out=[[0.0, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize("shift", [-17, -1, 0, 1, 17])
@pytest.mark.parametrize("name", WITH_OUT)
def test_out_in_the_memory_of_an_input(name: str, shift: int) -> None:
    """Every input in turn, at the same place as out or a little beside it."""
    plain = make(name, (17, 17, 17))
    expected = bits(call(name, plain))
    for argument in [key for key, value in plain.items() if value.ndim == 2]:
        memory = np.zeros(17 * 19, np.float32)
        shared, out = (memory[start : start + 17 * 17].reshape(17, 17) for start in (17, 17 + shift))
        shared[...] = plain[argument]
        assert call(name, {**plain, argument: shared}, out=out)[0] is out
        assert bits((out,)) == expected


# --- threads


@pytest.mark.parametrize("shape", [*SHAPES, (200, 70, 40), (100, 30, 130)])
@pytest.mark.parametrize("name", OPS)
def test_any_number_of_threads_gives_the_same_bits(
    name: str, shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = make(name, shape)
    expected = bits(call(name, arguments, threads=1))
    monkeypatch.setattr(ops, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(ops, "BYTES_WORTH_A_THREAD", 1)
    for threads in (1, 2, 3, 5, None):
        assert bits(call(name, arguments, threads=threads)) == expected


@pytest.mark.parametrize("threads", [0, -1])
@pytest.mark.parametrize("name", OPS)
def test_no_threads_are_refused(name: str, threads: int) -> None:
    with pytest.raises(ValueError, match=rf"^threads is {threads}; expected"):
        call(name, make(name, (2, 2, 2)), threads=threads)


@pytest.mark.parametrize("name", OPS)
def test_threads_must_be_a_whole_number(name: str) -> None:
    with pytest.raises(TypeError, match=r"^threads is 1.5; expected"):
        call(name, make(name, (2, 2, 2)), threads=1.5)


# --- laws


def matrices(rows: int, columns: int, largest: float = 100.0) -> st.SearchStrategy[Array]:
    return hnp.arrays(np.float64, (rows, columns), elements=st.floats(-largest, largest))


any_matrix = st.tuples(st.integers(1, 5), st.integers(1, 40)).flatmap(lambda shape: matrices(*shape))
quick = settings(deadline=None, max_examples=60)


@quick
@given(z=any_matrix, shift=st.floats(-1000, 1000))
def test_softmax_is_a_distribution_and_ignores_shifts(z: Array, shift: float) -> None:
    p = ops.softmax(z)
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(ops.softmax(z + shift), p, rtol=1e-11, atol=1e-300)


@quick
@given(x=matrices(5, 7), y=matrices(5, 7), w=matrices(7, 9), factor=st.floats(-10, 10))
def test_matmul_is_linear(x: Array, y: Array, w: Array, factor: float) -> None:
    none = np.zeros(9)
    together = ops.matmul_bias(x + factor * y, w, none)
    apart = ops.matmul_bias(x, w, none) + factor * ops.matmul_bias(y, w, none)
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-9)


@quick
@given(z=any_matrix)
def test_relu_twice_is_relu_and_curves_are_odd(z: Array) -> None:
    once = ops.relu(z)
    np.testing.assert_array_equal(ops.relu(once), once)
    np.testing.assert_array_equal(ops.tanh(-z), -ops.tanh(z))
    np.testing.assert_allclose(ops.sigmoid(-z), 1 - ops.sigmoid(z), atol=1e-15)


def slope(function: Callable[[], float], at: Array, step: float = 1e-6) -> Array:
    """The derivative of a function that looks at the array `at`, by central differences."""
    result = np.empty_like(at)
    for i in np.ndindex(at.shape):
        value = at[i]
        at[i] = value + step
        above = function()
        at[i] = value - step
        result[i] = (above - function()) / (2 * step)
        at[i] = value
    return result


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "softmax"])
def test_backward_is_the_slope(name: str) -> None:
    z, d = make(f"{name}_backward", (3, 1, 17), np.float64).values()
    z += 0.1 * np.sign(z)  # not where relu has a corner
    arguments = dict(zip(("dp", "p") if name == "softmax" else ("da", "a"), (d, call(name, {"z": z})[0]), strict=True))
    numeric = slope(lambda: float((call(name, {"z": z})[0] * d).sum()), z)
    np.testing.assert_allclose(call(f"{name}_backward", arguments)[0], numeric, atol=1e-8)


def test_matmul_backward_is_the_slope() -> None:
    dz, x, w = make("matmul_bias_backward", (3, 5, 4), np.float64).values()
    b = np.ones(4)
    for gradient, at in zip(ops.matmul_bias_backward(dz, x, w), (x, w, b), strict=True):
        numeric = slope(lambda: float((ops.matmul_bias(x, w, b) * dz).sum()), at)
        np.testing.assert_allclose(gradient, numeric, atol=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_of_a_loss_is_the_slope_of_its_mean(name: str) -> None:
    arguments = make(name, (3, 1, 17), np.float64)
    numeric = slope(lambda: float(call(name, arguments)[0].mean()), arguments["z"])
    np.testing.assert_allclose(call(name, arguments)[1], numeric, atol=1e-8)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_a_matrix_takes_results() -> None:
    out = np.asmatrix(np.zeros((2, 4), np.float32))  # type: ignore[no-untyped-call]
    x, w = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32)
    assert ops.matmul_bias(x, w, np.zeros(4, np.float32), out=out) is out
    np.testing.assert_array_equal(out, 3)


def test_labels_of_strange_kinds() -> None:
    z = np.zeros((4, 3), np.float32)
    with pytest.raises(TypeError, match="labels is a masked array"):
        ops.softmax_cross_entropy(z, np.ma.array([0, 1, 0, 1], mask=[1, 0, 0, 0]))
    with pytest.raises(ValueError, match="labels has rows of different lengths"):
        ops.softmax_cross_entropy(z, [[0], [1, 2], [0], [0]])  # type: ignore[list-item]
