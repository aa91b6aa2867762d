"""Who trains the same networks: a module each, which is imported only in a process of its own."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple, Protocol

from benchmarks.workloads import Workload
from fastnn.cpus import thread_count


class Trainer(Protocol):
    """One workload, its data in memory, in the form that the library reads fastest.

    threads is what the process' environment says too; None is the library's own default.
    """

    def __init__(self, workload: Workload, dtype: str, threads: int | None) -> None: ...

    def fit(self, epochs: int) -> tuple[float, list[float]]:
        """Train the initial network; returns the seconds that took, and every epoch's mean loss."""


ALL_CORES = thread_count(None)


class Rival(NamedTuple):
    """A library in one dtype. package: what must be importable; threads: the numbers to try, of which the fastest is
    taken, None being the library's default."""

    title: str
    module: str
    package: str
    distribution: str
    dtype: str = "float32"
    threads: tuple[int | None, ...] = tuple(sorted({1, ALL_CORES}))

    @property
    def installed(self) -> bool:
        """Whether it can take part."""
        return find_spec(self.package) is not None


FASTNN = "fastnn"
RIVALS = {
    FASTNN: Rival("fastnn", "fastnn_fit", "fastnn", "fastnn-numba", threads=(None,)),
    "numpy32": Rival("NumPy float32", "numpy_reference", "numpy", "numpy"),
    "numpy64": Rival("NumPy float64", "numpy_reference", "numpy", "numpy", dtype="float64"),
    "sklearn": Rival("scikit-learn", "scikit_learn", "sklearn", "scikit-learn"),
    "torch": Rival("PyTorch", "pytorch", "torch", "torch"),
    "jax": Rival("JAX", "jax_scan", "jax", "jax"),
}


def environment(rival: Rival, threads: int | None) -> dict[str, str]:
    """The variables that tell any of them, when it is imported, how many threads to use."""
    if threads is None:
        return {}
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    variables = {name: str(threads) for name in names}
    if rival.package == "jax" and threads == 1:
        variables["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return variables


def make(module: str, workload: Workload, dtype: str, threads: int | None) -> Trainer:
    """A rival's Trainer, in the process that calls this."""
    trainer: Trainer = import_module(f"benchmarks.rivals.{module}").Trainer(workload, dtype, threads)
    return trainer
