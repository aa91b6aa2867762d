"""Softmax, a function of a row of N numbers. Reference: `softmax` in fastnn/functions.py.

As many rows as a register has lanes go at once, column by column: 16 ns for a row of 10 float32, a third of what it
takes row by row. `room` holds them as [N][lanes], and ROOM registers more for what there is one of a row.
"""

from __future__ import annotations

from typing import Any

from .compiling.compile import Array, entry, kernel
from .panels import Matrix, transpose
from .simd.arithmetic import multiply_add, sum_lanes, where
from .simd.exponential import exp
from .simd.partial import load_first, store_first
from .simd.vectors import full, lanes, load, store
from .sync import begin_together, end_together, share

ROOM = 3


@kernel
def gather(z: Array, begin: int, rows: int, N: int, room: Array) -> None:
    """Bring so many rows, which begin there, into room."""
    transpose(rows, N, Matrix(z, begin, N, 1), Matrix(room, 0, lanes(z), 1))


@kernel
def largest_of(room: Array, N: int) -> Any:
    """The largest z of each row."""
    width, largest = lanes(room), load(room, 0, 1)
    for j in range(width, N * width, width):
        z = load(room, j, 1)
        largest = where(z > largest, z, largest)
    return largest


@kernel
def exponentials(room: Array, N: int, largest: Any) -> Any:
    """exp(z - largest) in place of every z; returns the sum of each row's."""
    width, whole = lanes(room), full(room, 0.0, 1)
    for j in range(0, N * width, width):
        e = exp(load(room, j, 1) - largest)
        store(room, j, e)
        whole = whole + e
    return whole


@kernel
def scatter(room: Array, N: int, out: Array, begin: int, rows: int) -> None:
    """Bring what is in room to rows that begin there."""
    transpose(N, rows, Matrix(room, 0, lanes(room), 1), Matrix(out, begin, N, 1))


@kernel
def softmax(z: Array, p: Array, offset: int, rows: int, N: int, room: Array) -> None:
    """p = exp(z - largest) / sum(exp(z - largest)) for every row of N."""
    width = lanes(z)
    for i in range(0, rows, width):
        begin, high = offset + i * N, min(width, rows - i)
        gather(z, begin, high, N, room)
        factor = 1.0 / exponentials(room, N, largest_of(room, N))
        for j in range(0, N * width, width):
            store(room, j, load(room, j, 1) * factor)
        scatter(room, N, p, begin, high)


@kernel
def softmax_backward(p: Array, dp: Array, dz: Array, offset: int, rows: int, N: int) -> None:
    """dz = p * (dp - sum(p * dp)) for every row of N."""
    width = lanes(p)
    for i in range(rows):
        begin = offset + i * N
        total = full(p, 0.0, 1)
        for j in range(begin, begin + N, width):
            n = min(width, begin + N - j)
            total = multiply_add(load_first(p, j, n, 0.0, 1), load_first(dp, j, n, 0.0, 1), total)
        mean = sum_lanes(total)
        for j in range(begin, begin + N, width):
            n = min(width, begin + N - j)
            store_first(dz, j, n, load_first(p, j, n, 0.0, 1) * (load_first(dp, j, n, 0.0, 1) - mean))


@entry
def softmax_together(t: int, threads: int, control: Array, z: Array, p: Array, rows: int, N: int, room: Array) -> None:
    """Thread t's rows of p = softmax(z). room: scratch of its own."""
    begin_together(control, t)
    begin, end = share(rows, lanes(z), t, threads)
    softmax(z, p, begin * N, end - begin, N, room)
    end_together(control, t, threads)


@entry
def softmax_backward_together(
    t: int, threads: int, control: Array, p: Array, dp: Array, dz: Array, rows: int, N: int
) -> None:
    """Thread t's rows of dz, see softmax_backward."""
    begin_together(control, t)
    begin, end = share(rows, lanes(p), t, threads)
    softmax_backward(p, dp, dz, begin * N, end - begin, N)
    end_together(control, t, threads)
