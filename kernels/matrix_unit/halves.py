"""Numbers as bfloat16, the upper halves of float32, two to a word: what the matrix unit multiplies."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from ..compiling.compile import intrinsic
from ..simd.vectors import Vector
from ..tiles import exchange_all
from .byte_rows import load_bytes, store_vector, words_of_columns
from .instructions import SIDE, runs

_BYTE, _HALF, _WORD = ir.IntType(8), ir.IntType(16), ir.IntType(32)

# 32 numbers pair after pair: see splitting.py.
PAIRED = [number + later for number in range(SIDE) for later in (0, SIDE)]


def _words(builder: Any, vector: Any) -> Any:
    size = {ir.FloatType(): 4, ir.IntType(8): 1}[vector.type.element]
    return builder.bitcast(vector, ir.VectorType(_WORD, vector.type.count * size // 4))


def _all(vector: Any, number: int) -> Any:
    return ir.Constant(vector.type, [number] * vector.type.count)


@intrinsic
def paired(typing: Any, low: Vector, high: Vector) -> Any:
    """Words of the upper halves of `low` and `high`, those of `high` on top."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if low.dtype != types.float32:
            return args[0]
        below, above = (_words(builder, vector) for vector in args)
        words = builder.or_(builder.lshr(below, _all(below, 16)), builder.and_(above, _all(above, 0xFFFF0000)))
        return builder.bitcast(words, args[0].type)

    return low(low, low), generate


@intrinsic
def rest(typing: Any, x: Vector) -> Any:
    """What x is more than its upper half: exact."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if x.dtype != types.float32:
            return args[0]
        words = _words(builder, args[0])
        return builder.fsub(args[0], builder.bitcast(builder.and_(words, _all(words, 0xFFFF0000)), args[0].type))

    return x(x), generate


def _from_bytes(builder: Any, numbers: Any) -> Any:
    """By way of float16, whose digits are five of exponent, from -15, and ten, of which three are zero for a byte;
    bfloat16 has eight, from -127, and seven."""
    wide, half = (ir.VectorType(kind, numbers.type.count) for kind in (_HALF, ir.HalfType()))
    digits = builder.bitcast(builder.uitofp(builder.zext(numbers, wide), half), wide)
    shifted = builder.add(builder.lshr(digits, _all(digits, 3)), _all(digits, (127 - 15) << 7))
    zero = ir.Constant(wide, None)
    return builder.select(builder.icmp_unsigned("!=", digits, zero), shifted, zero)


@intrinsic
def store_row(typing: Any, array: types.Type, index: types.Type, address: types.Type, count: types.Type) -> Any:
    """The first `count` of 32 bytes at a raw address, and zeros, from array[index] on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if runs(array):
            loaded = load_bytes(builder, args[2], args[3], 2 * SIDE)
            store_vector(builder, context, array, args[0], args[1], _from_bytes(builder, loaded))
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
    """The first `count` of 16 bytes, and zeros, of 32 rows numbers[first], numbers[first + 1] and so on, the last one
    again and again from `last` on, that lie `stride` apart: column after column, `apart` each, in pairs, from
    array[index] on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if not runs(array):
            return context.get_dummy_value()
        columns = [2 * (word % 8) + word // 8 for word in range(SIDE)]
        words = words_of_columns(context, builder, numbers, args[3:], PAIRED, columns)
        exchange_all(builder, words)
        at = args[1]
        for k in range(SIDE):
            both = builder.bitcast(words[k // 2], ir.VectorType(_BYTE, 4 * SIDE))
            chosen = [2 * SIDE * (k % 2) + i for i in range(2 * SIDE)]
            column = builder.shuffle_vector(both, both, ir.Constant(ir.VectorType(_WORD, 2 * SIDE), chosen))
            store_vector(builder, context, array, args[0], at, _from_bytes(builder, column))
            at = builder.add(at, args[2])
        return context.get_dummy_value()

    whole = [types.intp] * 2
    return types.void(array, *whole, numbers, *whole, types.intp, *whole), generate
