"""Rows of numbers that are whole numbers up to 255 times one factor into bytes: those whole numbers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from ..compiling.compile import Array, entry, intrinsic, kernel
from ..compressing import chunk_of
from ..network import Rows
from ..simd.bits import CHUNK, load_numbers
from ..simd.vectors import REGISTER_BYTES, array_address, bytes_of, llvm_multiply_add, splat
from ..sync import atomic_load, atomic_store, share

_WORD = ir.IntType(32)

# Added to a float32 below 2**22, or a float64 below 2**51, this rounds it to a whole number, which the sum's bits are
# more than these.
_ROUNDER, _DIGITS = {32: 1.5 * 2**23, 64: 1.5 * 2**52}, {32: 0x4B400000, 64: 0x4338000000000000}


def _rounded(builder: Any, x: Any, factor: list[Any]) -> tuple[Any, Any]:
    """x divided by the factor, as whole numbers, and a mask of those that are not 0 to 255, or do not stand for x: the
    nearest number of x's dtype, or one next to it."""
    inverse, high, low = factor
    bits = 32 if x.type.element == ir.FloatType() else 64
    integers = ir.VectorType(ir.IntType(bits), x.type.count)

    def words(number: int) -> Any:
        return ir.Constant(integers, [number] * integers.count)

    def digits(numbers: Any) -> Any:
        return builder.bitcast(numbers, integers)

    rounder = ir.Constant(x.type, [_ROUNDER[bits]] * x.type.count)
    whole = builder.sub(digits(llvm_multiply_add(builder, x, inverse, rounder)), words(_DIGITS[bits]))
    number = builder.sitofp(whole, x.type)
    nearest = llvm_multiply_add(builder, number, high, builder.fmul(number, low))
    given = builder.select(builder.icmp_unsigned("==", digits(x), words(1 << (bits - 1))), words(0), digits(x))
    apart = builder.add(builder.sub(given, digits(nearest)), words(1))
    many, far = (builder.icmp_unsigned(">", x, words(most)) for x, most in ((whole, 255), (apart, 2)))
    return whole, builder.or_(many, far)


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
    """out[j : j + CHUNK] = the CHUNK numbers of line's dtype at a raw address as bytes; returns whether they can be.

    factors[f:]: one divided by the factor, its first digits, eight fewer than a number has, and the others.
    """
    lanes = REGISTER_BYTES // bytes_of(factors.dtype)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        start = array_address(builder, context, factors, args[2], args[3])
        factor = [splat(builder, builder.load(builder.gep(start, [_WORD(i)])), lanes) for i in range(3)]
        to = array_address(builder, context, out, args[4], args[5])
        wrong = ir.Constant(ir.VectorType(ir.IntType(1), lanes), None)
        for first in range(0, CHUNK, lanes):
            x = load_numbers(context, builder, args[0], first, lanes, line.dtype, factors.dtype)
            whole, bad = _rounded(builder, x, factor)
            wrong = builder.or_(wrong, bad)
            numbers = builder.trunc(whole, ir.VectorType(ir.IntType(8), lanes))
            place = builder.gep(to, [_WORD(first)])
            builder.store(numbers, builder.bitcast(place, numbers.type.as_pointer())).align = 1
        any_wrong = builder.bitcast(wrong, ir.IntType(lanes))
        return builder.icmp_unsigned("==", any_wrong, any_wrong.type(0))

    return types.boolean(types.intp, line, factors, types.intp, out, types.intp), generate


@kernel
def _encode_row(rows: Rows, i: int, K: int, line: Array, factors: Array, f: int, out: Array) -> bool:
    """The same for row i, from out[i * K] on. The last CHUNK begins in the one before, if K is no multiple of it."""
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

    line: CHUNK numbers of the rows' dtype. factors: three numbers each, see _encode, of the dtype that features are to
    have. out: (m * K,). control[0]: which factor it is, or how many there are if it is none; of several factors with
    one thread only.
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
