"""How every kernel is compiled, said once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from numba import config, extending, njit, types
from numpy.typing import NDArray

from . import cache, linking

if config.DISABLE_JIT:
    raise ImportError("NUMBA_DISABLE_JIT is set; expected it unset, for kernels only run compiled, or backend='numpy'.")

Array = NDArray[Any]  # C-contiguous, of one dimension unless it says so; numbers are float32 or float64
F = TypeVar("F", bound=Callable[..., object])

# Sums may be reordered and contracted; NaN and infinity must stay what they are (no nnan, no ninf), or a diverged
# loss could not be seen.
FASTMATH = {"reassoc", "contract", "arcp", "afn", "nsz"}


def _compile(function: F, **how: Any) -> F:
    """Without the GIL; division by zero gives infinity, as in NumPy.

    Without numba's runtime, too (_nrt): what allocates does not compile, and references to arrays are not counted,
    which took 100 ns for each tuple of arrays that was opened.
    """
    made: Any = njit(_nrt=False, nogil=True, error_model="numpy", fastmath=FASTMATH, no_cfunc_wrapper=True, **how)(
        function
    )
    template = made.get_call_template

    def any_number(arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
        return template(
            tuple(map(types.unliteral, arguments)), {name: types.unliteral(kind) for name, kind in named.items()}
        )

    # numba would compile a kernel once more for every constant it is called with.
    made.get_call_template = any_number
    return made  # type: ignore[no-any-return]


def kernel(function: F) -> F:
    """A compiled function that only others call: what Python would need takes a third of the time to compile."""
    compiled = _compile(function, no_cpython_wrapper=True, pipeline_class=linking.PartCompiler)
    made: Any = compiled

    def refuse(*arguments: Any, **named: Any) -> None:
        raise TypeError(f"{function.__name__} is called by kernels only; expected an entry.")

    made._insert = lambda *overload, **how: None  # or Python would call what is not there, and crash
    made._compile_for_args = refuse
    return compiled


def noinline(function: F) -> F:
    """A kernel that its callers call, where LLVM would copy it into each of them: for those that work for microseconds
    a call. A first fit with an empty cache takes 7% less."""
    module = function.__module__.rpartition(".")[2]
    linking.NOINLINE.add(f"{len(module)}{module}{len(function.__name__)}{function.__name__}")
    return kernel(function)


def entry(function: F) -> F:
    """A kernel that Python calls, kept for the next process; in other kernels it is a part like any of them."""
    made: Any = _compile(function, pipeline_class=linking.WholeCompiler)
    made._compile_for_args = linking.compile_and_hear(made._compile_for_args)
    part: Any = kernel(function)
    made.get_call_template, made.get_overload = part.get_call_template, part.get_overload
    return cache.keep(made)  # type: ignore[no-any-return]


def kernel_by_dtype(single: F, double: F) -> F:
    """A kernel that is one of two, by the dtype of the first array of floating-point numbers among its arguments; the
    other one is not compiled."""

    def array_dtypes(arguments: Sequence[Any]) -> Iterator[Any]:
        for argument in arguments:
            if isinstance(argument, types.BaseTuple):
                yield from array_dtypes(argument.types)
            elif isinstance(argument, types.Array) and isinstance(argument.dtype, types.Float):
                yield argument.dtype

    def chosen(arguments: Sequence[Any]) -> Any:
        return single if next(array_dtypes(arguments)) == types.float32 else double

    made: Any = kernel(lambda: None)
    made.get_call_template = lambda arguments, named: chosen(arguments).get_call_template(arguments, named)
    made.get_overload = lambda arguments: chosen(arguments).get_overload(arguments)
    return made  # type: ignore[no-any-return]


def intrinsic(function: Callable[..., Any]) -> Any:
    """A function whose LLVM code we write ourselves; whole-number arguments come with their values."""
    return extending.intrinsic(prefer_literal=True)(function)
