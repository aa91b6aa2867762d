"""SIMD vectors as numba values, and how they get to and from memory: whole ones; partial.py is for their first lanes,
and tiles.py makes tiles of them.

`Vector` is LLVM's <lanes x float> or <lanes x double>, which LLVM lays over whatever registers the CPU has. Sizes are
counted in registers, so that one kernel serves both dtypes. Loads and stores are unchecked: whoever calls a kernel has
checked the shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.extending import models, register_model
from numba.np.arrayobj import populate_array

from ..compiling.compile import intrinsic


def _host_features() -> set[str]:
    """The features kernels are compiled for: what numba uses of the host's, or what NUMBA_CPU_NAME stands for."""
    if config.CPU_NAME and config.CPU_NAME != "host":
        return {"x86-64-v3": {"avx2"}, "haswell": {"avx2"}, "x86-64-v4": {"avx512f"}}.get(config.CPU_NAME, set())
    features = get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES
    return {feature[1:] for feature in features.split(",") if feature.startswith("+")}


FEATURES = _host_features()
REGISTER_BYTES = 64 if "avx512f" in FEATURES else 32 if "avx2" in FEATURES else 16

# A tile of twice so many rows of one register has 16 accumulators where there are 32 registers (AVX-512, NEON), and 8
# where there are 16; one of half as many again of two registers has 24 or 12, see panels.py. Two registers, because
# 8 x 2 ran at 350 of 356 GFLOP/s on two AVX-512 cores, and 6 x 4 at 300 when W came from L2.
TILE_ROWS = 8 if FEATURES & {"avx512f", "neon"} else 4

# Whether one instruction brings the chosen ones of a register's bytes or words together.
HAS_COMPRESS = {"avx512vbmi2", "avx512bw", "avx512vl", "bmi2"} <= FEATURES


class Vector(types.Type):  # type: ignore[misc]
    """`lanes` numbers of one floating-point dtype."""

    def __init__(self, dtype: types.Float, lanes: int) -> None:
        self.dtype = dtype
        self.lanes = lanes
        super().__init__(name=f"Vector({dtype} x {lanes})")


class Mask(types.Type):  # type: ignore[misc]
    """`lanes` booleans."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"Mask({lanes})")


def llvm_float(dtype: types.Float) -> ir.Type:
    return ir.FloatType() if dtype == types.float32 else ir.DoubleType()


def llvm_vector(vector: Vector) -> ir.VectorType:
    return ir.VectorType(llvm_float(vector.dtype), vector.lanes)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, vector: Vector) -> None:
        super().__init__(manager, vector, llvm_vector(vector))


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, mask: Mask) -> None:
        super().__init__(manager, mask, ir.VectorType(ir.IntType(1), mask.lanes))


def bytes_of(dtype: types.Type) -> int:
    return int(dtype.bitwidth) // 8


def vector_of(array: types.Type, registers: types.Type) -> Vector | None:
    """The type of `registers` registers of an array's dtype; None asks numba for the literal value."""
    if not isinstance(registers, types.IntegerLiteral):
        return None
    dtype = array.dtype
    return Vector(dtype, registers.literal_value * REGISTER_BYTES // bytes_of(dtype))


def array_address(builder: Any, context: Any, array_type: types.Type, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def splat(builder: Any, scalar: Any, lanes: int) -> Any:
    undefined = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.IntType(32)(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))


def call(builder: Any, name: str, result: ir.Type, arguments: list[Any], **flags: Any) -> Any:
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), arguments, **flags)


def suffix(vector_type: ir.VectorType) -> str:
    return f"v{vector_type.count}f{32 if isinstance(vector_type.element, ir.FloatType) else 64}"


def llvm_multiply_add(builder: Any, x: Any, y: Any, z: Any) -> Any:
    # fmuladd, not fma: on a CPU without FMA llvm.fma is a library call for every lane, 20 times slower.
    return call(builder, f"llvm.fmuladd.{suffix(z.type)}", z.type, [x, y, z])


# --- sizes


@intrinsic
def lanes(typing: Any, array: types.Type) -> Any:
    """How many of an array's numbers one register holds."""
    count = REGISTER_BYTES // bytes_of(array.dtype)
    return types.intp(array), lambda context, builder, sig, args: ir.Constant(context.get_value_type(types.intp), count)


# --- memory


@intrinsic
def numbers_at(typing: Any, address: types.Type, count: types.Type, like: types.Type) -> Any:
    """The `count` numbers at a raw address as an array of the type of `like`."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = context.make_array(like)(context, builder)
        size = context.get_constant(types.intp, bytes_of(like.dtype))
        data = builder.inttoptr(args[0], array.data.type)
        populate_array(array, data=data, shape=[args[1]], strides=[size], itemsize=size, meminfo=None)
        return array._getvalue()

    return like(types.intp, types.intp, like), generate


@intrinsic
def load(typing: Any, array: types.Type, index: types.Type, registers: types.Type) -> Any:
    """The array's numbers from flat `index` on."""
    vector = vector_of(array, registers)
    if vector is None:
        return None

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = array_address(builder, context, sig.args[0], args[0], args[1])
        loaded = builder.load(builder.bitcast(address, llvm_vector(vector).as_pointer()))
        loaded.align = bytes_of(vector.dtype)
        return loaded

    return vector(array, types.intp, registers), generate


@intrinsic
def store(typing: Any, array: types.Type, index: types.Type, vector: Vector) -> Any:
    """array[index : index + lanes] = vector."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = array_address(builder, context, sig.args[0], args[0], args[1])
        stored = builder.store(args[2], builder.bitcast(address, args[2].type.as_pointer()))
        stored.align = bytes_of(vector.dtype)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def item(typing: Any, array: types.Type, index: types.Type) -> Any:
    """array[index] for an index that is not negative: numba looks whether it is, a third of a loop over lists."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(array_address(builder, context, sig.args[0], args[0], args[1]))

    return array.dtype(array, types.intp), generate


@intrinsic
def set_item(typing: Any, array: types.Type, index: types.Type, value: types.Type) -> Any:
    """array[index] = value for an index that is not negative."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[2], array_address(builder, context, sig.args[0], args[0], args[1]))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), generate


def _prefetch(builder: Any, address: Any, near: int) -> None:
    pointer = builder.bitcast(address, ir.IntType(8).as_pointer())
    write, of_data = 0, 1
    call(builder, "llvm.prefetch.p0", ir.VoidType(), [pointer, *(ir.IntType(32)(x) for x in (write, near, of_data))])


@intrinsic
def prefetch(typing: Any, array: types.Type, index: types.Type) -> Any:
    """Ask for the cache line of array[index], to be used soon. Any index will do: nothing is read."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        _prefetch(builder, array_address(builder, context, sig.args[0], args[0], args[1]), 3)
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def prefetch_later(typing: Any, array: types.Type, index: types.Type) -> Any:
    """The same for use some microseconds later: into L2."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        _prefetch(builder, array_address(builder, context, sig.args[0], args[0], args[1]), 2)
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def prefetch_bytes_later(typing: Any, address: types.Type) -> Any:
    """The same for the byte at a raw address."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        _prefetch(builder, builder.inttoptr(args[0], ir.IntType(8).as_pointer()), 2)
        return context.get_dummy_value()

    return types.void(types.intp), generate


def llvm_first(builder: Any, count: Any, lanes: int) -> Any:
    """A mask of the first `count` lanes."""
    short = ir.IntType(32)
    index = ir.Constant(ir.VectorType(short, lanes), list(range(lanes)))
    return builder.icmp_signed("<", index, splat(builder, builder.trunc(count, short), lanes))


def _widening_load(source: types.Type, masked: bool) -> Callable[..., Any]:
    """An intrinsic that reads `source` numbers at a raw byte address as a vector like `like`."""

    @intrinsic
    def widen(typing: Any, address: types.Type, count: types.Type, like: Vector) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            form = ir.VectorType(context.get_value_type(source), like.lanes)
            pointer = builder.inttoptr(args[0], form.as_pointer())
            if masked:
                name = f"llvm.masked.load.v{like.lanes}{'i8' if source == types.uint8 else f'f{source.bitwidth}'}.p0"
                mask, zeros = llvm_first(builder, args[1], like.lanes), ir.Constant(form, [0] * like.lanes)
                loaded = call(builder, name, form, [pointer, ir.IntType(32)(1), mask, zeros])
            else:
                loaded = builder.load(pointer)
                loaded.align = 1
            return _convert(builder, loaded, source, like, args[2].type)

        return like(types.intp, types.intp, like), generate

    return widen  # type: ignore[no-any-return]


def _convert(builder: Any, loaded: Any, source: types.Type, like: Vector, form: ir.VectorType) -> Any:
    if source == types.uint8:
        return builder.uitofp(builder.zext(loaded, ir.VectorType(ir.IntType(32), like.lanes)), form)
    if source.bitwidth == like.dtype.bitwidth:
        return loaded
    return (builder.fptrunc if source.bitwidth > like.dtype.bitwidth else builder.fpext)(loaded, form)


# widen_X(address, count, like): a whole vector; widen_first_X: `count` numbers, zero in the other lanes. Apart, because
# without AVX-512 a masked load of bytes is a branch for every lane.
widen_uint8, widen_first_uint8 = _widening_load(types.uint8, False), _widening_load(types.uint8, True)
widen_float32, widen_first_float32 = _widening_load(types.float32, False), _widening_load(types.float32, True)
widen_float64, widen_first_float64 = _widening_load(types.float64, False), _widening_load(types.float64, True)


@intrinsic
def full(typing: Any, array: types.Type, value: types.Type, registers: types.Type) -> Any:
    """A vector of the array's dtype with `value` in every lane."""
    vector = vector_of(array, registers)
    if vector is None:
        return None

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return splat(builder, args[1], vector.lanes)

    return vector(array, vector.dtype, registers), generate
