"""The solver "lbfgs": scipy's L-BFGS-B on the loss and gradient of all rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from sklearn.utils.optimize import _check_optimize_result

from ..trainer import Gradient

Array = NDArray[Any]


def pack(parameters: list[Array]) -> Array:
    """All weights, then all biases, as one vector of float64."""
    return np.concatenate([P.ravel() for P in parameters]).astype(np.float64)


def unpack(vector: Array, shapes: list[tuple[int, ...]]) -> list[Array]:
    """Arrays of these shapes: views of the vector."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(vector, ends[:-1]), shapes, strict=True)]


def evaluate(gradient: Gradient, vector: Array, shapes: list[tuple[int, ...]]) -> tuple[float, Array]:
    """The objective and its gradient, for packed parameters and packed."""
    value, parts = gradient(unpack(vector, shapes))
    return value, pack(parts)


def minimise(
    gradient: Gradient,
    parameters: list[Array],
    *,
    max_iter: int,
    max_fun: int,
    tol: float,
    after_iteration: Callable[[list[Array], float], bool],
) -> tuple[list[Array], float, int]:
    """The parameters found, the objective there, and the number of iterations; warns if that is not the minimum.

    after_iteration is told where it is, and ends the search by returning True.
    """
    shapes, stopped = [P.shape for P in parameters], False

    def callback(intermediate_result: Any) -> None:
        nonlocal stopped
        stopped = after_iteration(unpack(intermediate_result.x, shapes), float(intermediate_result.fun))
        if stopped:
            raise StopIteration

    result = scipy.optimize.minimize(
        lambda vector: evaluate(gradient, vector, shapes),
        pack(parameters),
        method="L-BFGS-B",
        jac=True,
        callback=callback,
        options={"maxiter": max_iter, "maxfun": max_fun, "gtol": tol},
    )
    iterations = result.nit if stopped else _check_optimize_result("lbfgs", result, max_iter)
    return unpack(result.x, shapes), float(result.fun), int(iterations)
