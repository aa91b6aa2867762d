"""What goes from a benchmark into a page: tables between markers, and the machine that they were measured on."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path


def machine() -> str:
    """The processor and the versions that figures are of, in a sentence."""
    try:
        models = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        models = []
    cpu = models[0] if models else platform.processor() or platform.machine()
    versions = f"Python {platform.python_version()}, NumPy {version('numpy')}, numba {version('numba')}"
    return f"{cpu}, {os.cpu_count()} cores, {versions}."


def write(path: Path, name: str, text: str) -> None:
    """Replace what stands between <!-- name:begin --> and <!-- name:end --> in a file. ValueError without them."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, found_begin, rest = path.read_text(encoding="utf-8").partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"{path} has no {begin} followed by {end}; expected both.")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
