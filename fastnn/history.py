"""What a training run measured, one entry an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class History:
    """Lists with an entry for every epoch trained.

    loss: mean loss over the epoch's rows, each taken just before the step that used it.
    accuracy: share of those rows that were right; empty for output "identity", which counts nothing right or wrong.
    val_loss, val_accuracy: the same over the validation rows after the epoch; empty without validation.
    seconds: the time since `fit` began.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.loss)

    @classmethod
    def of(cls, lists: Mapping[str, Sequence[float]]) -> History:
        """From what `as_dict` gave, with lists of its own."""
        return cls(**{name: list(values) for name, values in lists.items()})

    def as_dict(self) -> dict[str, list[float]]:
        """The lists by name, ready for JSON."""
        return {name: list(values) for name, values in vars(self).items()}
