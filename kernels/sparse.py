"""The input layer from compressed rows: zeros are skipped. Reference: `matmul_bias` and `matmul_bias_backward` in
fastnn/reference.py.

Every number is added in the same order as by the dense kernels, which add the zeros too: the bits are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .compiling.compile import Array, kernel, noinline
from .lists import Lists, first_from
from .network import BIAS, K_, KEPT, N_, PANEL, WEIGHTS, Network
from .panels import Matrix, panel_width
from .simd.arithmetic import multiply_add
from .simd.partial import load_first, store_first
from .simd.vectors import full, item, lanes, load, set_item, store

# Registers of the widest panel: so many sums of a row of W or dW run at once, 1.8 times as fast as two by two.
WIDEST = 8

# Bytes of W that are used for all rows of a batch before the next, and stay in L1 meanwhile, and how many entries of a
# row they must meet to be worth it: 784 x 512, 128 rows of MNIST, 286 to 235 us.
NEAR, WORTH_A_VISIT = 3 << 14, 8


# --- the number that entry j stands for


@kernel
def coded(j: int, codes: Array, values: Array, table: Array) -> float:
    """Of lists whose numbers are codes."""
    number: float = item(table, item(codes, j))
    return number


@kernel
def plain(j: int, codes: Array, values: Array, table: Array) -> float:
    """Of others."""
    number: float = item(values, j)
    return number


# --- multiplying: out[i, :] = start[i, :] + the sum of x * B[place, :] over a list's entries


def _make_access(registers: int) -> tuple[Callable[..., Any], Callable[..., None]]:
    @kernel
    def read(data: Array, at: int, columns: int) -> Any:
        if columns == registers * lanes(data):
            return load(data, at, registers)
        return load_first(data, at, columns, 0.0, registers)

    @kernel
    def write(data: Array, at: int, columns: int, x: Any) -> None:
        if columns == registers * lanes(data):
            store(data, at, x)
        else:
            store_first(data, at, columns, x)

    return read, write


_ACCESS = {registers: _make_access(registers) for registers in (1, 2, 4, WIDEST)}


def _make_panel(registers: int, number_of: Callable[..., float]) -> Callable[..., None]:
    read, write = _ACCESS[registers]

    @kernel
    def add(acc: Any, begin: int, end: int, places: Array, codes: Array, values: Array, table: Array, B: Matrix) -> Any:
        """acc + the entries begin..end."""
        stride = registers * lanes(B.data)
        for j in range(begin, end):
            x = number_of(j, codes, values, table)
            acc = multiply_add(x, load(B.data, B.offset + stride * item(places, j), registers), acc)
        return acc

    @kernel
    def multiply(
        lists: Lists, numbers: Array, first: int, count: int, B: Matrix, start: Matrix, columns: int, out: Matrix
    ) -> None:
        """Lists first..first + count, or numbers[first] and on if there are any, times B, which is one panel. Only the
        first `columns` of the result are read or written."""
        starts, places, codes, values, table = lists.starts, lists.places, lists.codes, lists.values, lists.table
        chosen, stride, step = len(numbers) > 0, registers * lanes(B.data), 2 if registers < WIDEST else 1
        for i in range(0, count, step):
            # Two lists at once, as far as both go: one alone would have to wait for its own last addition.
            other = min(i + step, count) - 1
            p, q = first + i, first + other
            if chosen:
                p, q = numbers[p], numbers[q]
            p, p_end, q, q_end = starts[p], starts[p + 1], starts[q], starts[q + 1]
            p_acc = read(start.data, start.offset + i * start.row, columns)
            if step > 1:
                q_acc = read(start.data, start.offset + other * start.row, columns)
                for _ in range(min(p_end - p, q_end - q)):
                    x, y = number_of(p, codes, values, table), number_of(q, codes, values, table)
                    p_acc = multiply_add(x, load(B.data, B.offset + stride * item(places, p), registers), p_acc)
                    q_acc = multiply_add(y, load(B.data, B.offset + stride * item(places, q), registers), q_acc)
                    p, q = p + 1, q + 1
                q_acc = add(q_acc, q, q_end, places, codes, values, table, B)
                write(out.data, out.offset + other * out.row, columns, q_acc)
            p_acc = add(p_acc, p, p_end, places, codes, values, table, B)
            write(out.data, out.offset + i * out.row, columns, p_acc)

    return multiply


def _make_multiply(number_of: Callable[..., float]) -> Callable[..., None]:
    one, two, four, eight = (_make_panel(registers, number_of) for registers in _ACCESS)

    @noinline
    def multiply(
        lists: Lists, numbers: Array, first: int, count: int, B: Matrix, start: Matrix, columns: int, out: Matrix
    ) -> None:
        """The same for a panel of any width."""
        registers = B.row // lanes(B.data)
        if registers == 1:
            one(lists, numbers, first, count, B, start, columns, out)
        elif registers == 2:
            two(lists, numbers, first, count, B, start, columns, out)
        elif registers == 4:
            four(lists, numbers, first, count, B, start, columns, out)
        else:
            eight(lists, numbers, first, count, B, start, columns, out)

    return multiply


_multiply_coded, _multiply_plain = _make_multiply(coded), _make_multiply(plain)


@kernel
def multiply_lists(
    lists: Lists, numbers: Array, first: int, count: int, B: Matrix, start: Matrix, columns: int, out: Matrix
) -> None:
    """The same for lists of either kind: LLVM would ask in the loop which it is, 5 to 15% of an epoch."""
    if len(lists.codes) > 0:
        _multiply_coded(lists, numbers, first, count, B, start, columns, out)
    else:
        _multiply_plain(lists, numbers, first, count, B, start, columns, out)


def _make_some(number_of: Callable[..., float]) -> Callable[..., None]:
    read, write = _ACCESS[WIDEST]

    @kernel
    def some(
        lists: Lists,
        numbers: Array,
        cuts: Array,
        first: int,
        count: int,
        limit: int,
        B: Matrix,
        start: Matrix,
        columns: int,
        out: Matrix,
    ) -> None:
        """The same for the widest panel and those entries of lists numbers[first] and on, from cuts[first] and on,
        whose place is below `limit`; moves the cuts on."""
        starts, places, codes, values, table = lists.starts, lists.places, lists.codes, lists.values, lists.table
        stride = WIDEST * lanes(B.data)
        for i in range(count):
            p, end = item(cuts, first + i), item(starts, item(numbers, first + i) + 1)
            acc = read(start.data, start.offset + i * start.row, columns)
            while p < end and item(places, p) < limit:
                x = number_of(p, codes, values, table)
                acc = multiply_add(x, load(B.data, B.offset + stride * item(places, p), WIDEST), acc)
                p += 1
            set_item(cuts, first + i, p)
            write(out.data, out.offset + i * out.row, columns, acc)

    return some


_some_coded, _some_plain = _make_some(coded), _make_some(plain)


# --- the same from rows into columns: out[k, :] += x * dZ[i, :] over the entries of row i, for all rows


def _make_scatter(registers: int, number_of: Callable[..., float]) -> Callable[..., None]:
    @kernel
    def scatter(
        lists: Lists, numbers: Array, count: int, first: int, last: int, dZ: Array, out: Array, out0: int
    ) -> None:
        """dW[first:last] of the rows numbers[:count], from out0 on; dZ holds one panel, row after row."""
        starts, places, codes, values, table = lists.starts, lists.places, lists.codes, lists.values, lists.table
        wide = registers * lanes(dZ)
        for k in range(last - first):
            store(out, out0 + k * wide, full(out, 0.0, registers))
        for i in range(count):
            begin = first_from(places, starts[numbers[i]], starts[numbers[i] + 1], first)
            end = first_from(places, begin, starts[numbers[i] + 1], last)
            dz = load(dZ, i * wide, registers)
            for j in range(begin, end):
                to = out0 + (item(places, j) - first) * wide
                store(out, to, multiply_add(number_of(j, codes, values, table), dz, load(out, to, registers)))

    return scatter


_one_coded, _two_coded = _make_scatter(1, coded), _make_scatter(2, coded)
_one_plain, _two_plain = _make_scatter(1, plain), _make_scatter(2, plain)


@kernel
def scatter_rows(
    lists: Lists, numbers: Array, count: int, first: int, last: int, wide: int, dZ: Array, out: Array, out0: int
) -> None:
    """The same for a panel of one or two registers. Up to 32 columns of float32 this beats `flip` and `multiply_lists`,
    9 cycles an entry to 4; beyond, dW no longer stays in L1."""
    narrow, by_code = wide == lanes(dZ), len(lists.codes) > 0
    if narrow and by_code:
        _one_coded(lists, numbers, count, first, last, dZ, out, out0)
    elif narrow:
        _one_plain(lists, numbers, count, first, last, dZ, out, out0)
    elif by_code:
        _two_coded(lists, numbers, count, first, last, dZ, out, out0)
    else:
        _two_plain(lists, numbers, count, first, last, dZ, out, out0)


@kernel
def rows_of_w(lists: Lists, numbers: Array, begin: int, end: int, K: int, wide: int, W: Array) -> int:
    """How many rows of a panel of W to use for all lists numbers[begin:end] before the next: as many as stay in L1, or
    all K where the panel is narrow or the lists are short."""
    entries, rows = 0, NEAR // (wide * W.itemsize)
    for i in range(begin, end):
        entries += lists.starts[numbers[i] + 1] - lists.starts[numbers[i]]
    if wide < WIDEST * lanes(W) or entries * rows < WORTH_A_VISIT * K * (end - begin):
        return K
    return rows


@noinline
def first_layer(
    network: Network,
    lists: Lists,
    numbers: Array,
    cuts: Array,
    values: Array,
    B: int,
    begin: int,
    end: int,
    n: int,
    columns: int,
) -> None:
    """Z = X @ W + b for places begin..end of a block of B, which hold rows numbers[begin:end], and so many columns from
    n on, where a panel begins. cuts (B,): scratch."""
    layers, params, last = network.layers, network.params, n + columns
    K, N = layers[0, K_], layers[0, N_]
    while n < last:
        wide = panel_width(params, N - n, layers[0, PANEL])
        W = Matrix(params, layers[0, WEIGHTS] + n * K, wide, 1)
        start, Z = Matrix(params, layers[0, BIAS] + n, 0, 1), Matrix(values, B * layers[1, KEPT] + begin * N + n, N, 1)
        rows, width = rows_of_w(lists, numbers, begin, end, K, wide, params), min(wide, N - n)
        if rows == K:
            multiply_lists(lists, numbers, begin, end - begin, W, start, width, Z)
        else:
            for i in range(begin, end):
                cuts[i] = lists.starts[numbers[i]]
            for k in range(rows, K + rows, rows):
                if len(lists.codes) > 0:
                    _some_coded(lists, numbers, cuts, begin, end - begin, k, W, start, width, Z)
                else:
                    _some_plain(lists, numbers, cuts, begin, end - begin, k, W, start, width, Z)
                start = Z
        n += wide


@kernel
def add_columns(
    network: Network, columns: Lists, first: int, B: int, dZ: Array, out: Array, dw: int, fresh: bool
) -> None:
    """The first layer's dW from dw on, by the K lists of a block's columns, from list `first` on; added to what is
    there unless `fresh`. dZ holds B rows, packed."""
    K, N, n, numbers = network.layers[0, K_], network.layers[0, N_], 0, columns.starts[:0]
    while n < N:
        wide = panel_width(out, N - n, network.layers[0, PANEL])
        C, nothing = Matrix(out, dw + n * K, wide, 1), Matrix(network.zero, 0, 0, 1)
        panel = Matrix(dZ, n * B, wide, 1)
        multiply_lists(columns, numbers, first, K, panel, nothing if fresh else C, wide, C)
        n += wide
