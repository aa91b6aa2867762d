"""Single kernels as functions of NumPy arrays: checked, and allocating what they return.

m rows, K inputs, N outputs. Arrays are float32 or float64, all of a call of one dtype; anything else that holds real
numbers is converted, to float32 where nothing in the call is float64 or wider. `out` receives the result; it must have
its shape and dtype and be C-contiguous and writeable. Raises TypeError or ValueError, naming the argument.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import matrix_unit, team
from .cpus import thread_count
from .inputs import as_array
from .kernels import activations, losses, matmul
from .kernels import softmax as softmax_kernels
from .kernels.matmul import ROWS, STRIDE
from .kernels.matrix_unit import matmul_thirds
from .kernels.matrix_unit.products import TALL
from .kernels.panels import STRIP
from .kernels.simd.vectors import REGISTER_BYTES
from .packing import ALIGNMENT, aligned

Array = NDArray[Any]

PADDING = 2 * REGISTER_BYTES // 4  # columns of the widest panel

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)

# Below this many multiply-adds (20 us in float32) a second thread, which begins 10 us later, saves nothing.
WORTH_A_THREAD = 1 << 21
# The same for what is made number by number or row by row, in bytes of the result: relu of so many in float32 takes
# 40 us, two threads 20, and 90 if the second was asleep.
BYTES_WORTH_A_THREAD = 1 << 20
# Rows, inputs and outputs from which a product is made on the CPU's matrix unit: 512 cubed takes 0.7 to 0.8 of the
# time, 256 cubed 0.85 to 1.03, 1000 rows, 784-64, up to 1.3.
LEAST_ON_UNIT = 256
# From this many rows of X on W is brought together in panels before its use.
WORTH_PACKING = 64
# Scratch memory up to this size is kept from call to call.
KEPT_BYTES = 1 << 25


# --- matmul


def matmul_bias(
    x: ArrayLike, w: ArrayLike, b: ArrayLike, out: Array | None = None, *, threads: int | None = None
) -> Array:
    """Z = X @ W + b. x (m, K), w (K, N), b (N,) -> (m, N)."""
    X, W, bias = _arrays(x=x, w=w, b=b)
    m, K, N = _matmul_sizes(X, W)
    _expect("b", bias, (N,))
    Z = _result(out, X, W, bias, shape=(m, N))
    flat = [array.reshape(-1) for array in (X, W, bias, Z)]
    if _made_on_unit(matmul_thirds.matmul_bias, threads, flat, m, K, N):
        return _deliver(Z, out)
    number = _threads(threads, m * K * N / WORTH_A_THREAD, -(-max(m, N) // STRIP))
    packed = _packed_size(K, N) if m >= WORTH_PACKING else 0
    scratch = _scratch(X.dtype, *[packed] * number, *[ROWS * STRIDE] * number)
    _together(matmul.matmul_bias, number, *flat, m, K, N, own=[scratch[:number], scratch[number:]])
    return _deliver(Z, out)


def matmul_bias_backward(
    dz: ArrayLike, x: ArrayLike, w: ArrayLike, *, threads: int | None = None
) -> tuple[Array, Array, Array]:
    """dX = dZ @ W.T, dW = X.T @ dZ, db = sum of dZ's rows. dz (m, N), x (m, K), w (K, N) -> (m, K), (K, N), (N,)."""
    dZ, X, W = _arrays(dz=dz, x=x, w=w)
    m, K, N = _matmul_sizes(X, W)
    _expect("dz", dZ, (m, N))
    dX, dW, db = np.empty((m, K), X.dtype), np.empty((K, N), X.dtype), np.empty(N, X.dtype)
    flat = [array.reshape(-1) for array in (dZ, X, W, np.zeros(max(K, N), X.dtype), dX, dW, db)]
    if _made_on_unit(matmul_thirds.matmul_bias_backward, threads, flat, m, K, N):
        return dX, dW, db
    number = _threads(threads, 2 * m * K * N / WORTH_A_THREAD, -(-K // STRIP))
    most = max(_packed_size(N, K), _packed_size(m, N))
    scratch = _scratch(X.dtype, *[most] * number, *[ROWS * STRIDE] * number)
    _together(matmul.matmul_bias_backward, number, *flat, m, K, N, own=[scratch[:number], scratch[number:]])
    return dX, dW, db


def _made_on_unit(kernel: Any, threads: int | None, flat: list[Array], m: int, K: int, N: int) -> bool:
    """Whether a product was made on the matrix unit: where that is faster, and right."""
    if flat[0].dtype != SINGLE or min(m, K, N) < LEAST_ON_UNIT or not matrix_unit.available():
        return False
    number = _threads(threads, 1, -(-max(m, K, N) // TALL))
    strange, words = np.zeros(number, np.bool_), _scratch(SINGLE, *[matmul_thirds.WORDS] * number)
    _together(kernel, number, *flat, m, K, N, strange, own=[words])
    return not strange.any()


# --- activations


def relu(z: ArrayLike, out: Array | None = None, *, threads: int | None = None) -> Array:
    """max(z, 0), for z of any shape."""
    return _activation(activations.RELU, z, out, threads)


def relu_backward(da: ArrayLike, a: ArrayLike, out: Array | None = None, *, threads: int | None = None) -> Array:
    """dz = da where a > 0, else 0; a is what `relu` returned."""
    return _activation_backward(activations.RELU, da, a, out, threads)


def sigmoid(z: ArrayLike, out: Array | None = None, *, threads: int | None = None) -> Array:
    """1 / (1 + exp(-z)), for z of any shape."""
    return _activation(activations.SIGMOID, z, out, threads)


def sigmoid_backward(da: ArrayLike, a: ArrayLike, out: Array | None = None, *, threads: int | None = None) -> Array:
    """dz = da * a * (1 - a); a is what `sigmoid` returned."""
    return _activation_backward(activations.SIGMOID, da, a, out, threads)


def tanh(z: ArrayLike, out: Array | None = None, *, threads: int | None = None) -> Array:
    """tanh(z), for z of any shape."""
    return _activation(activations.TANH, z, out, threads)


def tanh_backward(da: ArrayLike, a: ArrayLike, out: Array | None = None, *, threads: int | None = None) -> Array:
    """dz = da * (1 - a**2); a is what `tanh` returned."""
    return _activation_backward(activations.TANH, da, a, out, threads)


def softmax(z: ArrayLike, out: Array | None = None, *, threads: int | None = None) -> Array:
    """exp(z) / sum(exp(z)) of every row, shifted by its maximum. z (m, N) -> (m, N)."""
    (Z,) = _arrays(z=z)
    m, N = _rows("z", Z)
    P = _result(out, Z)
    number = _threads(threads, Z.nbytes / BYTES_WORTH_A_THREAD, m)
    rooms = _scratch(Z.dtype, *[_room_size(N)] * number)
    _together(softmax_kernels.softmax_together, number, Z.reshape(-1), P.reshape(-1), m, N, own=[rooms])
    return _deliver(P, out)


def softmax_backward(dp: ArrayLike, p: ArrayLike, out: Array | None = None, *, threads: int | None = None) -> Array:
    """dz = p * (dp - sum of p * dp over a row); p (m, N) is what `softmax` returned."""
    dP, P = _arrays(dp=dp, p=p)
    m, N = _rows("p", P)
    _expect("dp", dP, P.shape)
    dZ = _result(out, P, dP)
    number = _threads(threads, P.nbytes / BYTES_WORTH_A_THREAD, m)
    flat = [array.reshape(-1) for array in (P, dP, dZ)]
    _together(softmax_kernels.softmax_backward_together, number, *flat, m, N)
    return _deliver(dZ, out)


# --- losses


def softmax_cross_entropy(z: ArrayLike, labels: ArrayLike, *, threads: int | None = None) -> tuple[Array, Array]:
    """Every row's loss log(sum(exp(z))) - z[label] (m,), and dz of their mean (m, N). z (m, N), labels (m,)."""
    (Z,) = _arrays(z=z)
    m, N = _rows("z", Z)
    wanted = np.array(as_array("labels", labels), order="C")  # which nobody changes once they are checked
    if wanted.dtype.kind not in "bui":
        raise TypeError(f"labels has dtype {wanted.dtype}; expected integers.")
    _expect("labels", wanted, (m,))
    if m and not (wanted.min() >= 0 and wanted.max() < N):
        row = int(np.flatnonzero((wanted < 0) | (wanted >= N))[0])
        raise ValueError(f"labels holds {wanted[row]} in row {row}; expected 0 to {N - 1}.")
    return _loss(losses.SOFTMAX, Z, wanted.astype(np.int64, copy=False), np.empty(0, Z.dtype), threads)


def binary_cross_entropy(z: ArrayLike, y: ArrayLike, *, threads: int | None = None) -> tuple[Array, Array]:
    """Every row's loss max(z, 0) - z * y + log(1 + exp(-|z|)), summed (m,), and dz of their mean (m, N)."""
    return _loss_of_targets(losses.BINARY, z, y, threads)


def squared_error(z: ArrayLike, y: ArrayLike, *, threads: int | None = None) -> tuple[Array, Array]:
    """Every row's loss (z - y)**2 / 2, summed over its outputs (m,), and dz of their mean (m, N)."""
    return _loss_of_targets(losses.SQUARED, z, y, threads)


def _loss_of_targets(loss: int, z: ArrayLike, y: ArrayLike, threads: int | None) -> tuple[Array, Array]:
    Z, Y = _arrays(z=z, y=y)
    _rows("z", Z)
    _expect("y", Y, Z.shape)
    return _loss(loss, Z, np.empty(0, np.int64), Y.reshape(-1), threads)


def _loss(loss: int, Z: Array, labels: Array, targets: Array, threads: int | None) -> tuple[Array, Array]:
    """Losses and dZ of the loss with this number in kernels/losses.py, which looks at the labels or at the targets."""
    m, N = Z.shape
    dZ, rows = np.empty_like(Z), np.empty(m)
    number = _threads(threads, Z.nbytes / BYTES_WORTH_A_THREAD, m)
    flat_z, flat_dz, rooms = Z.reshape(-1), dZ.reshape(-1), _scratch(Z.dtype, *[_room_size(N)] * number)
    rest = labels, targets, 1 / max(m, 1), 0.0, rows
    _together(losses.loss_together, number, loss, flat_z, flat_dz, m, N, *rest, own=[rooms])
    return rows, dZ


# --- checks


def _arrays(**arguments: ArrayLike) -> list[Array]:
    """Every argument as a C-contiguous, writeable array of one dtype: what kernels are compiled for."""
    given: list[Any] = list(arguments.values())
    if all(type(value) is np.ndarray and value.dtype is given[0].dtype and value.flags.carray for value in given) and (
        given[0].dtype is SINGLE or given[0].dtype is DOUBLE
    ):
        return given  # what follows would take 5 us to say the same of three arrays, and a product of 64 rows 150
    arrays = [as_array(name, value) for name, value in arguments.items()]
    dtype: np.dtype[Any] = SINGLE
    for name, array in zip(arguments, arrays, strict=True):
        kind = array.dtype.kind
        if kind not in "buif":
            raise TypeError(f"{name} has dtype {array.dtype}; expected real numbers.")
        if kind == "f" and array.itemsize >= 8:
            dtype = DOUBLE
    return [array if _is_plain(array, dtype) else np.require(array, dtype, ["C", "W", "A"]) for array in arrays]


def _is_plain(array: Array, dtype: np.dtype[Any]) -> bool:
    flags = array.flags
    return array.dtype == dtype and array.dtype.isnative and flags.carray


def _expect(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; expected {shape}.")


def _matmul_sizes(X: Array, W: Array) -> tuple[int, int, int]:
    for name, array in (("x", X), ("w", W)):
        if array.ndim != 2:
            raise ValueError(f"{name} has shape {array.shape}; expected two dimensions.")
    if X.shape[1] != W.shape[0]:
        raise ValueError(
            f"x has {X.shape[1]} columns and w {W.shape[0]} rows; expected as many of one as of the other."
        )
    return X.shape[0], X.shape[1], W.shape[1]


def _rows(name: str, array: Array) -> tuple[int, int]:
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"{name} has shape {array.shape}; expected two dimensions, (rows, at least one column).")
    return array.shape[0], array.shape[1]


def _result(out: Array | None, *inputs: Array, shape: tuple[int, ...] | None = None) -> Array:
    """Where to write: `out` if it was given and is no input's memory, else a new array; of the first input's shape."""
    dtype, expected = inputs[0].dtype, inputs[0].shape if shape is None else shape
    if out is None:
        return np.empty(expected, dtype)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}; expected an array.")
    if out.shape != expected or out.dtype != dtype:
        raise ValueError(f"out has shape {out.shape} and dtype {out.dtype}; expected {expected} and {dtype}.")
    if not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
        raise ValueError("out is strided or read-only; expected a C-contiguous, writeable array.")
    if isinstance(out, np.matrix | np.ma.MaskedArray):  # which kernels do not take
        return np.empty(expected, dtype)
    own = out.flags.owndata
    for array in inputs:
        # Two arrays that own their memory share none: a fifth of the time it takes to ask.
        if (array is out or not own or not array.flags.owndata) and np.may_share_memory(out, array):
            return np.empty(expected, dtype)
    return out


def _deliver(result: Array, out: Array | None) -> Array:
    if out is None or result is out:
        return result
    np.copyto(out, result)
    return out


# --- running


def _threads(threads: int | None, work: float, parts: int) -> int:
    """How many threads to use: one if the work is below 1, and no more than there are parts."""
    return thread_count(threads, max(1, parts) if work >= 1 else 1)


def _together(kernel: Any, number: int, *arguments: Any, own: Sequence[Sequence[Array]] = ()) -> None:
    """kernel(t, threads, control, *arguments) in so many threads; after the arguments comes what is thread t's own."""
    team.run(
        lambda t, threads, control: kernel(t, threads, control, *arguments, *[arrays[t] for arrays in own]), number
    )


_kept = threading.local()


def _scratch(dtype: np.dtype[Any], *sizes: int) -> list[Array]:
    """Arrays of these sizes, kept for this Python thread's next call: new memory costs as much as a small product, and
    dividing it 5 us."""
    kept = _kept.__dict__.get(dtype.char)  # its name would take 1.7 us
    if kept is not None and kept[0] == sizes:
        arrays: list[Array] = kept[1]
        return arrays
    starts = [0, *itertools.accumulate([-(-size // ALIGNMENT) * ALIGNMENT for size in sizes])]
    memory = aligned(starts[-1], dtype) if kept is None or kept[2].size < starts[-1] else kept[2]
    arrays = [memory[start : start + size] for start, size in zip(starts, sizes, strict=False)]
    if memory.nbytes <= KEPT_BYTES:
        _kept.__dict__[dtype.char] = sizes, arrays, memory
    return arrays


def _packed_size(K: int, N: int) -> int:
    """Numbers of a (K, N) matrix in panels of two registers at most, whatever the dtype."""
    return K * (-(-N // PADDING) * PADDING)


def _room_size(N: int) -> int:
    """Numbers of scratch for rows of N, whatever the dtype; see kernels/softmax.py."""
    return (N + softmax_kernels.ROOM) * PADDING


def _activation(activation: int, z: ArrayLike, out: Array | None, threads: int | None) -> Array:
    (Z,) = _arrays(z=z)
    A = _result(out, Z)
    _elementwise(activations.activate_together, activation, (Z, A), threads)
    return _deliver(A, out)


def _activation_backward(activation: int, da: ArrayLike, a: ArrayLike, out: Array | None, threads: int | None) -> Array:
    dA, A = _arrays(da=da, a=a)
    _expect("da", dA, A.shape)
    dZ = _result(out, A, dA)
    _elementwise(activations.activate_backward_together, activation, (A, dA, dZ), threads)
    return _deliver(dZ, out)


def _elementwise(kernel: Any, activation: int, arrays: tuple[Array, ...], threads: int | None) -> None:
    number = _threads(threads, arrays[0].nbytes / BYTES_WORTH_A_THREAD, arrays[0].size)
    _together(kernel, number, activation, *[array.reshape(-1) for array in arrays])
