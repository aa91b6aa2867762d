"""scikit-learn's callbacks, where its version has them (1.9, experimental): one task a fit, one subtask an epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""


class Notifier:
    """Tells an estimator's callbacks how its fit goes, and costs nothing if it has none."""

    def __init__(self, estimator: Any, subtasks: int | None, **data: Any) -> None:
        self._estimator, self._data = estimator, data
        self._fit: Any = None
        self._epoch: Any = None
        # A search may have handed over its own task, of which this fit is a part, and no callback.
        if getattr(estimator, "_skl_callbacks", None) or hasattr(estimator, "_parent_callback_ctx"):
            self._fit = estimator._init_callback_context(max_subtasks=subtasks)
            self._fit.call_on_fit_task_begin(estimator=estimator, **data)

    @property
    def listens(self) -> bool:
        """Whether there is any callback to tell."""
        return self._fit is not None

    def epoch_begins(self) -> None:
        """A pass over the data, or an iteration of lbfgs."""
        if self._fit is not None:
            self._epoch = self._fit.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def epoch_ends(self, attributes: Callable[[], dict[str, Any]]) -> bool:
        """Whether a callback wants training to stop. attributes: what a network fitted so far would have."""
        epoch, self._epoch = self._epoch, None
        return self._ended(epoch, attributes)

    def fit_ends(self) -> None:
        """The estimator is fitted."""
        self.epoch_ends(dict)
        self._ended(self._fit, dict)

    def _ended(self, task: Any, attributes: Callable[[], dict[str, Any]]) -> bool:
        if task is None:
            return False
        stop = task.call_on_fit_task_end(estimator=self._estimator, reconstruction_attributes=attributes, **self._data)
        return bool(stop)
