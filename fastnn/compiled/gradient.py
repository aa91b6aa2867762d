"""The objective and its gradient over all rows, for a solver that takes the steps itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import workers
from ..architecture import Architecture
from ..csr import CSR
from ..kernels.training import full_batch
from ..objective import Objective
from ..optimizers import Optimizer
from ..packing import aligned
from ..trainer import Plan, State
from .full_batch import FullBatch
from .memory import data_of
from .ways import WORTH_COMPRESSING, without_zeros

Array = NDArray[Any]


class Gradient:
    """The kernels of full-batch training without its step: gradients of fixed shards, summed in their order."""

    def __init__(
        self,
        architecture: Architecture,
        X: Array | CSR,
        Y: Array,
        objective: Objective,
        sample_weight: Array | None,
        dtype: np.dtype[Any],
        threads: int,
    ) -> None:
        shapes = [*architecture.layers, *((N,) for _, N in architecture.layers)]
        parameters, self.count = [np.zeros(shape, dtype) for shape in shapes], len(architecture.layers)
        state = State(parameters[: self.count], parameters[self.count :])
        plan = Plan(WORTH_COMPRESSING, None, Optimizer("sgd"), 0, threads, objective=objective)
        data = data_of(X, Y, architecture, dtype, objective, sample_weight)
        data = without_zeros(data, X, architecture, dtype, plan)
        self.trainer = FullBatch(architecture, state, data, len(X), plan)
        self.out = aligned(self.trainer.layout.params, dtype)
        self.total = float(len(X)) if sample_weight is None else float(sample_weight.sum())
        self._call(0, 0, 1)  # compiles, in the main thread

    def __call__(self, parameters: list[Array]) -> tuple[float, list[Array]]:
        """See trainer.Gradient."""
        trainer, penalty = self.trainer, self.trainer.objective.penalty
        weights, biases = parameters[: self.count], parameters[self.count :]
        trainer.layout.pack(trainer.network.params, weights, biases)
        trainer.layout.pack_transposed(trainer.network.transposed, weights)
        trainer.control[:] = 0
        workers.run(lambda t: self._call(trainer.m, t, trainer.threads), trainer.threads, trainer.control)
        value = trainer.shards.losses.sum() / self.total / trainer.objective.divisor
        gradient = [np.empty_like(P, dtype=self.out.dtype) for P in parameters]
        trainer.layout.unpack(self.out, gradient[: self.count], gradient[self.count :])
        if penalty:
            value += penalty / 2 * sum(float((W**2).sum()) for W in weights) / self.total
            for dW, W in zip(gradient, weights, strict=False):
                dW += penalty / self.total * W
        return float(value), gradient

    def _call(self, m: int, t: int, threads: int) -> None:
        trainer = self.trainer
        room = trainer.blocks[t], trainer.scratch[t], trainer.shards._replace(parts=trainer.shards.parts if m else 0)
        full_batch.gradient(
            t, threads, trainer.control, trainer.network, trainer.data, m, 1.0 / self.total, *room, self.out
        )
