"""Matrices as lists of the numbers that are not zero, and from lists of rows to lists of columns."""

from __future__ import annotations

from typing import NamedTuple

from .compiling.compile import Array, entry, kernel, noinline
from .network import LINE
from .simd.vectors import item, prefetch_later, set_item
from .sync import share


class Lists(NamedTuple):
    """The numbers of a matrix that are not zero: lists of them, one a row, or one a column.

    starts (lists + 1,): list i's entries are starts[i]..starts[i + 1]. places (entries,): an entry's column, or its
    row, ascending in a list. codes (entries,) uint8 and table (256,): entry j is table[codes[j]]; or values (entries,).
    """

    starts: Array
    places: Array
    codes: Array
    values: Array
    table: Array


@kernel
def prefetch_list(lists: Lists, i: int) -> None:
    """Ask for list i's entries."""
    places, codes, values = lists.places, lists.codes, lists.values
    begin, end = lists.starts[i], lists.starts[i + 1]
    for j in range(begin, end, LINE // places.itemsize):
        prefetch_later(places, j)
    if len(codes) > 0:
        for j in range(begin, end, LINE):
            prefetch_later(codes, j)
    else:
        for j in range(begin, end, LINE // values.itemsize):
            prefetch_later(values, j)


@kernel
def first_from(places: Array, begin: int, end: int, place: int) -> int:
    """The first of the entries begin..end, whose places ascend, that is not before `place`."""
    if begin == end or item(places, end - 1) < place:  # mostly all are asked for, or those of half the columns
        return end
    while begin < end and item(places, begin) < place:
        middle = (begin + end) // 2
        if item(places, middle) < place:
            begin = middle + 1
        else:
            end = middle
    return begin


@noinline
def flip(
    lists: Lists, numbers: Array, count: int, first: int, last: int, cuts: Array, out: Lists, start0: int, base: int
) -> None:
    """From rows to columns, by counting: columns first..last of the rows numbers[:count], which become rows 0..count.

    Column k's list is number start0 + k - first of `out`, the entries of the first one go to `base` and on.
    cuts (2 * count,): scratch.
    """
    starts, places, codes, values = lists.starts, lists.places, lists.codes, lists.values
    out_starts, out_places, out_codes, out_values = out.starts, out.places, out.codes, out.values
    coded, at = len(codes) > 0, start0 - first
    for k in range(start0, start0 + last - first):
        out_starts[k] = 0
    for i in range(count):
        begin = first_from(places, starts[numbers[i]], starts[numbers[i] + 1], first)
        end = first_from(places, begin, starts[numbers[i] + 1], last)
        cuts[2 * i], cuts[2 * i + 1] = begin, end
        for j in range(begin, end):
            k = at + item(places, j)
            set_item(out_starts, k, item(out_starts, k) + 1)
    total = base
    for k in range(start0, start0 + last - first):
        total += out_starts[k]
        out_starts[k] = total
    out_starts[start0 + last - first] = total
    for i in range(count - 1, -1, -1):  # backwards, so that the ends that are there become starts
        for j in range(cuts[2 * i], cuts[2 * i + 1]):
            k = at + item(places, j)
            to = item(out_starts, k) - 1
            set_item(out_starts, k, to)
            set_item(out_places, to, i)
            if coded:
                set_item(out_codes, to, item(codes, j))
            else:
                set_item(out_values, to, item(values, j))


@entry
def flip_blocks(
    t: int, threads: int, rows: Lists, m: int, K: int, block: int, numbers: Array, cuts: Array, out: Lists
) -> None:
    """Thread t's blocks of rows, column by column: list b * (K + 1) + k is column k of block b. numbers (block,) and
    cuts (2 * block,): scratch."""
    blocks = (m + block - 1) // block
    first, last = share(blocks, 1, t, threads)
    for b in range(first, last):
        begin, end = b * block, min(m, (b + 1) * block)
        for i in range(begin, end):
            numbers[i - begin] = i
        flip(rows, numbers, end - begin, 0, K, cuts, out, b * (K + 1), rows.starts[begin])
