"""Vectors of which some lanes are in memory: the rest of memory is neither read nor written."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from ..compiling.compile import intrinsic
from .vectors import (
    FEATURES,
    Vector,
    array_address,
    bytes_of,
    call,
    llvm_first,
    llvm_float,
    llvm_vector,
    splat,
    suffix,
    vector_of,
)

# Whether masks have registers of their own, and a masked store costs no more than another: with AVX2 it takes 12 cycles
# and more on CPUs of AMD.
HAS_MASKS = "avx512f" in FEATURES


def masked_load(builder: Any, address: Any, vector: Vector, mask: Any, fill: Any) -> Any:
    form = llvm_vector(vector)
    arguments = [builder.bitcast(address, form.as_pointer()), ir.IntType(32)(bytes_of(vector.dtype)), mask, fill]
    return call(builder, f"llvm.masked.load.{suffix(form)}.p0", form, arguments)


def load_lanes(builder: Any, vector: Vector, addresses: list[Any], count: Any) -> list[Any]:
    """For LLVM: the first `count` lanes of what lies at each address; zero in the others, whose memory is not read."""
    form = llvm_vector(vector)
    zero = ir.Constant(form, [0.0] * vector.lanes)

    def load_masked() -> list[Any]:
        mask = llvm_first(builder, count, vector.lanes)
        return [masked_load(builder, address, vector, mask, zero) for address in addresses]

    if HAS_MASKS:
        return load_masked()
    with builder.if_else(builder.icmp_signed(">=", count, count.type(vector.lanes))) as (whole, part):
        with whole:
            loaded = [builder.load(builder.bitcast(address, form.as_pointer())) for address in addresses]
            for each in loaded:
                each.align = bytes_of(vector.dtype)
            loaded_block = builder.block
        with part:
            masked = load_masked()
            masked_block = builder.block
    return _joined(builder, loaded_block, loaded, masked_block, masked)


def masked_store(builder: Any, address: Any, vector: Vector, mask: Any, value: Any) -> None:
    form = llvm_vector(vector)
    arguments = [value, builder.bitcast(address, form.as_pointer()), ir.IntType(32)(bytes_of(vector.dtype)), mask]
    call(builder, f"llvm.masked.store.{suffix(form)}.p0", ir.VoidType(), arguments)


def store_lanes(builder: Any, vector: Vector, addresses: list[Any], count: Any, values: list[Any]) -> None:
    """For LLVM: the first `count` lanes of each value go to its address; the rest of memory is not touched."""
    if HAS_MASKS:
        mask = llvm_first(builder, count, vector.lanes)
        for address, value in zip(addresses, values, strict=True):
            masked_store(builder, address, vector, mask, value)
        return
    # All of them, or the half, the quarter and so on that `count` is the sum of.
    with builder.if_else(builder.icmp_signed(">=", count, count.type(vector.lanes))) as (whole, part):
        with whole:
            _store_all(builder, vector, addresses, values)
        with part:
            zero, half = count.type(0), vector.lanes // 2
            count = builder.select(builder.icmp_signed(">", count, zero), count, zero)
            while half:
                low, high = (_half(builder, values, begin, half) for begin in (0, half))
                behind = [builder.gep(address, [count.type(half)]) for address in addresses]
                before = builder.block
                with builder.if_then(builder.icmp_signed("!=", builder.and_(count, count.type(half)), zero)):
                    _store_all(builder, vector, addresses, low)
                    stored = builder.block
                addresses = _joined(builder, before, addresses, stored, behind)
                values = _joined(builder, before, low, stored, high)
                half //= 2


def _store_all(builder: Any, vector: Vector, addresses: list[Any], values: list[Any]) -> None:
    for address, value in zip(addresses, values, strict=True):
        stored = builder.store(value, builder.bitcast(address, value.type.as_pointer()))
        stored.align = bytes_of(vector.dtype)


def _half(builder: Any, values: list[Any], begin: int, count: int) -> list[Any]:
    chosen = ir.Constant(ir.VectorType(ir.IntType(32), count), list(range(begin, begin + count)))
    return [builder.shuffle_vector(value, value, chosen) for value in values]


def _joined(builder: Any, before: Any, values: list[Any], after: Any, others: list[Any]) -> list[Any]:
    """The values if the block `before` was left last, or the others, if it was `after`."""
    made = []
    for value, other in zip(values, others, strict=True):
        phi = builder.phi(value.type)
        phi.add_incoming(value, before)
        phi.add_incoming(other, after)
        made.append(phi)
    return made


@intrinsic
def load_first(
    typing: Any, array: types.Type, index: types.Type, count: types.Type, fill: types.Type, registers: types.Type
) -> Any:
    """The first `count` numbers from flat `index` on, `fill` in the other lanes, whose memory is not touched."""
    vector = vector_of(array, registers)
    if vector is None:
        return None

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = array_address(builder, context, sig.args[0], args[0], args[1])
        mask = llvm_first(builder, args[2], vector.lanes)
        return masked_load(builder, address, vector, mask, splat(builder, args[3], vector.lanes))

    return vector(array, types.intp, types.intp, vector.dtype, registers), generate


@intrinsic
def store_first(typing: Any, array: types.Type, index: types.Type, count: types.Type, vector: Vector) -> Any:
    """array[index : index + count] = the vector's first `count` lanes; the rest of memory is not touched."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = array_address(builder, context, sig.args[0], args[0], args[1])
        store_lanes(builder, vector, [address], args[2], [args[3]])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vector), generate


def _strided(builder: Any, context: Any, array: types.Type, args: Any, vector: Vector) -> list[Any]:
    """For LLVM: where array[index + i * stride] lies for every lane i, its alignment, and a mask of the first lanes."""
    long, size = ir.IntType(64), bytes_of(vector.dtype)
    lane = ir.Constant(ir.VectorType(long, vector.lanes), list(range(vector.lanes)))
    start = builder.ptrtoint(array_address(builder, context, array, args[0], args[1]), long)
    step = builder.mul(args[2], long(size))
    places = builder.add(splat(builder, start, vector.lanes), builder.mul(lane, splat(builder, step, vector.lanes)))
    pointers = builder.inttoptr(places, ir.VectorType(llvm_float(vector.dtype).as_pointer(), vector.lanes))
    return [pointers, ir.IntType(32)(size), llvm_first(builder, args[3], vector.lanes)]


@intrinsic
def load_strided(
    typing: Any, array: types.Type, index: types.Type, stride: types.Type, count: types.Type, registers: types.Type
) -> Any:
    """array[index + i * stride] in lane i for the first `count` of them, zero in the others."""
    vector = vector_of(array, registers)
    if vector is None:
        return None

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        form = llvm_vector(vector)
        arguments = [*_strided(builder, context, sig.args[0], args, vector), ir.Constant(form, [0.0] * vector.lanes)]
        return call(builder, f"llvm.masked.gather.{suffix(form)}.v{vector.lanes}p0", form, arguments)

    return vector(array, types.intp, types.intp, types.intp, registers), generate


@intrinsic
def store_strided(
    typing: Any, array: types.Type, index: types.Type, stride: types.Type, count: types.Type, vector: Vector
) -> Any:
    """array[index + i * stride] = lane i, for the first `count` of them; the rest of memory is not touched."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        name = f"llvm.masked.scatter.{suffix(args[4].type)}.v{vector.lanes}p0"
        call(builder, name, ir.VoidType(), [args[4], *_strided(builder, context, sig.args[0], args, vector)])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.intp, vector), generate
