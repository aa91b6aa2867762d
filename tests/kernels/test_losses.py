"""Losses from logits: every row's loss, the gradient and the count of right rows, against the reference in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastnn import reference, team
from fastnn.kernels import losses
from fastnn.kernels.compiling.compile import entry
from fastnn.kernels.simd.vectors import REGISTER_BYTES
from fastnn.kernels.softmax import ROOM

Array = NDArray[Any]
DType = np.dtype[Any]
Guarded = Callable[[Any], Array]
Close = Callable[..., None]
Case = tuple[Array, Array, str]


def room(z: Array, N: int) -> Array:
    """Scratch for rows of N, no larger than it has to be."""
    return np.full((N + ROOM) * REGISTER_BYTES // z.itemsize, np.nan, z.dtype)


@entry
def loss_backward(
    loss: int,
    z: Array,
    offset: int,
    rows: int,
    N: int,
    labels: Array,
    targets: Array,
    scale: float,
    parameter: float,
    losses_out: Array,
    loss0: int,
    room: Array,
) -> int:
    return losses.loss_backward(loss, z, offset, rows, N, labels, targets, scale, parameter, losses_out, loss0, room)


NUMBERS = {
    "softmax": losses.SOFTMAX,
    "sigmoid": losses.BINARY,
    "identity": losses.SQUARED,
    "poisson": losses.POISSON,
    "absolute_error": losses.ABSOLUTE,
    "huber": losses.HUBER,
}


def backward(
    loss: str,
    z: Array,
    offset: int,
    rows: int,
    N: int,
    wanted: Array,
    scale: float,
    losses_out: Array,
    loss0: int,
    parameter: float = 0.0,
) -> int:
    """The kernel, for labels or targets `wanted`."""
    nothing = np.empty(0, z.dtype if loss == "softmax" else np.int64)
    labels, targets = (wanted, nothing) if loss == "softmax" else (nothing, wanted)
    number, scratch = NUMBERS[loss], room(z, N)
    return loss_backward(number, z, offset, rows, N, labels, targets, scale, parameter, losses_out, loss0, scratch)


OUTPUTS = ("softmax", "sigmoid", "identity")
OFFSET, ROWS = 3, 4  # where the kernels begin in z and in the losses; how many rows they do


def make_case(output: str, N: int, dtype: DType, rng: np.random.Generator) -> Case:
    """Logits, what they should be, and the name of the output they belong to."""
    z = (rng.normal(size=(ROWS, N)) * 4).astype(dtype)
    if output == "softmax":
        return z, rng.integers(N, size=ROWS), output
    y = rng.integers(2, size=z.shape) if output == "sigmoid" else 4 * rng.normal(size=z.shape)
    return z, y.astype(dtype), output


@pytest.fixture(params=OUTPUTS)
def case(request: pytest.FixtureRequest, size: int, dtype: DType, rng: np.random.Generator) -> Case:
    return make_case(request.param, size, dtype, rng)


def shifted(values: Array) -> Array:
    """The numbers from OFFSET on, in an array that begins and ends with others."""
    edge = np.full(OFFSET, -1 if values.dtype.kind == "i" else np.nan, values.dtype)
    return np.concatenate([edge, values.reshape(-1), edge])


def run(case: Case, guarded: Guarded, scale: float = 1.0) -> tuple[Array, Array, int]:
    """dZ, the rows' losses, and how many are right."""
    z, y, output = case
    dz, rows = guarded(shifted(z)), guarded(np.full(ROWS + 2 * OFFSET, np.nan))
    right = backward(output, dz, OFFSET, ROWS, z.shape[1], guarded(y), scale, rows, OFFSET)
    for result in (dz, rows):
        assert np.isnan(result[:OFFSET]).all()
        assert np.isnan(result[-OFFSET:]).all()
    return dz[OFFSET:-OFFSET].reshape(z.shape), rows[OFFSET:-OFFSET], right


def wide(values: Array) -> Array:
    return values if values.dtype.kind == "i" else values.astype(np.float64)


def test_losses(case: Case, dtype: DType, guarded: Guarded, assert_close: Close) -> None:
    z, y, output = case
    _, rows, _ = run(case, guarded)
    size = {"softmax": np.abs(z).max(axis=1), "sigmoid": np.abs(z).sum(axis=1), "identity": 0.0}[output]
    assert_close(rows.astype(dtype), reference.losses(wide(z), wide(y), output), 8 + z.shape[1] / 16, size)


def test_gradient(case: Case, dtype: DType, guarded: Guarded, assert_close: Close) -> None:
    z, y, output = case
    dz, _, _ = run(case, guarded, scale=1 / ROWS)
    # A probability minus 1, or minus y, is off by roundings of 1, not of the difference.
    roundings, size = {"softmax": (16, 1), "sigmoid": (4, 1), "identity": (4, 0)}[output]
    certain = np.zeros(z.shape)
    if output == "softmax":
        certain[np.arange(ROWS), y] = size / ROWS
        roundings += int(np.ptp(z))
    elif output == "sigmoid":
        certain[...] = size / ROWS
    assert_close(dz, reference.logits_backward(wide(z), wide(y), output), roundings, certain)


def test_right_rows(case: Case, guarded: Guarded) -> None:
    z, y, output = case
    for row in range(ROWS // 2):  # half of the rows made right
        if output == "softmax":
            y[row] = z[row].argmax()
        elif output == "sigmoid":
            y[row] = z[row] > 0
    expected = reference.correct(z, y, output)
    assert run(case, guarded)[2] == expected
    assert expected >= ROWS // 2 or output == "identity"


def test_the_first_of_equal_logits_counts(dtype: DType, guarded: Guarded) -> None:
    z = np.array([[1, 3, 3], [3, 1, 3], [3, 3, 3], [0, 0, 3]], dtype)
    assert run((z, np.array([1, 0, 0, 2]), "softmax"), guarded)[2] == 4
    assert run((z, np.array([2, 2, 1, 1]), "softmax"), guarded)[2] == 0


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("rows", [1, 16, 100])
@pytest.mark.parametrize("output", OUTPUTS)
def test_together(
    output: str, rows: int, threads: int, size: int, dtype: DType, guarded: Guarded, rng: np.random.Generator
) -> None:
    """Threads do their rows, block by block, as one thread does all of them, and leave the logits alone."""
    labelled, logits = output == "softmax", (rng.normal(size=(rows, size)) * 4).astype(dtype)
    wanted = guarded(rng.integers(size, size=rows) if labelled else rng.normal(size=logits.shape).astype(dtype))
    labels, targets = (wanted, guarded(np.empty(0, dtype))) if labelled else (guarded(np.empty(0, np.int64)), wanted)
    z, dz, found = guarded(logits), guarded(np.full(logits.size, np.nan, dtype)), guarded(np.full(rows, np.nan))
    rooms = [guarded(room(z, size)) for _ in range(threads)]
    arguments = NUMBERS[output], z, dz, rows, size, labels, targets, 0.5, 0.0, found
    team.run(lambda t, number, control: losses.loss_together(t, number, control, *arguments, rooms[t]), threads)
    np.testing.assert_array_equal(z, logits.reshape(-1))
    expected = guarded(np.full(rows, np.nan))
    backward(output, z, 0, rows, size, wanted, 0.5, expected, 0)
    np.testing.assert_array_equal(dz, z)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 40])
def test_many_rows(rows: int, size: int, dtype: DType, guarded: Guarded, rng: np.random.Generator) -> None:
    """A row's figures do not depend on the rows beside it."""
    z, labels = (rng.normal(size=(rows, size)) * 4).astype(dtype), rng.integers(size, size=rows)
    dz, found = guarded(z), guarded(np.full(rows, np.nan))
    right = backward("softmax", dz, 0, rows, size, guarded(labels), 0.5, found, 0)
    one_dz, one_found, one_right = z.copy(), np.full(rows, np.nan), 0
    for row in range(rows):
        flat = one_dz.reshape(-1)
        one_right += backward("softmax", flat, row * size, 1, size, labels[row:], 0.5, one_found, row)
    np.testing.assert_array_equal(dz.reshape(z.shape), one_dz)
    np.testing.assert_array_equal(found, one_found)
    assert right == one_right == (z.argmax(axis=1) == labels).sum()


@pytest.mark.parametrize("output", OUTPUTS)
def test_nothing_to_do(output: str, dtype: DType, guarded: Guarded) -> None:
    z, rows = guarded(np.full(4, 7, dtype)), guarded(np.full(4, 7.0))
    y = guarded(np.zeros(4, np.int64 if output == "softmax" else dtype))
    assert backward(output, z, 0, 0, 4, y, 1.0, rows, 0) == 0
    np.testing.assert_array_equal(z, 7)
    np.testing.assert_array_equal(rows, 7)


def test_loss_of_equal_logits(dtype: DType, guarded: Guarded, assert_close: Close) -> None:
    """log(N), to its last digits, for every N up to a thousand."""
    sizes = np.arange(1, 1001)
    found = np.full(len(sizes), np.nan)
    for i, N in enumerate(sizes):
        backward("softmax", guarded(np.full(N, 3, dtype)), 0, 1, N, np.zeros(1, np.int64), 1.0, found, i)
    assert_close(found.astype(dtype), np.log(sizes), 4)


def test_largest_logits(size: int, guarded: Guarded) -> None:
    """Neither loss nor gradient is NaN for the largest float32 logits, right or wrong."""
    largest = float(np.finfo(np.float32).max)
    z = np.full((ROWS, size), -largest, np.float32)
    z[:, 0] = largest
    labels = np.array([0, size - 1, 0, size - 1])
    dz, rows, _ = run((z, labels, "softmax"), guarded)
    np.testing.assert_array_equal(rows, [0, 0 if size == 1 else 2 * largest] * 2)
    np.testing.assert_array_equal(dz, np.eye(size)[[0] * ROWS] - np.eye(size)[labels])
    column = np.array([[largest], [largest], [-largest], [-largest]], np.float32)
    dz, rows, _ = run((column, np.array([[0], [1], [0], [1]], np.float32), "sigmoid"), guarded)
    np.testing.assert_array_equal(rows, [largest, 0, 0, largest])
    np.testing.assert_array_equal(dz, [[1], [0], [0], [-1]])


def test_binary_loss_of_any_logit(dtype: DType, guarded: Guarded, assert_close: Close) -> None:
    """From sure to unsure, one row each: log(1 + exp(-|z|)) to its last digits, and where it is next to nothing."""
    z = np.concatenate([np.linspace(-2, 2, 401), np.linspace(-800, 800, 801)]).astype(dtype)
    for y in (0, 1):
        dz, rows = guarded(z), guarded(np.full(z.size, np.nan))
        backward("sigmoid", dz, 0, z.size, 1, guarded(np.full(z.size, y, dtype)), 1.0, rows, 0)
        column, targets = z.astype(np.float64)[:, None], np.full((z.size, 1), float(y))
        assert_close(rows.astype(dtype), reference.losses(column, targets, "sigmoid"), 3)
        assert_close(dz, reference.logits_backward(column, targets, "sigmoid") * z.size, 3, 1.0)


@pytest.mark.parametrize("output", OUTPUTS)
def test_not_a_number_stays_in_its_row(output: str, size: int, dtype: DType, guarded: Guarded, rng: Any) -> None:
    case = make_case(output, size, dtype, rng)
    clean, _, _ = run(case, guarded)
    case[0][2, size // 2] = np.nan
    dz, rows, _ = run(case, guarded)
    np.testing.assert_array_equal(np.isnan(rows), [False, False, True, False])
    np.testing.assert_array_equal(dz[[0, 1, 3]], clean[[0, 1, 3]])
    assert np.isnan(dz[2, size // 2])


@pytest.mark.parametrize("z", [np.inf, -np.inf])
@pytest.mark.parametrize("y", [0, 1])
def test_infinite_logit(z: float, y: int, dtype: DType, guarded: Guarded) -> None:
    """As the formulas say in NumPy: infinite minus infinite is NaN, and an error without bounds is infinite."""
    logits = np.full((ROWS, 2), [z, 0], dtype)
    for output in OUTPUTS:
        targets = np.full(ROWS, y) if output == "softmax" else np.full((ROWS, 2), y, dtype)
        with np.errstate(invalid="ignore"):
            expected = reference.losses(wide(logits), wide(targets), output)
        rows = run((logits, targets, output), guarded)[1]
        np.testing.assert_allclose(rows, expected, rtol=1e-6)


# --- the other losses of the same logits and targets

DELTA = 0.7
OTHERS = {
    "smooth": ("softmax", 0.3),
    "smooth_sigmoid": ("sigmoid", 0.3),
    "poisson": ("poisson", 0.0),
    "absolute_error": ("absolute_error", 0.0),
    "huber": ("huber", DELTA),
}


@pytest.fixture(params=OTHERS)
def other(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make_other(loss: str, N: int, dtype: DType, rng: np.random.Generator) -> tuple[Array, Array]:
    z = (rng.normal(size=(ROWS, N)) * 2).astype(dtype)
    if loss == "softmax":
        return z, rng.integers(N, size=ROWS)
    y = rng.integers(2, size=z.shape) if loss == "sigmoid" else rng.poisson(2.0, z.shape) + 0.25 * (N % 2)
    return z, y.astype(dtype)


def test_other_losses(
    other: str, size: int, dtype: DType, guarded: Guarded, rng: np.random.Generator, assert_close: Close
) -> None:
    """Losses and gradients; nothing beside them is written."""
    loss, parameter = OTHERS[other]
    z, y = make_other(loss, size, dtype, rng)
    given = (y * (1 - parameter) + parameter / 2).astype(dtype) if other == "smooth_sigmoid" else y
    dz, rows = guarded(shifted(z)), guarded(np.full(ROWS + 2 * OFFSET, np.nan))
    right = backward(loss, dz, OFFSET, ROWS, size, guarded(given), 1 / ROWS, rows, OFFSET, parameter)
    for result in (dz, rows):
        assert np.isnan(result[:OFFSET]).all()
        assert np.isnan(result[-OFFSET:]).all()
    assert right == reference.correct(z, y, loss)
    summed = (np.abs(wide(z)) + np.exp(wide(z)) * (loss == "poisson") + 10).sum(axis=1)
    expected = reference.losses(wide(z), wide(y), loss, parameter)
    assert_close(rows[OFFSET:-OFFSET].astype(dtype), expected, 8, summed)
    gradient = reference.logits_backward(wide(z), wide(y), loss, parameter)
    assert_close(dz[OFFSET:-OFFSET], gradient, 16, (np.exp(wide(z.ravel())) * (loss == "poisson") + 4) / ROWS)


def test_other_gradients_by_differences(other: str, guarded: Guarded, rng: np.random.Generator) -> None:
    loss, parameter = OTHERS[other]
    z, y = make_other(loss, 5, np.dtype(np.float64), rng)
    y = y * (1 - parameter) + parameter / 2 if other == "smooth_sigmoid" else y

    def run_at(logits: Array) -> tuple[Array, Array]:
        dz, rows = guarded(logits), guarded(np.zeros(ROWS))
        backward(loss, dz, 0, ROWS, 5, guarded(y), 1.0, rows, 0, parameter)
        return dz.reshape(ROWS, 5), rows

    for column in range(5):
        step = np.zeros(5)
        step[column] = 1e-6
        slope = (run_at(z + step)[1] - run_at(z - step)[1]) / 2e-6
        np.testing.assert_allclose(run_at(z)[0][:, column], slope, rtol=1e-6, atol=1e-7)


def test_poisson_of_large_logits(dtype: DType, guarded: Guarded) -> None:
    """Infinite, and not NaN, where the exponential is; zero targets have no logarithm."""
    dz, rows = guarded(np.array([1000, -1000, 0, 1], dtype)), guarded(np.zeros(4))
    backward("poisson", dz, 0, 4, 1, guarded(np.array([1, 0, 0, 2], dtype)), 1.0, rows, 0)
    np.testing.assert_allclose(rows, [np.inf, 0, 1, np.e - 2 + 2 * (np.log(2) - 1)], rtol=1e-6)
    np.testing.assert_allclose(dz, [np.inf, 0, 1, np.e - 2], rtol=1e-6)
