"""Arithmetic on vectors: operators, functions, and sums over the lanes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature

from ..compiling.compile import intrinsic
from .vectors import Mask, Vector, call, llvm_first, llvm_multiply_add, splat, suffix

# --- operators


def _operands(context: Any, builder: Any, sig: Any, args: Any) -> list[Any]:
    """Both sides as LLVM vectors: a scalar is spread over the lanes."""
    count = next(argument.lanes for argument in sig.args if isinstance(argument, Vector))
    return [
        value if isinstance(kind, Vector) else splat(builder, value, count)
        for kind, value in zip(sig.args, args, strict=True)
    ]


def _operator(function: Callable[..., Any], build: Callable[..., Any], compares: bool = False) -> None:
    """Teach numba an operator between vectors, or a vector and a number."""

    @infer_global(function)
    class _Typing(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            vector = next((argument for argument in args if isinstance(argument, Vector)), None)
            if vector is None or len(args) != 2:
                return None
            sides = [argument if isinstance(argument, Vector) else vector.dtype for argument in args]
            return signature(Mask(vector.lanes) if compares else vector, *sides)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return build(builder, *_operands(context, builder, sig, args))

    for sides in ((Vector, Vector), (Vector, types.Float), (types.Float, Vector)):
        lower_builtin(function, *sides)(lower)


_operator(operator.add, lambda builder, x, y: builder.fadd(x, y))
_operator(operator.sub, lambda builder, x, y: builder.fsub(x, y))
_operator(operator.mul, lambda builder, x, y: builder.fmul(x, y))
_operator(operator.truediv, lambda builder, x, y: builder.fdiv(x, y))
_operator(operator.lt, lambda builder, x, y: builder.fcmp_ordered("<", x, y), compares=True)
_operator(operator.gt, lambda builder, x, y: builder.fcmp_ordered(">", x, y), compares=True)
_operator(operator.eq, lambda builder, x, y: builder.fcmp_ordered("==", x, y), compares=True)


@intrinsic
def multiply_add(typing: Any, x: types.Type, y: types.Type, z: types.Type) -> Any:
    """x * y + z, rounded once where the CPU can; x and z may be numbers, y is a vector."""
    sides = [side if isinstance(side, Vector) else y.dtype for side in (x, y, z)]

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return llvm_multiply_add(builder, *_operands(context, builder, sig, args))

    return y(*sides), generate


@intrinsic
def where(typing: Any, mask: Mask, x: types.Type, y: types.Type) -> Any:
    """x in the lanes where the mask is true, y in the others; one of them may be a number."""
    vector = x if isinstance(x, Vector) else y

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        x_value, y_value = (
            value if isinstance(kind, Vector) else splat(builder, value, vector.lanes)
            for kind, value in zip(sig.args[1:], args[1:], strict=True)
        )
        return builder.select(args[0], x_value, y_value)

    return vector(mask, *(side if isinstance(side, Vector) else vector.dtype for side in (x, y))), generate


@intrinsic
def first(typing: Any, count: types.Type, like: Vector) -> Any:
    """True in the first `count` lanes."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return llvm_first(builder, args[0], like.lanes)

    return Mask(like.lanes)(types.intp, like), generate


def _function(name: str) -> Callable[..., Any]:
    """An intrinsic for one of LLVM's functions of one vector."""

    @intrinsic
    def function(typing: Any, x: Vector) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return call(builder, f"llvm.{name}.{suffix(args[0].type)}", args[0].type, args)

        return x(x), generate

    return function  # type: ignore[no-any-return]


absolute = _function("fabs")
exact_square_root = _function("sqrt")
# x, behind which LLVM does not look: (x + c) - c would become x where the CPU has no FMA.
opaque = _function("arithmetic.fence")


@intrinsic
def estimated_root(typing: Any, x: Vector) -> Any:
    """1 / sqrt(x), its first 14 bits, of one register of AVX-512."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        every_lane, form = ir.IntType(max(x.lanes, 8))(-1), "ps" if x.dtype == types.float32 else "pd"
        arguments = [args[0], ir.Constant(args[0].type, ir.Undefined), every_lane]
        return call(builder, f"llvm.x86.avx512.rsqrt14.{form}.512", args[0].type, arguments)

    return x(x), generate


@intrinsic
def copy_sign(typing: Any, x: Vector, sign: Vector) -> Any:
    """|x| with the sign of the other vector."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return call(builder, f"llvm.copysign.{suffix(args[0].type)}", args[0].type, args)

    return x(x, sign), generate


def _float_bits(x: Any) -> tuple[ir.VectorType, list[ir.Constant]]:
    """Integers as wide as the numbers of x; the width of their fraction, the fraction's bits, and the bits of one."""
    bits, mantissa, one = (32, 23, 0x3F800000) if x.dtype == types.float32 else (64, 52, 0x3FF0000000000000)
    form = ir.VectorType(ir.IntType(bits), x.lanes)
    return form, [ir.Constant(form, [value] * x.lanes) for value in (mantissa, (1 << mantissa) - 1, one)]


@intrinsic
def power_of_two(typing: Any, n: Vector) -> Any:
    """2.0**n for n + ROUNDER as a sum, whose last bits are n's exponent as numbers have it: they become its own."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        form, (shift, _, _) = _float_bits(n)
        return builder.bitcast(builder.shl(builder.bitcast(args[0], form), shift), args[0].type)

    return n(n), generate


@intrinsic
def exponent(typing: Any, x: Vector) -> Any:
    """The whole number n with 2.0**n <= x < 2.0**(n + 1), of numbers that are positive and normal."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        form, (mantissa, _, one) = _float_bits(x)
        bits = builder.sub(builder.bitcast(args[0], form), one)
        return builder.sitofp(builder.ashr(bits, mantissa), args[0].type)

    return x(x), generate


@intrinsic
def fraction(typing: Any, x: Vector) -> Any:
    """x / 2.0**exponent(x), of at least 1 and less than 2."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        form, (_, below_one, one) = _float_bits(x)
        bits = builder.or_(builder.and_(builder.bitcast(args[0], form), below_one), one)
        return builder.bitcast(bits, args[0].type)

    return x(x), generate


@intrinsic
def by_dtype(typing: Any, like: types.Type, single: types.Type, double: types.Type) -> Any:
    """single where `like` is float32, double where it is float64: chosen when the kernel is compiled."""
    chosen = 1 if like.dtype == types.float32 else 2
    result = (single, double)[chosen - 1]
    return result(like, single, double), lambda context, builder, sig, args: args[chosen]


@intrinsic
def horner(typing: Any, x: Vector, coefficients: types.Type) -> Any:
    """c[0] + c[1] * x + c[2] * x**2 + ..., from the last coefficient to the first."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        numbers = [
            splat(builder, context.cast(builder, number, types.float64, x.dtype), x.lanes)
            for number in cgutils.unpack_tuple(builder, args[1])
        ]
        value = numbers.pop()
        while numbers:
            value = llvm_multiply_add(builder, value, args[0], numbers.pop())
        return value

    return x(x, coefficients), generate


# --- across the lanes


@intrinsic
def sum_lanes(typing: Any, x: Vector) -> Any:
    """The sum of all lanes, by halves."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        zero = ir.Constant(args[0].type.element, 0.0)
        name = f"llvm.vector.reduce.fadd.{suffix(args[0].type)}"
        return call(builder, name, args[0].type.element, [zero, args[0]], fastmath=("reassoc",))

    return x.dtype(x), generate
