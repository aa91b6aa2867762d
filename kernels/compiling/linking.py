"""How kernels become one piece of machine code: little is done to the parts, and all once to the whole.

numba optimizes every function by itself and translates it to machine code, then all over again inside each of its
callers: a trainer of a hundred kernels, most of them inlined, took 20 seconds. Here a kernel that only others call
stays nearly as it was written, see lowering.py, and what Python calls is linked from all of its parts, optimized and
translated once: in little more than half the time, and the same machine code but for the order of some instructions.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import BuiltinFunctionType
from typing import Any, ClassVar

from llvmlite.binding import Linkage
from numba.core import codegen, compiler, typed_passes, types, untyped_passes
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.ir_utils import build_definitions
from numba.core.ssa import reconstruct_ssa

from . import interrupts
from .lowering import LowerLater, Part, lowering

# Kernels that stay functions of their own, as LLVM's names of functions have them: see `noinline` in compile.py.
NOINLINE: set[str] = set()


@register_pass(mutates_CFG=True, analysis_only=False)
class _ReconstructSSA(untyped_passes.ReconstructSSA):  # type: ignore[misc]
    """Every variable gets its value in one place."""

    def run_pass(self, state: Any) -> bool:
        state.func_ir = reconstruct_ssa(state.func_ir)
        state.func_ir._definitions = build_definitions(state.func_ir.blocks)
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class _StripPhis(typed_passes.PreLowerStripPhis):  # type: ignore[misc]
    """Places where several values meet become assignments again."""

    def run_pass(self, state: Any) -> bool:
        state.func_ir = self._strip_phi_nodes(state.func_ir)
        state.func_ir._definitions = build_definitions(state.func_ir.blocks)
        return True


# What numba does to a kernel. All else that it would do, for closures, comprehensions and expressions of whole arrays
# or once more to be sure, takes 3 of 26 seconds. Forgetting variables, which is for counted references, is 7% of the
# calls that Python would make, and looking after every pass how long each variable lives another 10%.
_PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.DeadBranchPrune,
    untyped_passes.GenericRewrites,
    _ReconstructSSA,
    typed_passes.NopythonTypeInference,
    _StripPhis,
    typed_passes.AnnotateTypes,
)


class Paused(BaseException):
    """Compiling has ended between two kernels, for something that waits. Those that are compiled stay so."""


def _pause() -> None:
    if interrupts.waits():
        raise Paused


def compile_and_hear(compile_for: Callable[..., Any]) -> Callable[..., Any]:
    """compile_for, which takes some 15 seconds, with signals heard between two kernels. Anywhere else they would leave
    numba half done, and processes that nobody ends."""

    @wraps(compile_for)
    def compile_held(*arguments: Any, **named: Any) -> Any:
        with interrupts.held():
            try:
                while True:
                    try:
                        return compile_for(*arguments, **named)
                    except Paused:
                        interrupts.hear()
            except BaseException:
                lowering.dismiss()
                raise

    return compile_held


class _Typing:
    """numba's context of types, which remembers what functions that are not kernels return: it asks a hundred templates
    for every `a + b` and loads its registries for every intrinsic, 3 of 23 seconds."""

    _known: ClassVar[dict[Any, Any]] = {}

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def resolve_function_type(self, function: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if not isinstance(function, types.BaseFunction | BuiltinFunctionType):
            return self._context.resolve_function_type(function, arguments, named)
        key = function, arguments, tuple(named.items())
        if key not in self._known:
            self._known[key] = self._context.resolve_function_type(function, arguments, named)
        return self._known[key]


class _Whole(codegen.JITCodeLibrary):  # type: ignore[misc]
    """The code of one function that Python calls, and of all kernels that it calls."""

    _linking_libraries: list[Any]

    def add_linking_library(self, library: Any) -> None:
        self._linking_libraries.append(library)

    def finalize(self) -> None:
        self._linking_libraries = lowering.closure(self._linking_libraries, _pause)
        _pause()
        super().finalize()

    def _optimize_final_module(self) -> None:
        """As the parts are called by nobody else, LLVM may leave out arguments: a call with four matrices passes 45
        numbers, of which a tile needs 15. 24-64-8 trains 10% faster, 784-128-10 1 to 4%; compiling takes 6% longer."""
        for function in self._final_module.functions:
            if function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal
                if any(name in function.name for name in NOINLINE):
                    function.add_function_attribute("noinline")
        _pause()
        super()._optimize_final_module()
        _pause()


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Compiling makes objects that stay by the million, and the collector looked through them for 2 of 28 seconds."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _make_compiler(kind: type, *last_passes: type) -> Any:
    class Compiler(compiler.Compiler):  # type: ignore[misc]
        def __init__(self, typing_context: Any, target_context: Any, library: Any, *rest: Any) -> None:
            made = kind(target_context.codegen(), kind.__name__)
            made.enable_object_caching()
            super().__init__(_Typing(typing_context), target_context, made, *rest)

        def define_pipelines(self) -> list[PassManager]:
            manager = PassManager("kernel")
            manager._ENFORCING = False  # or it would look after every pass whether that kept the rules
            for each in (*_PASSES, *last_passes):
                manager.add_pass(each)
            manager.finalize()
            return [manager]

        def compile_extra(self, function: Any) -> Any:
            _pause()
            with _without_collecting():
                return super().compile_extra(function)

    return Compiler


PartCompiler = _make_compiler(Part, LowerLater)
WholeCompiler = _make_compiler(_Whole, typed_passes.NativeLowering, typed_passes.NoPythonBackend)
