"""PyTorch: tensors in memory, fused optimizers."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from benchmarks.workloads import Workload

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}


class Trainer:
    """See rivals.Trainer."""

    def __init__(self, workload: Workload, dtype: str, threads: int | None) -> None:
        self.workload, self.dtype = workload, dtype
        torch.manual_seed(0)
        X, y = workload.load_real(dtype)
        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y).long()

    def fit(self, epochs: int) -> tuple[float, list[float]]:
        model = self._model()
        cross_entropy, losses = nn.CrossEntropyLoss(), []
        start = time.perf_counter()
        optimizer = OPTIMIZERS[self.workload.optimizer](model.parameters(), lr=self.workload.learning_rate, fused=True)
        for _ in range(epochs):
            total = torch.zeros(())
            for X, y in self._batches():
                optimizer.zero_grad()
                loss = cross_entropy(model(X), y)
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(X)
            losses.append(total)
        values = [float(total) / len(self.X) for total in losses]
        return time.perf_counter() - start, values

    def _model(self) -> nn.Sequential:
        """With the initial weights, (N, K) where fastnn has (K, N)."""
        layers: list[nn.Module] = []
        for W, b in zip(*self.workload.initial(self.dtype), strict=True):
            linear = nn.Linear(*W.shape)
            linear.weight, linear.bias = (nn.Parameter(torch.from_numpy(P.copy())) for P in (W.T, b))
            layers += [linear, ACTIVATIONS[self.workload.activation]()]
        return nn.Sequential(*layers[:-1])

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.workload.batch_size is None:
            yield self.X, self.y
        else:
            for rows in torch.randperm(len(self.X)).split(self.workload.batch_size):
                yield self.X.index_select(0, rows), self.y.index_select(0, rows)
