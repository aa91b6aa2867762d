"""Where compiled kernels are kept: when that place changes, when there is none, and when two processes want it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
import pytest
from numba import config

from fastnn.kernels.compiling import cache

HOME = cache.KERNELS
SOURCES = sorted(HOME.rglob("*.py"))

# Calls one cheap kernel and prints what it gave, what was compiled, where it is kept, and what was warned of.
SCRIPT = """
import json, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import numpy as np
    from fastnn import ops
    from fastnn.kernels.compiling import cache
    compiled = []
    cache.listeners.append(compiled.append)
    results = [ops.relu(np.array([-1.0, 2.0], dtype)).tolist() for dtype in (np.float32, np.float64)]
    results.append(ops.relu_backward(results[1], results[1]).tolist())
print(json.dumps({
    "results": results, "compiled": compiled, "directory": cache.directory() and str(cache.directory()),
    "warnings": [str(warning.message) for warning in caught], "fingerprint": cache.fingerprint(),
}))
"""
# Then compiles a function of its own, which needs what numba knows of NumPy, lists and memory.
SCRIPT_OF_ANOTHER = (
    SCRIPT
    + """
import sys
from numba import njit

@njit
def squares(n):
    numbers = [np.full(k, 1.5) for k in range(1, n)]
    return [float(x.sum()) ** 2 for x in numbers], np.ones((2, 2)) @ np.ones((2, 2))

assert "numba.typed.typedlist" not in sys.modules
assert squares(3)[0] == [2.25, 9.0] and squares(3)[1].tolist() == [[2.0, 2.0]] * 2
"""
)
RESULTS = [[0, 2], [0, 2], [0, 2]]
KERNELS = ["activate_together", "activate_together", "activate_backward_together"]


def start(root: Path, script: str = SCRIPT) -> subprocess.Popen[str]:
    """A process with its cache below `root`."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(root)}
    command = [sys.executable, "-c", script]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What it printed; it has to end well."""
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    report: dict[str, Any] = json.loads(out)
    return report


# --- the directory's name


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the kernels' sources, which the fingerprint is now taken of."""
    folder = tmp_path / "kernels"
    folder.mkdir()
    for source in SOURCES:
        copy = folder / source.relative_to(HOME)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(source, copy)
    monkeypatch.setattr(cache, "KERNELS", folder)
    return folder


def test_same_sources_have_the_same_name(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = cache.fingerprint()
    monkeypatch.undo()
    assert cache.fingerprint() == here
    assert len(here) == 16
    assert set(here) <= set("0123456789abcdef")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.relative_to(HOME)))
def test_any_source_changes_the_name(source: Path, copied: Path) -> None:
    before = cache.fingerprint()
    changed = copied / source.relative_to(HOME)
    changed.write_bytes(source.read_bytes() + b"#")
    assert cache.fingerprint() != before
    changed.write_bytes(source.read_bytes())
    assert cache.fingerprint() == before
    changed.rename(changed.with_name(f"{source.stem}_2.py"))
    assert cache.fingerprint() != before


def test_a_new_source_changes_the_name(copied: Path) -> None:
    before = cache.fingerprint()
    (copied / "new.py").write_text("")
    one = cache.fingerprint()
    (copied / "new.py").rename(copied / "training" / "new.py")
    assert len({before, one, cache.fingerprint()}) == 3


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (numba, "__version__", "0.0"),
        (llvmlite, "__version__", "0.0"),
        (config, "CPU_NAME", "another"),
        (config, "CPU_FEATURES", "+another"),
        (llvm, "get_host_cpu_name", lambda: "another"),
        (llvm, "get_host_cpu_features", lambda: llvm.FeatureMap({"another": True})),
    ],
    ids=["numba", "llvmlite", "chosen CPU", "chosen features", "CPU", "features"],
)
def test_another_compiler_or_cpu_changes_the_name(
    owner: Any, name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "CPU_NAME", None)
    monkeypatch.setattr(config, "CPU_FEATURES", None)
    before = cache.fingerprint()
    monkeypatch.setattr(owner, name, value)
    assert cache.fingerprint() != before


# --- processes


def test_no_place_to_write(tmp_path: Path) -> None:
    """One warning, and everything is computed all the same."""
    (tmp_path / "file").write_text("")
    report = finish(start(tmp_path / "file" / "below"))
    assert report["results"] == RESULTS
    assert report["compiled"] == KERNELS
    assert report["directory"] is None
    (warning,) = report["warnings"]
    assert str(tmp_path / "file" / "below") in warning
    assert "compiled anew in every process" in warning


def test_two_processes_compile_at_once_and_a_third_nothing(tmp_path: Path) -> None:
    both = [start(tmp_path / "new" / "folder") for _ in range(2)]
    for report in map(finish, both):
        assert report["results"] == RESULTS
        assert report["warnings"] == []
        assert report["directory"] == str(tmp_path / "new" / "folder" / f"kernels-{report['fingerprint']}")
    third = finish(start(tmp_path / "new" / "folder"))
    assert third["results"] == RESULTS
    assert third["compiled"] == []
    assert third["warnings"] == []


def test_kept_kernels_do_without_what_numba_needs_to_compile(tmp_path: Path) -> None:
    """And others still compile after that, in the same process."""
    finish(start(tmp_path))
    assert finish(start(tmp_path, SCRIPT_OF_ANOTHER))["compiled"] == []


def test_damaged_entries_are_compiled_again(tmp_path: Path) -> None:
    """A process that was killed while it wrote, or a full disk, must not stop the next one."""
    directory = Path(finish(start(tmp_path))["directory"])
    for path in directory.iterdir():
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    report = finish(start(tmp_path))
    assert report["results"] == RESULTS


def test_damaged_entries_that_nobody_can_remove_are_passed_over(tmp_path: Path) -> None:
    """As on a full disk: what is compiled is used, though it is not kept."""
    full = "import os\ndef no_room(*names):\n    raise OSError(28, 'No space left on device')\nos.replace = no_room\n"
    directory = Path(finish(start(tmp_path))["directory"])
    damaged = {path: path.read_bytes()[: path.stat().st_size // 2] for path in directory.glob("*.nb*")}
    for path, content in damaged.items():
        path.write_bytes(content)
    report = finish(start(tmp_path, full + SCRIPT))
    assert report["results"] == RESULTS
    assert report["compiled"] == KERNELS
    assert len(report["warnings"]) > 0
    assert all("could not be kept" in warning for warning in report["warnings"])
    assert {path: path.read_bytes() for path in damaged} == damaged
