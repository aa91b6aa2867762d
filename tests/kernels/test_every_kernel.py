"""Every compiled function of the package has the common settings: none was made by another decorator."""

import ast
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from numba import njit
from numba.core.dispatcher import Dispatcher

from fastnn import data, kernels
from fastnn.kernels import sync
from fastnn.kernels.compiling.compile import FASTMATH, entry, kernel

# Those that Python calls, so that the next process must find them compiled.
ENTRIES = {
    "activations": "activate_together activate_backward_together",
    "finite": "all_finite",
    "training.inference": "predict_or_evaluate predict_few",
    "losses": "loss_together",
    "matmul": "matmul_bias matmul_bias_backward",
    "matrix_unit.matmul_thirds": "matmul_bias matmul_bias_backward",
    "softmax": "softmax_together softmax_backward_together",
    "compressing": "count_nonzeros compress_rows",
    "lists": "flip_blocks",
    "training.slices": "train_slices",
    "matrix_unit.whole_numbers": "encode_rows",
    "training.full_batch": "train_full_batch gradient",
    "training.minibatches": "train_minibatches",
    "training.replicas": "train_replicas",
}


def modules() -> list[str]:
    found = pkgutil.walk_packages(kernels.__path__, "fastnn.kernels.")
    return sorted(module.name.removeprefix("fastnn.kernels.") for module in found)


def compiled_in(module: str) -> Iterator[tuple[str, Any]]:
    for name, value in vars(importlib.import_module(f"fastnn.kernels.{module}")).items():
        if isinstance(value, Dispatcher):
            yield name, value


def wrong_settings(dispatcher: Any) -> list[str]:
    """What distinguishes a compiled function from one made by `kernel` or `entry`."""
    common: Any = kernel(lambda: None)
    wanted, options = common.targetoptions, dispatcher.targetoptions
    names = {*wanted, *options} - {"no_cpython_wrapper"}
    return sorted(name for name in names if options.get(name) != wanted.get(name))


def is_kept(dispatcher: Any) -> bool:
    """Whether the next process finds it compiled."""
    kept: Any = entry(lambda: None)
    return type(dispatcher._cache) is type(kept._cache)


@pytest.mark.parametrize("module", modules())
def test_common_settings(module: str) -> None:
    found = {name: wrong_settings(dispatcher) for name, dispatcher in compiled_in(module)}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_the_common_settings() -> None:
    options = kernel(lambda: None).targetoptions  # type: ignore[attr-defined]
    assert options["nogil"] is True
    assert options["error_model"] == "numpy"
    assert set(options["fastmath"]) == FASTMATH == {"reassoc", "contract", "arcp", "afn", "nsz"}
    assert not options.get("boundscheck")
    assert options["_nrt"] is False  # a kernel that allocates does not compile, and no references are counted


def test_all_kernels_are_found() -> None:
    """The walk sees what it is meant to check."""
    assert {"activations", "losses", "matmul", "network", "simd.vectors", "training.passes"} <= set(modules())
    assert {"forward", "backward", "layer_forward"} <= {name for name, _ in compiled_in("training.passes")}
    assert len({id(found) for module in modules() for _, found in compiled_in(module)}) > 250


LEVELS = ["compiling", "simd", "", "matrix_unit", "training"]  # "" are the operations, in no folder


@pytest.mark.parametrize("module", modules())
def test_imports_only_point_down(module: str) -> None:
    """The folders of kernels stand on each other, and on nothing else of fastnn."""
    for name in imported(f"fastnn.kernels.{module}"):
        if name.startswith("fastnn"):
            assert name.startswith("fastnn.kernels."), name
            assert module in LEVELS or level(name.removeprefix("fastnn.kernels.")) <= level(module), name


@pytest.mark.parametrize("module", [module.name for module in pkgutil.iter_modules(data.__path__)])
def test_data_stands_on_nothing(module: str) -> None:
    names = imported(f"fastnn.data.{module}")
    assert all(name.startswith("fastnn.data.") for name in names if name.startswith("fastnn"))


def test_imports_that_point_up_are_seen() -> None:
    source = "from ...architecture import ACTIVATIONS\nfrom .. import matrix_unit\nimport fastnn.mlp"
    expected = {"fastnn.architecture.ACTIVATIONS", "fastnn.kernels.matrix_unit", "fastnn.mlp"}
    assert names_imported(source, "fastnn.kernels.simd") == expected


def imported(module: str) -> set[str]:
    """Whole names of everything that a module imports."""
    found = importlib.import_module(module)
    assert found.__package__ is not None
    return names_imported(inspect.getsource(found), found.__package__)


def names_imported(source: str, package: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            home = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names |= {f"{home}.{alias.name}" for alias in node.names}
    return names


def level(module: str) -> int:
    return LEVELS.index(module.partition(".")[0] if module.partition(".")[0] in LEVELS else "")


@pytest.mark.parametrize("module", ENTRIES)
def test_what_python_calls_is_kept(module: str) -> None:
    found = dict(compiled_in(module))
    assert [name for name in ENTRIES[module].split() if not is_kept(found[name])] == []


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"nogil": True},
        {"nogil": True, "error_model": "numpy"},
        {"nogil": True, "error_model": "numpy", "fastmath": True},
        {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH | {"nnan"}},
        {"error_model": "numpy", "fastmath": FASTMATH},
        {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH, "parallel": True},
    ],
)
def test_another_decorator_would_be_noticed(settings: dict[str, Any]) -> None:
    assert wrong_settings(njit(**settings)(lambda: None)) != []


def test_a_kernel_that_is_not_kept_would_be_noticed() -> None:
    assert is_kept(entry(lambda: None))
    assert not is_kept(kernel(lambda: None))


def test_python_cannot_call_what_is_for_kernels_only() -> None:
    """It has no wrapper that Python could use."""
    with pytest.raises(TypeError, match=r"^share is called by kernels only; expected an entry\.$"):
        sync.share(1, 1, 0, 1)
