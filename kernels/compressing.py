"""Rows of numbers into lists without their zeros, in two passes: how many there are, then which."""

from __future__ import annotations

from .compiling.compile import Array, entry, kernel
from .network import LINE, Rows
from .simd.bits import CHUNK, append, copy_numbers, count_bits, nonzero_bits
from .simd.vectors import prefetch_bytes_later, set_item
from .sync import share

# Bytes between what is asked for and what is read: without, MNIST took 7.2 ms rather than 5.4.
AHEAD = 2048


@kernel
def chunk_of(rows: Rows, i: int, k: int, K: int, line: Array) -> int:
    """The address of CHUNK numbers of row i from k on: in `line`, with zeros behind, if there are not so many left."""
    address = rows.address + i * rows.stride + k * line.itemsize
    for byte in range(AHEAD, AHEAD + CHUNK * line.itemsize, LINE):
        prefetch_bytes_later(address + byte)
    if k + CHUNK > K:
        address = copy_numbers(address, K - k, line)
    return address


@entry
def count_nonzeros(t: int, threads: int, rows: Rows, m: int, K: int, line: Array, like: Array, counts: Array) -> None:
    """counts[i] = how many of row i's K numbers are not zero as numbers of `like`, for thread t's rows.

    line: CHUNK zeros of the rows' dtype.
    """
    begin, end = share(m, 1, t, threads)
    for i in range(begin, end):
        count = 0
        for k in range(0, K, CHUNK):
            count += count_bits(nonzero_bits(chunk_of(rows, i, k, K, line), line, like))
        counts[i] = count


@entry
def compress_rows(
    t: int, threads: int, rows: Rows, m: int, K: int, line: Array, starts: Array, places: Array, numbers: Array
) -> None:
    """Thread t's rows as lists, which begin at `starts`: their numbers that are not zero, and the columns of these.

    line: as above.
    """
    begin, end = share(m, 1, t, threads)
    for i in range(begin, end):
        j, last = starts[i], starts[i + 1]
        for k in range(0, K, CHUNK):
            chunk = chunk_of(rows, i, k, K, line)
            bits = nonzero_bits(chunk, line, numbers)
            count = count_bits(bits)
            if j + count > last:  # somebody has written to the data since they were counted
                break
            append(chunk, line, k, bits, places, numbers, j)
            j += count
        for left in range(j, last):
            set_item(places, left, 0)
            set_item(numbers, left, 0)
