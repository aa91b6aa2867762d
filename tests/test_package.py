"""The package as people get it: its names, how quickly it imports, and what the wheel holds."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fastnn

ROOT = Path(__file__).parents[1]


def python(*arguments: str, cwd: Path | None = None, **environment: str) -> str:
    """What a fresh Python prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=cwd,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_public_names() -> None:
    assert len(set(fastnn.__all__)) == len(fastnn.__all__)
    for name in fastnn.__all__:
        assert getattr(fastnn, name).__name__.split(".")[-1] == name
    public = python("-c", "import fastnn; print(*(name for name in vars(fastnn) if name[0] != '_'))").split()
    assert set(public) <= {*fastnn.__all__, "annotations", "import_module", "TYPE_CHECKING", "Any"}
    assert set(fastnn.__all__) <= set(dir(fastnn))


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'fastnn' has no attribute 'Model'"):
        fastnn.Model  # noqa: B018


def test_the_import_is_light() -> None:
    show = "import sys, fastnn; print({'numpy', 'numba', 'tqdm', 'safetensors'} & set(sys.modules) or 'none')"
    assert python("-c", show) == "none\n"


def test_help_needs_no_numba() -> None:
    help_and_modules = (
        "import atexit, runpy, sys; sys.argv = ['train', '--help'];"
        "atexit.register(lambda: print({'numpy', 'numba'} & set(sys.modules) or 'none'));"
        "runpy.run_module('fastnn.train', run_name='__main__')"
    )
    text = python("-c", help_and_modules)
    assert "--lr" in text
    assert text.endswith("none\n")


def test_predictions_in_numpy_need_no_numba() -> None:
    use = "import sys, fastnn; fastnn.MLP([2, 2], backend='numpy').predict([[1, 2]]); print('numba' in sys.modules)"
    assert python("-c", use) == "False\n"


def test_kernels_say_that_they_must_be_compiled() -> None:
    data = "X, y = np.ones((5000, 8), np.float32), np.arange(5000) % 2"
    fit = "fastnn.MLP([8, 2], backend='numpy').fit(X, y, epochs=1, verbose=False)"
    use = "try:\n    import fastnn.ops\nexcept ImportError as error:\n    print(error)"
    show = f"import numpy as np, fastnn\n{data}\n{fit}\n{use}"
    printed = python("-c", show, NUMBA_DISABLE_JIT="1")
    assert printed.startswith("NUMBA_DISABLE_JIT is set; expected it unset")


def test_kernels_have_one_name() -> None:
    """Found under another, they would be compiled twice."""
    spec = importlib.util.spec_from_file_location("kernels", ROOT / "kernels" / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(ImportError, match=r"these kernels as fastnn\.kernels, not as kernels:"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


# --- the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, so that no other build's leavings get in and none are left here."""
    folder = tmp_path_factory.mktemp("wheel")
    unwanted = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "runs", "tests", "benchmarks")
    shutil.copytree(ROOT, folder / "source", symlinks=True, ignore=unwanted)
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(folder / "source"))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """A directory with only what the wheel holds; the dependencies are this Python's own."""
    target = wheel.parent / "installed"
    python("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel))
    return target


def test_what_the_wheel_holds(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert len(set(names)) == len(names)
    held = {name for name in names if ".dist-info/" not in name}
    sources = {f"fastnn/{path.name}" for path in (ROOT / "fastnn").glob("*.py")}
    for folder in ("kernels", "data", "commands", "compiled", "plots", "estimators"):
        home = ROOT / "fastnn" / folder
        sources |= {f"fastnn/{folder}/{path.relative_to(home).as_posix()}" for path in home.rglob("*.py")}
    files = {
        f"fastnn/data/{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
    }
    assert held == sources | files | {"fastnn/py.typed", "fastnn/data/README.md"}


def test_the_installed_package_works_elsewhere(installed: Path, tmp_path: Path) -> None:
    """-P and the path: Python finds the installed package first, and not the sources."""
    use = """
import fastnn, numpy
from fastnn.kernels import matmul
X_train, y_train, X_test, y_test = fastnn.load_mnist()
print(fastnn.__file__, matmul.__file__, X_train.shape, X_test.shape, numpy.bincount(y_test).tolist())
"""
    text = python("-P", "-c", use, cwd=tmp_path, PYTHONPATH=str(installed))
    counts = "[980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]"
    home = installed / "fastnn"
    files = f"{home / '__init__.py'} {home / 'kernels' / 'matmul.py'}"
    assert text == f"{files} (60000, 784) (10000, 784) {counts}\n"


def test_the_installed_command_trains_elsewhere(installed: Path, tmp_path: Path) -> None:
    flags = ("--epochs", "1", "--hidden", "16", "--no-progress", "--json", "--out", "model")
    text = python("-P", "-m", "fastnn.train", *flags, cwd=tmp_path, PYTHONPATH=str(installed))
    assert json.loads(text.splitlines()[-1])["test_accuracy"] > 0.8
    assert {"last.safetensors", "report.html", "config.toml"} <= set(os.listdir(tmp_path / "model"))
