"""How threads that run one kernel meet: a barrier and atomic numbers, all in one int64 array."""

from __future__ import annotations

import sys
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils

from .compiling.compile import Array, intrinsic, kernel
from .simd.vectors import array_address

# Slots of the array, a cache line apart so that no two threads write to one line for different reasons.
ARRIVED, GENERATION, STOP, STOPPING, DIVERGED, STEPS, NEXT, ABANDONED = 0, 8, 16, 24, 32, 40, 48, 56
ENTERED, CONTROL_SIZE = 64, 72

# A meeting takes 0.3 us; after this many looks (about 50 us) a thread offers its core to others.
SPINS = 2000

# So many looks (250 to 900 us, by the CPU) a thread stays in a kernel for the next call.
STAY = 20000

_X86 = llvm.get_process_triple().startswith(("x86_64", "i686"))
_yield_cpu = types.ExternalFunction("SwitchToThread" if sys.platform == "win32" else "sched_yield", types.int32())


@intrinsic
def atomic_add(typing: Any, array: types.Type, index: types.Type, value: types.Type) -> Any:
    """array[index] += value; returns what was there before."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.atomic_rmw(
            "add", array_address(builder, context, sig.args[0], args[0], args[1]), args[2], "acq_rel"
        )

    return types.int64(array, types.intp, types.int64), generate


@intrinsic
def atomic_load(typing: Any, array: types.Type, index: types.Type) -> Any:
    """array[index]; what its writer wrote before is visible after."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load_atomic(array_address(builder, context, sig.args[0], args[0], args[1]), "acquire", 8)

    return types.int64(array, types.intp), generate


@intrinsic
def atomic_store(typing: Any, array: types.Type, index: types.Type, value: types.Type) -> Any:
    """array[index] = value; what was written before is visible to whoever reads it."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store_atomic(args[2], array_address(builder, context, sig.args[0], args[0], args[1]), "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), generate


@intrinsic
def _pause(typing: Any) -> Any:
    """Tell an x86 core that this is a waiting loop; other CPUs need no word."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if _X86:
            hint = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, hint, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), generate


# The bits of MXCSR by which an x86 core counts numbers below the normal ones as zero, read and written.
_FLUSH = 0x8040


@intrinsic
def flush_denormals(typing: Any) -> Any:
    """From now on numbers below the normal ones count as zero; returns the mode before, for `restore_mode`.

    What an optimizer remembers of a gradient that stays zero shrinks that far, and then costs an x86 core 150 cycles a
    number: Adam on MNIST, 784-128-10, took twice as long. Other CPUs need no word.
    """

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if not _X86:
            return ir.IntType(32)(0)
        mode = _mxcsr(builder, "stmxcsr", cgutils.alloca_once(builder, ir.IntType(32)))
        _mxcsr(
            builder,
            "ldmxcsr",
            cgutils.alloca_once_value(builder, builder.or_(builder.load(mode), ir.IntType(32)(_FLUSH))),
        )
        return builder.load(mode)

    return types.int32(), generate


@intrinsic
def restore_mode(typing: Any, mode: types.Type) -> Any:
    """Back to the mode that `flush_denormals` found."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if _X86:
            _mxcsr(builder, "ldmxcsr", cgutils.alloca_once_value(builder, args[0]))
        return context.get_dummy_value()

    return types.void(types.int32), generate


def _mxcsr(builder: Any, instruction: str, pointer: Any) -> Any:
    """Let the instruction read or write the word at the pointer."""
    pointer_type = ir.IntType(8).as_pointer()
    function = ir.FunctionType(ir.VoidType(), [pointer_type])
    name = f"llvm.x86.sse.{instruction}"
    builder.call(
        cgutils.get_or_insert_function(builder.module, function, name), [builder.bitcast(pointer, pointer_type)]
    )
    return pointer


@kernel
def enter(control: Array) -> None:
    """Count this thread among those that the others do not wait for in vain."""
    atomic_add(control, ENTERED, 1)


@kernel
def barrier(control: Array, threads: int) -> None:
    """Wait until all `threads` threads are here; in vain once ABANDONED is set, because one could not be started."""
    if threads == 1:
        return
    generation = atomic_load(control, GENERATION)
    if atomic_add(control, ARRIVED, 1) == threads - 1:
        atomic_store(control, ARRIVED, 0)
        atomic_store(control, GENERATION, generation + 1)
        return
    looks = 0
    while atomic_load(control, GENERATION) == generation:
        looks += 1
        if looks < SPINS:
            _pause()
        elif atomic_load(control, ABANDONED):
            return
        else:
            _yield_cpu()


@kernel
def begin_together(control: Array, t: int) -> None:
    """Thread 0 calls those that have stayed at the end of the last kernel."""
    if t == 0:
        atomic_add(control, GENERATION, 1)


@kernel
def end_together(control: Array, t: int, threads: int) -> None:
    """Thread 0 waits until all others are here; in vain once ABANDONED is set.

    The others stay for a while, until it begins again: outside they would need the GIL, which thread 0 takes next, and
    a thread that the system has put to sleep needs 50 us to wake up.
    """
    if threads == 1:
        return
    looks = 0
    if t == 0:
        while atomic_load(control, ARRIVED) < threads - 1 and not (looks > SPINS and atomic_load(control, ABANDONED)):
            looks += 1
            if looks < SPINS:
                _pause()
            else:
                _yield_cpu()
        atomic_store(control, ARRIVED, 0)
        atomic_store(control, NEXT, 0)
        return
    generation = atomic_load(control, GENERATION)
    atomic_add(control, ARRIVED, 1)
    while looks < STAY and atomic_load(control, GENERATION) == generation:
        looks += 1
        _pause()


@kernel
def next_part(control: Array, threads: int, last: int) -> int:
    """The number of a part of the work that nobody does yet, after the `last` one, or -1, that this thread has done:
    whoever comes late, because it had to wake up, finds less to do. For parts that do not depend on each other."""
    return last + 1 if threads == 1 else atomic_add(control, NEXT, 1)


@kernel
def share(count: int, grain: int, t: int, threads: int) -> tuple[int, int]:
    """The part (begin, end) of `count` that thread t works on, in whole grains."""
    grains = (count + grain - 1) // grain
    return min(count, grains * t // threads * grain), min(count, grains * (t + 1) // threads * grain)
