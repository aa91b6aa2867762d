"""The input layer from compressed rows: zeros are skipped. Reference: `matmul_bias` and `matmul_bias_backward`.

Every number is added in the same order as by the dense kernels, which add the zeros too: the bits are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .activations import activate
from .arithmetic import multiply_add
from .compile import Array, entry, kernel
from .matmul import Matrix
from .network import ACTIVATION, BIAS, INPUT, K_, N_, WEIGHTS, Network, Rows, panel_width, widen_row
from .simd import lanes, load, load_first, store, store_first
from .sync import share


class Compressed(NamedTuple):
    """The numbers of m rows that are not zero, twice: row by row, and for every block of rows column by column.

    starts (m + 1,): row i's entries are starts[i]..starts[i + 1]; columns (entries,) uint16, ascending in a row.
    block_starts (blocks * (K + 1),), rows (entries,) uint8: a block's entries by column; rows count within the block.
    codes, block_codes (entries,) uint8 and table (256,): entry j is table[codes[j]]; for features that are no uint8
    values and block_values (entries,) instead.
    """

    starts: Array
    columns: Array
    codes: Array
    values: Array
    block_starts: Array
    rows: Array
    block_codes: Array
    block_values: Array
    table: Array


# --- compressing


@entry
def count_nonzeros(t: int, threads: int, rows: Rows, m: int, K: int, line: Array, counts: Array) -> None:
    """counts[i] = how many of row i's K numbers are not zero, for thread t's rows. line (K,): scratch."""
    begin, end = share(m, 1, t, threads)
    for i in range(begin, end):
        widen_row(rows, i, line, 0, K)
        count = 0
        for k in range(K):
            count += line[k] != 0.0
        counts[i] = count


@entry
def compress_rows(t: int, threads: int, rows: Rows, m: int, K: int, line: Array, out: Compressed) -> None:
    """Thread t's rows, row by row; out.starts is filled already.

    Every number is written, and the next one over it if it was zero: no branch that the CPU could not foresee.
    """
    begin, end = share(m, 1, t, threads)
    for i in range(begin, end):
        widen_row(rows, i, line, 0, K)
        j, last, k = out.starts[i], out.starts[i + 1], 0
        while j < last and k < K:  # K, in case somebody writes to the data meanwhile
            out.columns[j] = k
            if len(out.codes) > 0:
                out.codes[j] = np.uint8(line[k])
            else:
                out.values[j] = line[k]
            j += line[k] != 0.0
            k += 1


@entry
def compress_blocks(t: int, threads: int, m: int, K: int, block: int, place: Array, out: Compressed) -> None:
    """Thread t's blocks of rows, column by column, by counting. place (K + 1,) int64: scratch."""
    blocks = (m + block - 1) // block
    first, last = share(blocks, 1, t, threads)
    for b in range(first, last):
        begin, end = b * block, min(m, (b + 1) * block)
        place[:] = 0
        for j in range(out.starts[begin], out.starts[end]):
            place[out.columns[j] + 1] += 1
        place[0] = out.starts[begin]
        for k in range(K):
            place[k + 1] += place[k]
        out.block_starts[b * (K + 1) : (b + 1) * (K + 1)] = place
        for i in range(begin, end):
            for j in range(out.starts[i], out.starts[i + 1]):
                to = place[out.columns[j]]
                place[out.columns[j]] += 1
                out.rows[to] = i - begin
                if len(out.codes) > 0:
                    out.block_codes[to] = out.codes[j]
                else:
                    out.block_values[to] = out.values[j]


# --- forward: Z[i, :] = b + the sum of x * W[k, :] over row i's entries


def _make_rows(registers: int, coded: bool) -> Callable[..., None]:
    @kernel
    def rows(
        c: Compressed,
        numbers: Array,
        begin: int,
        end: int,
        W: Array,
        panel: int,
        wide: int,
        bias: Any,
        Z: Matrix,
        N: int,
    ) -> None:
        """Rows begin..end of Z for one panel. Two at once as far as both have entries: one alone would have to wait for
        its own last addition."""
        columns, codes, values, table, starts, z = c.columns, c.codes, c.values, c.table, c.starts, Z.data
        for i in range(begin, end, 2):
            after = min(i + 1, end - 1)
            p, q = starts[numbers[i]], starts[numbers[after]]
            p_count, q_count = starts[numbers[i] + 1] - p, starts[numbers[after] + 1] - q
            common = min(p_count, q_count)
            zp, zq = bias, bias
            for j in range(common):
                xp = table[codes[p + j]] if coded else values[p + j]
                xq = table[codes[q + j]] if coded else values[q + j]
                zp = multiply_add(xp, load(W, panel + wide * columns[p + j], registers), zp)
                zq = multiply_add(xq, load(W, panel + wide * columns[q + j], registers), zq)
            for j in range(p + common, p + p_count):
                x = table[codes[j]] if coded else values[j]
                zp = multiply_add(x, load(W, panel + wide * columns[j], registers), zp)
            for j in range(q + common, q + q_count):
                x = table[codes[j]] if coded else values[j]
                zq = multiply_add(x, load(W, panel + wide * columns[j], registers), zq)
            store_first(z, Z.offset + i * Z.row, N, zp)
            store_first(z, Z.offset + after * Z.row, N, zq)

    return rows


_wide_rows, _narrow_rows = _make_rows(2, False), _make_rows(1, False)
_wide_coded_rows, _narrow_coded_rows = _make_rows(2, True), _make_rows(1, True)


@kernel
def first_layer(network: Network, c: Compressed, numbers: Array, values: Array, B: int, begin: int, end: int) -> None:
    """Places begin..end of a block of B, which hold rows numbers[begin:end], through the first layer."""
    params, layer = network.params, network.layers[0]
    K, N = layer[K_], layer[N_]
    z, n = B * network.layers[1, INPUT], 0
    while n < N:
        wide = panel_width(params, N - n)
        panel, bias, count = layer[WEIGHTS] + n * K, layer[BIAS] + n, min(wide, N - n)
        Z = Matrix(values, z + n, N, 1)
        if wide > lanes(params):
            start = load_first(params, bias, count, 0.0, 2)
            if len(c.codes) > 0:
                _wide_coded_rows(c, numbers, begin, end, params, panel, wide, start, Z, count)
            else:
                _wide_rows(c, numbers, begin, end, params, panel, wide, start, Z, count)
        else:
            start = load_first(params, bias, count, 0.0, 1)
            if len(c.codes) > 0:
                _narrow_coded_rows(c, numbers, begin, end, params, panel, wide, start, Z, count)
            else:
                _narrow_rows(c, numbers, begin, end, params, panel, wide, start, Z, count)
        n += wide
    activate(layer[ACTIVATION], values, values, z + begin * N, (end - begin) * N)


# --- backward: dW[k, :] = the sum of x * dZ[i, :] over column k's entries


def _make_columns(registers: int, coded: bool) -> Callable[..., None]:
    @kernel
    def columns(
        c: Compressed, first: int, K: int, dZ: Matrix, count: int, out: Array, panel: int, wide: int, fresh: bool
    ) -> None:
        """dW[k, :] for all columns k of a block, whose starts are from `first` on, within `count` columns of dZ."""
        rows, codes, values, table, starts, dz = c.rows, c.block_codes, c.block_values, c.table, c.block_starts, dZ.data
        offset, stride, full_panel = dZ.offset, dZ.row, count == registers * lanes(dZ.data)
        for k in range(K):
            dw = load_first(out, panel + k * wide, 0 if fresh else wide, 0.0, registers)
            if full_panel:
                for j in range(starts[first + k], starts[first + k + 1]):
                    x = table[codes[j]] if coded else values[j]
                    dw = multiply_add(x, load(dz, offset + stride * rows[j], registers), dw)
            else:
                for j in range(starts[first + k], starts[first + k + 1]):
                    x = table[codes[j]] if coded else values[j]
                    dw = multiply_add(x, load_first(dz, offset + stride * rows[j], count, 0.0, registers), dw)
            store(out, panel + k * wide, dw)

    return columns


_wide_columns, _narrow_columns = _make_columns(2, False), _make_columns(1, False)
_wide_coded_columns, _narrow_coded_columns = _make_columns(2, True), _make_columns(1, True)


@kernel
def add_block_gradient(
    network: Network, c: Compressed, block: int, dz: Array, dz0: int, out: Array, out0: int, fresh: bool
) -> None:
    """The first layer's dW over a block of rows, laid out as the parameters; added to what is there unless `fresh`."""
    K, N = network.layers[0, K_], network.layers[0, N_]
    n, first = 0, block * (K + 1)
    while n < N:
        wide = panel_width(out, N - n)
        panel, dZ, count = out0 + network.layers[0, WEIGHTS] + n * K, Matrix(dz, dz0 + n, N, 1), min(wide, N - n)
        if len(c.codes) > 0:
            if wide > lanes(out):
                _wide_coded_columns(c, first, K, dZ, count, out, panel, wide, fresh)
            else:
                _narrow_coded_columns(c, first, K, dZ, count, out, panel, wide, fresh)
        elif wide > lanes(out):
            _wide_columns(c, first, K, dZ, count, out, panel, wide, fresh)
        else:
            _narrow_columns(c, first, K, dZ, count, out, panel, wide, fresh)
        n += wide
