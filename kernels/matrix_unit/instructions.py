"""The matrix unit that some x86 CPUs have (AMX), for products of bfloat16 numbers that are summed in float32.

A core has eight registers of 16 rows of 64 bytes. One instruction adds to a register of 16 x 16 float32 the product of
two others, of 16 x 32 bfloat16 and 32 x 16: in 16 cycles, which is sixteen times what multiply-adds of float32 do. A
bfloat16 is the upper half of a float32, so that two fit in a word: a left-hand matrix lies as [row][pair of columns], a
right-hand one as [pair of rows][column]. Words are kept in arrays of float32, of which nothing is computed.

A thread says what form registers have before it uses them, and lets go of them after; a process has to ask the system
once, see fastnn/matrix_unit.py. Where there is no such unit nothing here does anything. In arrays of float64 words are
those of products of bytes, which are summed in int32.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..compiling.compile import intrinsic
from ..simd.vectors import FEATURES, array_address, bytes_of, call

# Asked first wherever a layer may be made on the unit: numba leaves out a branch that a constant rules out, and a
# fifth of the kernels are not compiled where there is none.
HAS_MATRIX_UNIT = {"amx-tile", "amx-bf16", "amx-int8", "avx512f", "avx512fp16"} <= FEATURES

# Rows of a register, and words of a row.
SIDE = 16

# Palette 1, first row 0; 16 words that say nothing; bytes of a row of eight registers, and their rows.
_FORM = bytes([1, *[0] * 15, *[64, 0] * 8, *[0] * 16, *[16] * 8, *[0] * 8])


def runs(array: types.Type) -> bool:
    return HAS_MATRIX_UNIT and array.dtype in (types.float32, types.float64)


def _instruct(builder: Any, name: str, arguments: list[Any]) -> None:
    call(builder, f"llvm.x86.{name}", ir.VoidType(), arguments)


@intrinsic
def claim_registers(typing: Any, like: types.Type) -> Any:
    """Give all eight registers their form: 54 ns. like: an array of the numbers they are to hold."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if runs(like):
            form = cgutils.global_constant(builder, "matrix_unit_form", cgutils.make_bytearray(_FORM))
            _instruct(builder, "ldtilecfg", [builder.bitcast(form, ir.IntType(8).as_pointer())])
        return context.get_dummy_value()

    return types.void(like), generate


@intrinsic
def release_registers(typing: Any, like: types.Type) -> Any:
    """Let go of them: the system keeps 8 KB less when it changes threads."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if runs(like):
            _instruct(builder, "tilerelease", [])
        return context.get_dummy_value()

    return types.void(like), generate


def _numbers(*registers: types.Type) -> list[Any] | None:
    """Of registers as LLVM takes them; None asks numba for the literal values."""
    if not all(isinstance(register, types.IntegerLiteral) for register in registers):
        return None
    return [ir.IntType(8)(register.literal_value) for register in registers]


@intrinsic
def clear_sums(typing: Any, like: types.Type) -> Any:
    """Registers 0 to 3 = 0."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        for register in range(4 if runs(like) else 0):
            _instruct(builder, "tilezero", [ir.IntType(8)(register)])
        return context.get_dummy_value()

    return types.void(like), generate


def _move(name: str) -> Any:
    @intrinsic
    def move(typing: Any, array: types.Type, index: types.Type, row: types.Type, register: types.Type) -> Any:
        numbers = _numbers(register)
        if numbers is None:
            return None

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            if runs(array):
                address = array_address(builder, context, sig.args[0], args[0], args[1])
                stride = builder.mul(args[2], args[2].type(bytes_of(array.dtype)))
                _instruct(builder, name, [*numbers, builder.bitcast(address, ir.IntType(8).as_pointer()), stride])
            return context.get_dummy_value()

        return types.void(array, types.intp, types.intp, register), generate

    return move


# (array, index, row, register): 16 rows of 16 words from array[index] on, `row` apart, to a register or from it.
load_register, store_register = _move("tileloadd64"), _move("tilestored64")


def _multiply(name: str) -> Any:
    @intrinsic
    def multiply(typing: Any, like: types.Type, out: types.Type, left: types.Type, right: types.Type) -> Any:
        numbers = _numbers(out, left, right)
        if numbers is None:
            return None

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            if runs(like):
                _instruct(builder, name, numbers)
            return context.get_dummy_value()

        return types.void(like, out, left, right), generate

    return multiply


# (like, out, left, right): out += left @ right, of bfloat16 numbers; of bytes and of signed ones.
multiply_registers, multiply_bytes = _multiply("tdpbf16ps"), _multiply("tdpbusd")
