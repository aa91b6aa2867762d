"""Rows of numbers that are whole numbers up to 255 times one factor into bytes: those whole numbers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from .bits import CHUNK, load_numbers
from .compile import Array, entry, intrinsic, kernel
from .compressing import chunk_of
from .network import Rows
from .simd import REGISTER_BYTES, array_address, llvm_multiply_add, splat
from .sync import atomic_load, atomic_store, share

_WORD = ir.IntType(32)

# Added to a float32 below 2**22 this rounds it to a whole number, in the last digits of the sum; and its digits.
_ROUNDER, _DIGITS = 1.5 * 2**23, 0x4B400000


@intrinsic
def _encode(
    typing: Any,
    address: types.Type,
    line: types.Type,
    factors: types.Type,
    f: types.Type,
    out: types.Type,
    j: types.Type,
) -> Any:
    """out[j : j + CHUNK] = the CHUNK numbers of line's dtype at a raw address, divided by a factor and rounded to whole
    numbers; returns whether all of these are 0 to 255, and the numbers the nearest float32 to what they then stand
    for, or one next to it.

    factors[f:]: one divided by the factor, the factor, and what it is more than that.
    """
    lanes = REGISTER_BYTES // 4

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        start = array_address(builder, context, factors, args[2], args[3])
        inverse, high, low = (
            splat(builder, builder.load(builder.gep(start, [_WORD(number)])), lanes) for number in range(3)
        )
        to = array_address(builder, context, out, args[4], args[5])
        integers = ir.VectorType(_WORD, lanes)
        rounder, zero = (ir.Constant(inverse.type, [number] * lanes) for number in (_ROUNDER, 0.0))

        def more_than(number: int, x: Any) -> Any:
            return builder.icmp_unsigned(">", x, ir.Constant(integers, [number] * lanes))

        wrong = ir.Constant(ir.VectorType(ir.IntType(1), lanes), None)
        for first in range(0, CHUNK, lanes):
            loaded = load_numbers(context, builder, args[0], first, lanes, line.dtype, types.float32)
            x = builder.fadd(loaded, zero)  # 0 for -0
            rounded = llvm_multiply_add(builder, x, inverse, rounder)
            whole = builder.sub(builder.bitcast(rounded, integers), ir.Constant(integers, [_DIGITS] * lanes))
            number = builder.fsub(rounded, rounder)
            nearest = llvm_multiply_add(builder, number, high, builder.fmul(number, low))
            apart = builder.sub(builder.bitcast(x, integers), builder.bitcast(nearest, integers))
            next_to = builder.add(apart, ir.Constant(integers, [1] * lanes))
            wrong = builder.or_(wrong, builder.or_(more_than(255, whole), more_than(2, next_to)))
            numbers = builder.trunc(whole, ir.VectorType(ir.IntType(8), lanes))
            place = builder.gep(to, [_WORD(first)])
            builder.store(numbers, builder.bitcast(place, numbers.type.as_pointer())).align = 1
        any_wrong = builder.bitcast(wrong, ir.IntType(lanes))
        return builder.icmp_unsigned("==", any_wrong, any_wrong.type(0))

    return types.boolean(types.intp, line, factors, types.intp, out, types.intp), generate


@kernel
def _encode_row(rows: Rows, i: int, K: int, line: Array, factors: Array, f: int, out: Array) -> bool:
    """The same for row i. The last CHUNK begins in the one before, if K numbers are not whole ones."""
    right = True
    for start in range(0, K, CHUNK):
        k = min(start, K - CHUNK)
        right = _encode(chunk_of(rows, i, k, K, line), line, factors, f, out, i * K + k)
        if not right:
            break
    return right


@entry
def encode_rows(
    t: int, threads: int, rows: Rows, m: int, K: int, line: Array, factors: Array, out: Array, control: Array
) -> None:
    """Thread t's rows, of CHUNK numbers or more, as bytes by the first of the factors that all rows are right with.

    line: CHUNK numbers of the rows' dtype. factors: three float32 numbers each, see _encode. out: (m * K,). control[0]:
    which factor it is, or how many there are if it is none; of several factors with one thread only.
    """
    i, end = share(m, 1, t, threads)
    begin = i
    while i < end:
        f = atomic_load(control, 0)
        if 3 * f >= len(factors):
            break
        if _encode_row(rows, i, K, line, factors, 3 * f, out):
            i += 1
        else:
            atomic_store(control, 0, f + 1)
            i = begin
