"""Register tiles: tuples of vectors, one a row, that stay in registers while a matrix product is made of them."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from .compiling.compile import intrinsic
from .simd.partial import HAS_MASKS, load_lanes, masked_load, masked_store, store_lanes
from .simd.vectors import REGISTER_BYTES, Vector, bytes_of, llvm_first, llvm_multiply_add, llvm_vector, splat, vector_of


def _tile_of(array: types.Type, rows: types.Type, registers: types.Type) -> types.UniTuple | None:
    vector = vector_of(array, registers)
    if vector is None or not isinstance(rows, types.IntegerLiteral):
        return None
    return types.UniTuple(vector, rows.literal_value)


@intrinsic
def load_tile(
    typing: Any,
    array: types.Type,
    index: types.Type,
    stride: types.Type,
    columns: types.Type,
    rows: types.Type,
    registers: types.Type,
) -> Any:
    """`rows` vectors from flat `index` on, `stride` apart; only the first `columns` lanes of each are read."""
    tile = _tile_of(array, rows, registers)
    if tile is None:
        return None

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data, at, places = context.make_array(sig.args[0])(context, builder, args[0]).data, args[1], []
        for _ in range(tile.count):
            places.append(builder.gep(data, [at]))
            at = builder.add(at, args[2])
        return context.make_tuple(builder, tile, load_lanes(builder, tile.dtype, places, args[3]))

    return tile(array, types.intp, types.intp, types.intp, rows, registers), generate


@intrinsic
def store_tile(
    typing: Any, array: types.Type, index: types.Type, stride: types.Type, columns: types.Type, tile: types.UniTuple
) -> Any:
    """Every row's first `columns` lanes go to flat `index` and on, `stride` apart."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data, at, places = context.make_array(sig.args[0])(context, builder, args[0]).data, args[1], []
        rows = cgutils.unpack_tuple(builder, args[4])
        for _ in rows:
            places.append(builder.gep(data, [at]))
            at = builder.add(at, args[2])
        store_lanes(builder, tile.dtype, places, args[3], rows)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.intp, tile), generate


@intrinsic
def row_offsets(typing: Any, array: types.Type, stride: types.Type, rows: types.Type) -> Any:
    """Where `rows` rows of the array begin that are `stride` apart: a tuple of bytes. LLVM knows nothing of them if the
    stride is no constant.

    It would go from row to row by adding, inside the loop: 39 instructions for 16 multiply-adds, not 32, and 4% slower.
    Even rows are odd ones shifted, which an address can hold: so 16 rows need 8 registers. With 15 there were not
    enough: a tile of 16 rows and one register made 100 GFLOP/s, now 165.
    """
    if not isinstance(rows, types.IntegerLiteral):
        return None
    offsets = types.UniTuple(types.intp, rows.literal_value)
    if isinstance(stride, types.IntegerLiteral):
        known = [row * stride.literal_value * bytes_of(array.dtype) for row in range(offsets.count)]
        return offsets(array, stride, rows), lambda context, builder, sig, args: context.make_tuple(
            builder, offsets, [context.get_constant(types.intp, offset) for offset in known]
        )

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind, numbers = args[1].type, [ir.Constant(args[1].type, 0)]
        opaque = ir.FunctionType(kind, [kind])
        for row in range(1, offsets.count):
            if row % 2 == 1:
                begin = builder.mul(args[1], kind(row * bytes_of(array.dtype)))
                numbers.append(builder.asm(opaque, "", "=r,0", [begin], side_effect=False))
            else:
                numbers.append(builder.shl(numbers[row // 2], kind(1)))
        return context.make_tuple(builder, offsets, numbers)

    return offsets(array, types.intp, rows), generate


@intrinsic
def outer_add(
    typing: Any, array: types.Type, index: types.Type, offsets: types.Type, vector: Vector, tile: types.Type
) -> Any:
    """tile[r] + x * vector for every row r, where x is what lies offsets[r] bytes after array[index]: a rank-1 update,
    the inner loop of a matmul."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = builder.gep(context.make_array(sig.args[0])(context, builder, args[0]).data, [args[1]])
        first = builder.bitcast(data, ir.IntType(8).as_pointer())
        starts, rows = (cgutils.unpack_tuple(builder, numbers) for numbers in (args[2], args[4]))
        scalars = [builder.load(builder.bitcast(builder.gep(first, [start]), data.type)) for start in starts]
        added = [
            llvm_multiply_add(builder, splat(builder, scalar, vector.lanes), args[3], row)
            for scalar, row in zip(scalars, rows, strict=True)
        ]
        return context.make_tuple(builder, sig.return_type, added)

    return tile(array, types.intp, offsets, vector, tile), generate


# --- square tiles, as many rows as a register has lanes


@intrinsic
def load_square(
    typing: Any, array: types.Type, index: types.Type, stride: types.Type, rows: types.Type, columns: types.Type
) -> Any:
    """The first `rows` rows and `columns` columns of a square tile, its rows `stride` apart; zero elsewhere."""
    vector = Vector(array.dtype, REGISTER_BYTES // bytes_of(array.dtype))
    tile = types.UniTuple(vector, vector.lanes)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data, at = context.make_array(sig.args[0])(context, builder, args[0]).data, args[1]
        whole = llvm_first(builder, args[4], vector.lanes)
        zero = ir.Constant(llvm_vector(vector), [0.0] * vector.lanes)
        loaded = []
        for row in range(vector.lanes):
            here = builder.icmp_signed(">", args[3], args[3].type(row))
            mask = builder.and_(whole, splat(builder, here, vector.lanes))
            loaded.append(masked_load(builder, builder.gep(data, [at]), vector, mask, zero))
            at = builder.add(at, args[2])
        return context.make_tuple(builder, tile, loaded)

    return tile(array, types.intp, types.intp, types.intp, types.intp), generate


@intrinsic
def store_square(
    typing: Any,
    array: types.Type,
    index: types.Type,
    stride: types.Type,
    rows: types.Type,
    columns: types.Type,
    tile: Any,
) -> Any:
    """Where load_square reads; the rest of memory is not touched."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data, at = context.make_array(sig.args[0])(context, builder, args[0]).data, args[1]
        whole = llvm_first(builder, args[4], tile.dtype.lanes)
        for row, value in enumerate(cgutils.unpack_tuple(builder, args[5])):
            here = builder.icmp_signed(">", args[3], args[3].type(row))
            place = builder.gep(data, [at])
            if HAS_MASKS:
                mask = builder.and_(whole, splat(builder, here, tile.dtype.lanes))
                masked_store(builder, place, tile.dtype, mask, value)
            else:
                store_lanes(builder, tile.dtype, [place], builder.select(here, args[4], args[4].type(0)), [value])
            at = builder.add(at, args[2])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.intp, types.intp, tile), generate


def exchanged(builder: Any, low: Any, high: Any, bit: int) -> list[Any]:
    """Two rows whose numbers differ in one bit, after it has changed places with the same bit of the column numbers."""
    count = low.type.count
    first = [lane if not lane & bit else count + lane - bit for lane in range(count)]
    second = [lane + bit if not lane & bit else count + lane for lane in range(count)]
    return [
        builder.shuffle_vector(low, high, ir.Constant(ir.VectorType(ir.IntType(32), count), chosen))
        for chosen in (first, second)
    ]


def exchange_all(builder: Any, rows: list[Any]) -> None:
    """The same with one bit of the rows' numbers after the other, and the lowest of the columns': as many rows as there
    are columns are transposed."""
    bit = 1
    while bit < len(rows):
        for low in (row for row in range(len(rows)) if not row & bit):
            rows[low], rows[low | bit] = exchanged(builder, rows[low], rows[low | bit], bit)
        bit *= 2


@intrinsic
def transposed(typing: Any, tile: Any) -> Any:
    """A square tile's transpose, in registers: one bit of row and column numbers changes places after the other."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        rows = list(cgutils.unpack_tuple(builder, args[0]))
        exchange_all(builder, rows)
        return context.make_tuple(builder, tile, rows)

    return tile(tile), generate


@intrinsic
def inner_products(
    typing: Any,
    array: types.Type,
    index: types.Type,
    stride: types.Type,
    rows: types.Type,
    columns: types.Type,
    vector: Vector,
) -> Any:
    """Lane r: row r, `stride` apart from the next, times the vector, the first `columns` of both; for as many rows as a
    register has lanes, the last again where there are but so many `rows`."""
    register = Vector(array.dtype, REGISTER_BYTES // bytes_of(array.dtype))
    lanes = register.lanes

    def part(builder: Any, whole: Any, begin: int) -> Any:
        chosen = ir.Constant(ir.VectorType(ir.IntType(32), lanes), list(range(begin, begin + lanes)))
        return builder.shuffle_vector(whole, whole, chosen)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data, last = (
            context.make_array(sig.args[0])(context, builder, args[0]).data,
            builder.sub(args[3], args[3].type(1)),
        )
        mask, zero = llvm_first(builder, args[4], vector.lanes), ir.Constant(llvm_vector(vector), [0.0] * vector.lanes)
        sums = []
        for row in range(lanes):
            here = builder.icmp_signed("<", last.type(row), last)
            at = builder.add(args[1], builder.mul(args[2], builder.select(here, last.type(row), last)))
            loaded = masked_load(builder, builder.gep(data, [at]), vector, mask, zero)
            total = ir.Constant(llvm_vector(register), [0.0] * lanes)
            for begin in range(0, vector.lanes, lanes):
                total = llvm_multiply_add(builder, part(builder, loaded, begin), part(builder, args[5], begin), total)
            sums.append(total)
        bit = 1
        while bit < lanes:  # half as many rows, of sums that are half as long
            sums = [builder.fadd(*exchanged(builder, *pair, bit)) for pair in zip(sums[::2], sums[1::2], strict=True)]
            bit *= 2
        return sums[0]

    return register(array, types.intp, types.intp, types.intp, types.intp, vector), generate
