"""Where compiled kernels are kept between processes.

numba stamps a cache entry with its own source file only: after a change in a helper's file it would run the stale
machine code. Here one directory is named after all that machine code depends on: every kernel's source, numba, the CPU.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import filelock
import llvmlite
import llvmlite.binding as llvm
import numba
import platformdirs
from numba import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache, _CacheLocator
from numba.core.codegen import get_host_cpu_features
from numba.core.runtime import rtsys

KERNELS = Path(__file__).parents[1]

# A process that cannot save for so long, because another one holds the lock, keeps nothing.
PATIENCE_SECONDS = 10.0

# What reading an entry raises that was cut short when the power failed.
CUT_SHORT = EOFError, pickle.UnpicklingError

# The last of them is called with a kernel's name before it is compiled, so that somebody can say what takes so long.
listeners: list[Callable[[str], None]] = []


def fingerprint() -> str:
    """Sixteen hexadecimal digits that change whenever compiled kernels have to."""
    digest = hashlib.sha256()
    for source in sorted(KERNELS.rglob("*.py")):
        name = source.relative_to(KERNELS).as_posix()
        digest.update(name.encode() + b"\0" + source.read_bytes() + b"\0")
    cpu = config.CPU_NAME or llvm.get_host_cpu_name()
    features = config.CPU_FEATURES or get_host_cpu_features()
    digest.update("\0".join([numba.__version__, llvmlite.__version__, cpu, features]).encode())
    return digest.hexdigest()[:16]


@cache
def directory() -> Path | None:
    """The directory of the kernels as they are now, or None, with one warning, where none can be written."""
    root = Path(config.CACHE_DIR) if config.CACHE_DIR else Path(platformdirs.user_cache_dir("fastnn", appauthor=False))
    path = root / f"kernels-{fingerprint()}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path / "lock", timeout=PATIENCE_SECONDS):
            pass
    except (OSError, filelock.Timeout, NotImplementedError) as error:
        warnings.warn(
            f"Compiled kernels cannot be kept in {path} ({error}); they are compiled anew in every process.",
            stacklevel=2,
        )
        return None
    return path


class _Locator(_CacheLocator):  # type: ignore[misc]
    @classmethod
    def from_function(cls, py_func: Any, py_file: Any) -> _Locator:
        return cls()

    def get_cache_path(self) -> str:
        return str(directory())

    def get_source_stamp(self) -> str:
        return "the directory's name says it"

    def get_disambiguator(self) -> str:
        return "kernel"


class _Implementation(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = [_Locator]  # noqa: RUF012


class _KernelCache(FunctionCache):  # type: ignore[misc]
    """numba's cache, with a lock around writing.

    Without it two processes that save at once can leave an index that points to another kernel's machine code.
    """

    _impl_class = _Implementation

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        # numba would get ready to compile, as it does again before it compiles: with all that it knows of NumPy, and
        # of SciPy where that is installed, 0.1 to 0.25 of the 1.1 seconds from a process's start to its first epoch.
        rtsys.initialize(target_context)
        found = None
        try:
            with self._guard_against_spurious_io_errors():
                found = self._load_overload(sig, target_context)
        except CUT_SHORT:  # forget what the index says
            with suppress(OSError, filelock.Timeout), self._lock():
                self.flush()
        if found is None:
            _announce(self._py_func.__name__)
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            with self._lock():
                super().save_overload(sig, data)
        except (OSError, filelock.Timeout, *CUT_SHORT) as error:
            warnings.warn(f"A compiled kernel could not be kept in {self.cache_path} ({error}).", stacklevel=2)

    def _lock(self) -> filelock.BaseFileLock:
        return filelock.FileLock(Path(self.cache_path) / "lock", timeout=PATIENCE_SECONDS)


def _announce(name: str) -> None:
    if listeners:
        listeners[-1](name)


class _NoCache(NullCache):  # type: ignore[misc]
    """Where nothing can be kept: only says that a kernel is being compiled."""

    def __init__(self, py_func: Any) -> None:
        self._name = py_func.__name__

    def load_overload(self, sig: Any, target_context: Any) -> None:
        _announce(self._name)


class _LazyCache:
    """Looks for the directory when the first kernel is called, not when the package is imported."""

    def __init__(self, py_func: Any) -> None:
        self._py_func = py_func
        self._chosen: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._chosen is None:
            self._chosen = (_KernelCache if directory() else _NoCache)(self._py_func)
        return getattr(self._chosen, name)


def keep(dispatcher: Any) -> Any:
    """Give a compiled function this cache in place of numba's own."""
    dispatcher._cache = _LazyCache(dispatcher.py_func)
    return dispatcher
