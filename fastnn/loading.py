"""What was saved, whatever it was: networks and estimators have one file format."""

from __future__ import annotations

from os import PathLike, fspath
from typing import Any

from . import storage
from .mlp import network


def load(path: str | PathLike[str], *, backend: str = "numba") -> Any:
    """What `save` wrote: the MLP, MLPClassifier or MLPRegressor; of a run's checkpoint, its MLP.

    Raises OSError, or ValueError for any other file; nothing in a file is ever executed.
    """
    checkpoint = storage.load(path)
    if not checkpoint.estimator:
        return network(checkpoint, backend=backend)
    from .estimators.loading import estimator_of  # here, for it needs a package of its own

    with storage.refusing(fspath(path)):
        return estimator_of(checkpoint, backend)
