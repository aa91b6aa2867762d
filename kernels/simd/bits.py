"""Sixty-four numbers at a time: which of them are not zero, as the bits of one integer, and those alone into lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..compiling.compile import Array, intrinsic, kernel
from .vectors import HAS_COMPRESS, REGISTER_BYTES, array_address, bytes_of, call, set_item, splat

CHUNK = 64
_LONG = ir.IntType(64)


@intrinsic
def copy_numbers(typing: Any, address: types.Type, count: types.Type, out: types.Type) -> Any:
    """out[:count] = the numbers of its dtype at a raw address, aligned or not; returns the address of out."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        to = array_address(builder, context, out, args[2], _LONG(0))
        cgutils.raw_memcpy(builder, to, builder.inttoptr(args[0], to.type), args[1], bytes_of(out.dtype), align=1)
        return builder.ptrtoint(to, _LONG)

    return types.intp(types.intp, types.intp, out), generate


def load_numbers(context: Any, builder: Any, address: Any, first: int, lanes: int, source: Any, dtype: Any) -> Any:
    """`lanes` of the `source` numbers at an address, from the `first` on, as a vector of dtype."""
    form = ir.VectorType(context.get_value_type(source), lanes)
    address = builder.add(address, _LONG(first * bytes_of(source)))
    loaded = builder.load(builder.inttoptr(address, form.as_pointer()))
    loaded.align = 1
    if source == dtype:
        return loaded
    convert = builder.fptrunc if source.bitwidth > dtype.bitwidth else builder.fpext
    return convert(loaded, ir.VectorType(context.get_value_type(dtype), lanes))


# --- bits


@intrinsic
def nonzero_bits(typing: Any, address: types.Type, line: types.Type, numbers: types.Type) -> Any:
    """A bit for every one of the CHUNK numbers of line's dtype at a raw address that is not zero as one of `numbers`,
    the first number's the lowest; NaN is not zero."""
    source, dtype = line.dtype, numbers.dtype
    lanes = REGISTER_BYTES // bytes_of(source)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits, compare = _LONG(0), builder.icmp_unsigned if dtype == types.uint8 else builder.fcmp_unordered
        for first in range(0, CHUNK, lanes):
            loaded = load_numbers(context, builder, args[0], first, lanes, source, dtype)
            unequal = builder.bitcast(compare("!=", loaded, ir.Constant(loaded.type, None)), ir.IntType(lanes))
            bits = builder.or_(bits, builder.shl(builder.zext(unequal, _LONG), _LONG(first)))
        return bits

    return types.int64(types.intp, line, numbers), generate


@intrinsic
def count_bits(typing: Any, bits: types.Type) -> Any:
    """How many bits are set."""
    return types.int64(types.int64), lambda context, builder, sig, args: builder.ctpop(args[0])


@intrinsic
def lowest_bit(typing: Any, bits: types.Type) -> Any:
    """The place of the lowest bit that is set, of a number that is not zero."""
    return types.int64(types.int64), lambda context, builder, sig, args: builder.cttz(args[0], ir.IntType(1)(1))


# --- lists of those whose bit is set


def _store_chosen(context: Any, builder: Any, array: types.Type, args: Any, part: Callable[[int, int], Any]) -> None:
    """args: the array, an index, and bits. array[index] and on = those whose bit is set of CHUNK numbers, from the
    `first` on of which part(first, lanes) makes a vector. No more than these is written."""
    out, index, bits = args
    size, lanes = bytes_of(array.dtype), 64 // bytes_of(array.dtype)
    short, mask = ir.IntType(lanes), ir.VectorType(ir.IntType(1), lanes)
    for first in range(0, CHUNK, lanes):
        numbers = part(first, lanes)
        kind = f"v{lanes}{'f' if isinstance(array.dtype, types.Float) else 'i'}{8 * size}"
        chosen = builder.trunc(builder.lshr(bits, _LONG(first)), short)
        arguments = [numbers, ir.Constant(numbers.type, None), builder.bitcast(chosen, mask)]
        packed = call(builder, f"llvm.x86.avx512.mask.compress.{kind}", numbers.type, arguments)
        # As many ones as there are in `chosen`, then zeros.
        wide = builder.zext(chosen, _LONG)
        ones = builder.trunc(call(builder, "llvm.x86.bmi.pext.64", _LONG, [wide, wide]), short)
        address = builder.bitcast(array_address(builder, context, array, out, index), numbers.type.as_pointer())
        arguments = [packed, address, ir.IntType(32)(size), builder.bitcast(ones, mask)]
        call(builder, f"llvm.masked.store.{kind}.p0", ir.VoidType(), arguments)
        index = builder.add(index, builder.ctpop(wide))


@intrinsic
def _append_at_once(
    typing: Any,
    address: types.Type,
    line: types.Type,
    k: types.Type,
    bits: types.Type,
    places: types.Type,
    numbers: types.Type,
    j: types.Type,
) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        place = context.get_value_type(places.dtype)

        def counted(first: int, lanes: int) -> Any:
            offsets = ir.Constant(ir.VectorType(place, lanes), list(range(first, first + lanes)))
            return builder.add(splat(builder, builder.trunc(args[2], place), lanes), offsets)

        def loaded(first: int, lanes: int) -> Any:
            return load_numbers(context, builder, args[0], first, lanes, line.dtype, numbers.dtype)

        _store_chosen(context, builder, places, (args[4], args[6], args[3]), counted)
        _store_chosen(context, builder, numbers, (args[5], args[6], args[3]), loaded)
        return context.get_dummy_value()

    return types.void(types.intp, line, types.intp, types.int64, places, numbers, types.intp), generate


@intrinsic
def _number_at(typing: Any, address: types.Type, place: types.Type, line: types.Type) -> Any:
    """One of the numbers of line's dtype at a raw address, which need not be aligned."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], context.get_value_type(line.dtype).as_pointer())
        number = builder.load(builder.gep(pointer, [args[1]]))
        number.align = 1
        return number

    return line.dtype(types.intp, types.intp, line), generate


@kernel
def _append_one_by_one(address: int, line: Array, k: int, bits: int, places: Array, numbers: Array, j: int) -> None:
    while bits != 0:
        place = lowest_bit(bits)
        set_item(places, j, k + place)
        set_item(numbers, j, _number_at(address, place, line))
        bits &= bits - 1
        j += 1


# append(address, line, k, bits, places, numbers, j): of the CHUNK numbers of line's dtype at a raw address, which are
# those of columns k and on, the ones whose bit is set go to numbers[j] and on, their columns to places[j] and on. At
# once MNIST takes 6 ms, one by one 14.
append = _append_at_once if HAS_COMPRESS else _append_one_by_one
