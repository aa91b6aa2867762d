"""How kernels become LLVM's code, by this process and others at once.

numba types a kernel while it types the one that calls it, and lowers it, as translating to LLVM's code is called, there
and then. But all that callers need are its types. So here lowering waits, and other processes do it while this one
types the next kernels: on two CPUs a first fit with an empty cache takes 0.7 of the time.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from llvmlite import binding as llvm
from llvmlite.binding.newpassmanagers import FunctionPassManager, PassBuilder, create_new_function_pass_manager
from numba.core import codegen, typing
from numba.core.bytecode import FunctionIdentity
from numba.core.compiler import compile_result
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import LoweringPass, register_pass
from numba.core.funcdesc import PythonFunctionDescriptor
from numba.core.lowering import Lower
from numba.core.runtime import rtsys
from numba.core.targetconfig import ConfigStack

from .helpers import Helper, most_helpers

# So many kernels are a helper's work: with fewer there are more processes, each of which takes 50 ms to make, and with
# more the last one begins too late.
BATCH = 24
LEAST = 8


@cache
def _few_passes(target: Any) -> tuple[FunctionPassManager, PassBuilder]:
    passes = create_new_function_pass_manager()
    passes.add_sroa_pass()
    passes.add_simplify_cfg_pass()
    return passes, target._pass_builder()


class Part(codegen.JITCodeLibrary):  # type: ignore[misc]
    """The code of one kernel, for whoever calls it; there is nothing in it that Python could run."""

    _lower: Callable[[], object] | None = None

    def __init__(self, *made_of: Any) -> None:
        self._made_of = made_of
        self._empty()

    def _empty(self) -> None:
        super().__init__(*self._made_of)
        self.calls: list[Part] = []  # known when it is lowered
        self._others: list[Any] = []  # functions of numba's own that it calls

    @property
    def lowered(self) -> bool:
        return self._lower is None

    def lower_later(self, lower: Callable[[], object]) -> None:
        self._lower = lower
        lowering.add(self)

    def lower(self) -> None:
        if self._lower is None:
            return
        try:
            self._lower()
            for library in dict.fromkeys(self._others):  # after what calls them, or LLVM would leave them out
                self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        except BaseException:
            self._empty()  # or the next time, as after Ctrl-C, would find a half of it
            raise
        self._lower = None

    def as_lowered(self) -> tuple[bytes, list[int]]:
        """LLVM's code, and the places in `lowering.parts` of the kernels that it calls."""
        self.lower()
        return self._get_module_for_linking().as_bitcode(), [lowering.parts.index(part) for part in self.calls]

    def be_lowered(self, code: bytes, calls: list[int]) -> None:
        """By what `as_lowered` of a copy of it has given, if it is not by now."""
        if self.lowered:
            return
        self._shared_module = llvm.parse_bitcode(code)
        self.calls = [lowering.parts[place] for place in calls]
        self._lower = None

    def add_linking_library(self, library: Any) -> None:
        if isinstance(library, Part):
            self.calls.append(library)
        elif library is not rtsys.library:  # numba's runtime, of which kernels use nothing
            self._others.append(library)

    def _optimize_functions(self, module: Any) -> None:
        """Bring variables, which numba keeps in memory, to registers. Without, the whole would take as much longer; all
        that numba would do here takes four times as long, 2 of 28 seconds, and is done again to the whole."""
        module.data_layout = self._codegen._data_layout
        passes, builder = _few_passes(self._codegen)
        for function in module.functions:
            passes.run(function, builder)

    def finalize(self) -> None:
        self._finalized = True


class _Lowering:
    """Who lowers which part. All of it happens under numba's lock, one function that Python calls at a time."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._alone: list[Part] = []  # not lowered, nor given to a helper
        self._helpers: list[tuple[Helper, list[Part]]] = []
        self._made = 0

    def add(self, part: Part) -> None:
        """Some time it will be lowered."""
        self.parts.append(part)
        self._alone.append(part)
        self._receive()
        if len(self._alone) >= BATCH:
            self._share()

    def closure(self, libraries: Sequence[Any], between: Callable[[], object]) -> list[Any]:
        """These, and all that they call, lowered: those that call first, because helpers begin with those that are
        called. Nobody is waited for.

        between: called between two of them; it may raise.
        """
        self._receive()
        if len(self._alone) >= LEAST:
            self._share()
        found: dict[Any, None] = {}
        new = list(dict.fromkeys(libraries))
        while new:
            found.update(dict.fromkeys(new))
            calls: list[Part] = []
            for part in new:
                if isinstance(part, Part):
                    between()
                    self._receive()
                    part.lower()
                    calls += part.calls
            new = [part for part in dict.fromkeys(calls) if part not in found]
        self.dismiss()
        return list(found)

    def dismiss(self) -> None:
        """What helpers have not lowered is nobody's again."""
        with global_compiler_lock:
            for helper, _ in self._helpers:
                helper.dismiss()
            self._helpers = []
            self._alone = [part for part in self.parts if not part.lowered]

    def forget(self) -> None:
        """In a copy of this process: helpers, and what they send, are not for it."""
        for helper, _ in self._helpers:
            helper.forget()
        self._helpers = []

    def _share(self) -> None:
        if sum(helper.works for helper, _ in self._helpers) < most_helpers():
            self._made += 1
            try:
                helper = Helper(self._begin_helping, [part.as_lowered for part in self._alone])
            except (OSError, RuntimeError):
                return
            self._helpers.append((helper, self._alone))
            self._alone = []

    def _begin_helping(self) -> None:
        """Names of functions hold a number. Those that two processes make must not have the same."""
        FunctionIdentity._unique_ids = itertools.count(self._made << 32)

    def _receive(self) -> None:
        for helper, parts in self._helpers:
            for place, lowered in helper.take():
                parts[place].be_lowered(*lowered)


lowering = _Lowering()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lowering.forget)


@register_pass(mutates_CFG=False, analysis_only=True)
class LowerLater(LoweringPass):  # type: ignore[misc]
    """In place of numba's pass that lowers a function, for one that only others call."""

    _name = "fastnn_lower_later"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        part, target, function, flags = state.library, state.targetctx, state.func_ir, state.flags.copy()
        description = PythonFunctionDescriptor.from_specialized_function(
            function,
            state.typemap,
            state.return_type,
            state.calltypes,
            mangler=target.mangler,
            inline=flags.forceinline,
            noalias=flags.noalias,
            abi_tags=[flags.get_mangle_string()],
        )

        def lower() -> None:
            with ConfigStack().enter(flags), target.push_code_library(part):
                Lower(target, part, description, function).lower()

        part.lower_later(lower)
        target.insert_user_function(part, description, [part])
        state.cr = compile_result(
            typing_context=state.typingctx,
            target_context=target,
            entry_point=part,
            library=part,
            signature=typing.signature(state.return_type, *state.args),
            fndesc=description,
        )
        return True
