"""Rows of bytes in somebody else's memory, and their columns, for the matrix unit: as they are, for products of bytes,
see fixed_point.py; halves.py makes bfloat16 numbers of them."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from ..compiling.compile import intrinsic
from ..simd.vectors import array_address, bytes_of, call, llvm_first
from ..tiles import exchange_all
from .instructions import SIDE, runs

_BYTE, _WORD = ir.IntType(8), ir.IntType(32)

# Bytes of a row of a register of the unit.
ROW_BYTES = 64


def load_bytes(builder: Any, address: Any, count: Any, most: int) -> Any:
    """The first `count` of so many bytes at a raw address, and zeros."""
    form = ir.VectorType(_BYTE, most)
    arguments = [builder.inttoptr(address, form.as_pointer()), _WORD(1), llvm_first(builder, count, most)]
    return call(builder, f"llvm.masked.load.v{most}i8.p0", form, [*arguments, ir.Constant(form, None)])


def store_vector(builder: Any, context: Any, array_type: types.Type, array: Any, index: Any, vector: Any) -> None:
    """To array[index], whatever its numbers are."""
    to = array_address(builder, context, array_type, array, index)
    builder.store(vector, builder.bitcast(to, vector.type.as_pointer())).align = bytes_of(array_type.dtype)


def words_of_columns(
    context: Any, builder: Any, numbers: types.Type, args: Any, rows: list[int], columns: list[int]
) -> list[Any]:
    """For LLVM: of every four of these rows a register of words, each of which holds their bytes of a column.

    args: the array of numbers, first, last, address, stride and count, as for store_columns.
    """
    array, first, last, address, stride, count = args
    place, most, loaded = array_address(builder, context, numbers, array, first), builder.sub(last, first), []
    for row in rows:
        chosen = builder.select(builder.icmp_signed("<", most.type(row), most), most.type(row), most)
        number = builder.load(builder.gep(place, [chosen]))
        start = builder.add(address, builder.mul(number, stride))
        loaded.append(load_bytes(builder, start, count, SIDE))
    for half in (SIDE, 2 * SIDE):  # joined two by two
        order = ir.Constant(ir.VectorType(_WORD, 2 * half), list(range(2 * half)))
        loaded = [builder.shuffle_vector(*pair, order) for pair in zip(loaded[::2], loaded[1::2], strict=True)]
    turned = ir.Constant(ir.VectorType(_WORD, 4 * SIDE), [row * SIDE + k for k in columns for row in range(4)])
    words = [builder.shuffle_vector(four, four, turned) for four in loaded]
    return [builder.bitcast(each, ir.VectorType(_WORD, SIDE)) for each in words]


@intrinsic
def store_row(typing: Any, array: types.Type, index: types.Type, address: types.Type, count: types.Type) -> Any:
    """The first `count` of ROW_BYTES bytes at a raw address, and zeros, from array[index] on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if runs(array):
            store_vector(builder, context, array, args[0], args[1], load_bytes(builder, args[2], args[3], ROW_BYTES))
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.intp), generate


@intrinsic
def store_columns(
    typing: Any,
    array: types.Type,
    index: types.Type,
    apart: types.Type,
    numbers: types.Type,
    first: types.Type,
    last: types.Type,
    address: types.Type,
    stride: types.Type,
    count: types.Type,
) -> Any:
    """The first `count` of 16 bytes, and zeros, of ROW_BYTES rows numbers[first], numbers[first + 1] and so on, the
    last one again and again from `last` on, that lie `stride` apart: column after column, `apart` each, from
    array[index] on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if not runs(array):
            return context.get_dummy_value()
        words = words_of_columns(context, builder, numbers, args[3:], list(range(ROW_BYTES)), list(range(SIDE)))
        exchange_all(builder, words)
        at = args[1]
        for column in words:
            store_vector(builder, context, array, args[0], at, column)
            at = builder.add(at, args[2])
        return context.get_dummy_value()

    whole = [types.intp] * 2
    return types.void(array, *whole, numbers, *whole, types.intp, *whole), generate
