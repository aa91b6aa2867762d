"""Numbers of float64 as whole numbers of seven digits, which the matrix unit multiplies by bytes without any rounding.

x = step * (d0 + 256 d1 + ... + 256**6 d6), each digit from -128 to 127. The step is a power of two, one for a column:
the largest of its numbers has 55 bits. So 2**-55 of the largest is lost at most, where multiply-adds lose 2**-53 of
each of their sums: errors of products are 0.2 to 0.5 of theirs where the largest number is 5 to 1000 times the median
one, and as large from 7000 times on. An eighth digit would take 5% of the time of a step of 64-100-10.

A matrix in digits lies in squares, see fixed_point.py. Where there is no matrix unit nothing here is used.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from ..compiling.compile import intrinsic
from ..simd.partial import masked_load
from ..simd.vectors import (
    REGISTER_BYTES,
    Vector,
    array_address,
    bytes_of,
    call,
    llvm_first,
    llvm_multiply_add,
    llvm_vector,
)
from .byte_rows import store_vector
from .instructions import SIDE, runs

_BYTE, _WORD, _LONG = ir.IntType(8), ir.IntType(32), ir.IntType(64)

# Of a number.
DIGITS = 7

# Products of a byte and a digit whose sum is less than 2**31.
DEEPEST = 1 << 16

# SIDE numbers of float64, as bits: of a fraction, what is added to exponents, and infinity's.
_NUMBERS = ir.VectorType(_LONG, SIDE)
_FRACTION, _BIAS = 52, 1023
_INFINITY = (2 * _BIAS + 1) << _FRACTION


def _all(number: int) -> Any:
    return ir.Constant(_NUMBERS, [number] * SIDE)


def _parts(builder: Any, vector: Any, count: int) -> list[Any]:
    """So many lanes of a vector after the other."""
    places = [ir.Constant(ir.VectorType(_WORD, count), list(range(i, i + count))) for i in range(0, SIDE, count)]
    return [builder.shuffle_vector(vector, vector, place) for place in places]


# --- steps


@intrinsic
def load_side(typing: Any, array: types.Type, index: types.Type, count: types.Type) -> Any:
    """The first `count` of as many numbers as a register of the unit has columns, zeros in the other lanes, whose
    memory is not touched."""
    vector = Vector(array.dtype, SIDE)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = array_address(builder, context, sig.args[0], args[0], args[1])
        mask = llvm_first(builder, args[2], SIDE)
        return masked_load(builder, address, vector, mask, ir.Constant(llvm_vector(vector), [0.0] * SIDE))

    return vector(array, types.intp, types.intp), generate


@intrinsic
def larger(typing: Any, largest: Vector, x: Vector) -> Any:
    """The larger of largest and abs(x), compared as bits, which are of the same order: NaN is larger than infinity."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        one, other = (builder.bitcast(vector, _NUMBERS) for vector in args)
        other = builder.and_(other, _all((1 << 63) - 1))
        return builder.bitcast(builder.select(builder.icmp_signed(">", one, other), one, other), args[0].type)

    return x(x, x), generate


def _exponents(builder: Any, largest: Any) -> Any:
    """Of numbers a 64th larger, or the last digit would have no room for what the others carry; and not so small that
    steps would have no inverse."""
    rounded = builder.add(builder.bitcast(largest, _NUMBERS), _all(1 << (_FRACTION - 6)))
    exponents, least = builder.lshr(rounded, _all(_FRACTION)), _all(_BIAS // 2)
    return builder.select(builder.icmp_signed(">", exponents, least), exponents, least)


@intrinsic
def inverse_step(typing: Any, largest: Vector) -> Any:
    """By what numbers up to `largest` are multiplied to be made digits."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        inverse = builder.sub(_all(2 * _BIAS + 8 * DIGITS - 2), _exponents(builder, args[0]))
        return builder.bitcast(builder.shl(inverse, _all(_FRACTION)), args[0].type)

    return largest(largest), generate


@intrinsic
def step_of_sums(typing: Any, largest: Vector) -> Any:
    """By what sums of digits are multiplied, see sum_digits; NaN if a number was not finite."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        step = builder.shl(builder.sub(_exponents(builder, args[0]), _all(6)), _all(_FRACTION))
        finite = builder.icmp_signed("<", builder.bitcast(args[0], _NUMBERS), _all(_INFINITY))
        nan = _all(_INFINITY + (1 << (_FRACTION - 1)))
        return builder.bitcast(builder.select(finite, step, nan), args[0].type)

    return largest(largest), generate


# --- digits


@intrinsic
def in_digits(typing: Any, x: Vector, inverse: Vector) -> Any:
    """x * inverse, rounded, as digits, the lowest first."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if not runs(x):
            return args[0]
        parts, whole = [], ir.VectorType(_LONG, 8)
        for part in _parts(builder, builder.fmul(*args), 8):
            arguments = [part, ir.Constant(whole, None), _BYTE(-1), _WORD(4)]  # all lanes, as the CPU rounds
            parts.append(call(builder, "llvm.x86.avx512.mask.cvtpd2qq.512", whole, arguments))
        numbers = builder.shuffle_vector(*parts, ir.Constant(ir.VectorType(_WORD, SIDE), list(range(SIDE))))
        # Adding 128 to all digits but the last carries; taking it away from each again does not.
        half = _all(int.from_bytes(bytes([0x80] * (DIGITS - 1)), "little"))
        return builder.bitcast(builder.xor(builder.add(numbers, half), half), args[0].type)

    return x(x, x), generate


def _swapped(builder: Any, low: Any, high: Any, bits: int, mask: Any) -> list[Any]:
    """Two rows of words after every other group of so many bits has changed places with its neighbour in the other one.
    mask: of the groups that stay in `low`."""
    by, others = ir.Constant(low.type, [bits] * low.type.count), builder.not_(mask)
    first = builder.or_(builder.and_(low, mask), builder.and_(builder.shl(high, by), others))
    return [first, builder.or_(builder.and_(builder.lshr(low, by), mask), builder.and_(high, others))]


@intrinsic
def store_digits(
    typing: Any, words: types.Type, index: types.Type, apart: types.Type, a: Vector, b: Vector, c: Vector, d: Vector
) -> Any:
    """A row of a register for every digit, from words[index] on and so far apart: of each column this digit of four
    numbers."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if not runs(words):
            return context.get_dummy_value()
        kind, at = ir.VectorType(_WORD, 2 * SIDE), args[1]
        rows = [builder.bitcast(row, kind) for row in args[3:]]
        for bits, number, pairs in ((8, 0x00FF00FF, ((0, 1), (2, 3))), (16, 0x0000FFFF, ((0, 2), (1, 3)))):
            mask = ir.Constant(kind, [number] * kind.count)
            for low, high in pairs:
                rows[low], rows[high] = _swapped(builder, rows[low], rows[high], bits, mask)
        for first in (0, 1):
            chosen = ir.Constant(ir.VectorType(_WORD, SIDE), list(range(first, 2 * SIDE, 2)))
            for row in rows[: DIGITS - 4 * first]:
                store_vector(builder, context, words, args[0], at, builder.shuffle_vector(row, row, chosen))
                at = builder.add(at, args[2])
        return context.get_dummy_value()

    return types.void(words, types.intp, types.intp, a, a, a, a), generate


@intrinsic
def sum_digits(typing: Any, words: types.Type, index: types.Type, column: types.Type) -> Any:
    """A CPU's register of sums, from this column on, of a row at words[index] of registers of the unit, one for each
    digit: divided by what the last digit counts."""
    vector = Vector(words.dtype, REGISTER_BYTES // bytes_of(words.dtype))

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        form, worth = llvm_vector(vector), ir.Constant(llvm_vector(vector), [1 / 256] * vector.lanes)
        start = array_address(builder, context, words, args[0], args[1])
        numbers = builder.gep(builder.bitcast(start, _WORD.as_pointer()), [args[2]])
        total = None
        for digit in range(DIGITS):
            place = builder.gep(numbers, [_LONG(digit * SIDE * SIDE)])
            whole = builder.load(builder.bitcast(place, ir.VectorType(_WORD, vector.lanes).as_pointer()))
            whole.align = 4
            number = builder.sitofp(whole, form)
            total = number if total is None else llvm_multiply_add(builder, total, worth, number)
        return total

    return vector(words, types.intp, types.intp), generate
