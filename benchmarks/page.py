"""What goes from a benchmark into a page: tables between markers, and the machine that they were measured on."""

from __future__ import annotations

import argparse
import math
import os
import platform
import re
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

from fastnn import matrix_unit
from fastnn.kernels.simd.vectors import FEATURES

VECTORS = {"AVX-512": "avx512f", "AVX2": "avx2"}
NAMES = {"numpy": "NumPy", "torch": "PyTorch", "jax": "JAX", "fastnn-numba": "fastnn"}  # of distributions


def machine(distributions: Iterable[str] = ("numpy", "numba")) -> str:
    """The processor and the versions that figures are of, in a sentence."""
    try:
        models = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        models = []
    cpu = models[0] if models else platform.processor() or platform.machine()
    if matrix_unit.available():
        cpu += " with a matrix unit (AMX)"
    else:
        cpu += next((f" with {name}" for name, feature in VECTORS.items() if feature in FEATURES), "")
    versions = [f"{NAMES.get(name, name)} {version(name)}" for name in distributions]
    return ", ".join([cpu, f"{os.cpu_count()} cores", f"Python {platform.python_version()}", *versions]) + "."


def ratio_text(ratio: float) -> str:
    """Two decimals of a ratio below 2, else one."""
    return f"{ratio:.1f}" if ratio >= 2 else f"{ratio:.2f}"


def milliseconds(seconds: float) -> str:
    """As milliseconds, with three digits at least."""
    return f"{1e3 * seconds:.{max(0, 2 - math.floor(math.log10(1e3 * seconds)))}f}"


def add_write(parser: argparse.ArgumentParser, name: str) -> None:
    """The flag --write, for a page with markers of this name; another is refused before anything is measured."""
    what = "put the table between this file's markers"
    parser.add_argument("--write", type=page_with(name), metavar="README.md", help=what)


def page_with(name: str) -> Callable[[str], Path]:
    """What argparse makes a page's name a path by: it refuses one without markers of this name, before anything is
    measured."""

    def page(text: str) -> Path:
        try:
            _around(Path(text), name)
        except (OSError, ValueError) as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return Path(text)

    return page


def write(path: Path, name: str, text: str) -> None:
    """Replace what stands between <!-- name:begin --> and <!-- name:end --> in a file. ValueError without them."""
    before, after = _around(path, name)
    path.write_text(f"{before}\n{text}\n{after}", encoding="utf-8")


def _around(path: Path, name: str) -> tuple[str, str]:
    """All up to the first marker, and all from the second one on."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, found_begin, rest = path.read_text(encoding="utf-8").partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"{path} has no {begin} followed by {end}; expected both.")
    return before + begin, end + after
