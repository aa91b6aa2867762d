"""What `fastnn train` does: read, train, keep, measure, print."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..backends import backend_of
from ..cpus import thread_count
from ..errors import Diverged
from ..extras import needed
from ..fitting import check_unfinished
from ..history import History
from ..initializers import Initializer
from ..mlp import MLP, network
from ..progress import Progress, counted, make_progress
from ..recipes import Array, Prepared
from ..storage import Checkpoint
from ..trainer import Plan
from .arguments import flag
from .flags import check_momentum, settings_of
from .measuring import measure, print_report, summary
from .recorder import Recorder, Signals
from .reporting import write_report
from .rows import check_same, knowledge_of, prepare, read_to_train
from .run import CONFIG, FILES, REPORT, Run, begin, check_new, config_of, open_run
from .settings import Settings, from_file

# What may be said anew when a run is resumed: nothing that would change the steps that are still to come.
RESUMABLE = {"epochs", "threads", "save_every", "report", "progress", "live", "json"}


def run(given: Mapping[str, Any]) -> None:
    """All of a run, from the flags that are given.

    Raises ValueError, TypeError, OSError or ArithmeticError; Stopped after a signal. Nothing is written before all that
    can be refused has been looked at.
    """
    if "live" in given:
        needed("plotille", "plot", "--live")
    if "resume" in given:
        old = _resumed(given)
        _train(old.settings, network(old.checkpoint, backend=old.settings.backend), old.checkpoint.history, old)
    else:
        settings = settings_of(given)
        if "momentum" in given:
            check_momentum(settings.momentum, [settings.optimizer])
        if settings.out is not None:
            check_new(Path(settings.out), settings.force)
        elif "save_every" in given:
            raise ValueError("--save-every is given without --out; expected both, for without it nothing is saved.")
        _train(settings, None, None, None)


def _resumed(given: Mapping[str, Any]) -> Run:
    path, changes = given["resume"], {name: value for name, value in given.items() if name != "resume"}
    for name in changes:
        if name not in RESUMABLE:
            allowed = ", ".join(map(flag, sorted(RESUMABLE)))
            raise ValueError(f"{flag(name)} is given with --resume; expected none but {allowed}.")
    run = open_run(path, out=path, **changes)
    history, state = run.checkpoint.history, run.checkpoint.state
    if run.folder is None or not run.checkpoint.settings:
        raise ValueError(f"{path} is no folder of a run; expected one that fastnn.train --out wrote.")
    if len(history) != state.epochs:
        raise ValueError(f"{run.path} has figures of {len(history)} epochs; expected {state.epochs}, its epochs.")
    if len(history) > run.settings.epochs:
        raise ValueError(f"epochs is {run.settings.epochs}; expected at least {len(history)}, which are trained.")
    return run


def _train(settings: Settings, net: MLP | None, history: History | None, run: Run | None) -> None:
    init = make_initializer(settings)
    rows, validation = prepare(settings, read_to_train(settings))
    net = net or make_network(settings, rows, init, validation)
    data = knowledge_of(rows.X_train, rows.y_train)
    if run is not None:
        _check_goes_on(run, data)
    print(describe(settings, net, rows), flush=True)
    for X, y in filter(None, [(rows.X_evaluate, rows.y_evaluate), validation]):
        net.check(X, y)  # strange ones are refused before the long wait
    backend_of(settings.backend)  # or its error, before a run is begun
    problem = None
    if settings.out is None:
        history = _fit_and_forget(net, settings, rows, validation)
    else:
        history, problem = _fit_and_keep(net, settings, rows, validation, data, history)
    with backend_of(settings.backend).messages(lambda text: print(text, flush=True)):
        result = measure(net, rows, thread_count(settings.threads))
    if settings.out is not None and settings.report and problem is None:
        out, checkpoint = Path(settings.out), Checkpoint(net.architecture, net._state, history, data=data)
        try:  # before the figures, which a closed pipe may refuse
            write_report(out, Run(out, None, checkpoint, settings), net, rows, result)
        except OSError as error:
            problem = error
    print_report(net, rows, result)
    if problem is not None:
        raise problem
    print(_saved(settings))
    if settings.json:
        print(json.dumps(summary(settings, net, rows, history, result)))


def _check_goes_on(run: Run, data: dict[str, Any]) -> None:
    """Raise ValueError unless the run was trained on these rows, and stopped within an epoch of them."""
    check_same(run, data)
    from_file(str(run.path), lambda: check_unfinished(run.checkpoint.state, plan_of(run.settings), data["rows"]))


def _saved(settings: Settings) -> str:
    if settings.out is None:
        return "\nNothing is kept; --out DIR keeps the run."
    return f"\nKept in {settings.out}: {', '.join(name for name in FILES if (Path(settings.out) / name).exists())}."


def make_network(
    settings: Settings, rows: Prepared, init: Initializer | None, validation: tuple[Array, Array] | None = None
) -> MLP:
    """A network that fits the rows: their features and labels say how many inputs and outputs it has."""
    outputs = _classes(rows, validation) if settings.output in (None, "softmax") else 1
    return MLP(
        [rows.X_train.shape[1], *settings.hidden, outputs],
        activation=settings.activation,
        output=settings.output,
        init=init,
        dtype=settings.dtype,
        seed=settings.seed,
        backend=settings.backend,
    )


def _classes(rows: Prepared, validation: tuple[Array, Array] | None) -> int:
    labels = np.concatenate([rows.y_train, rows.y_evaluate, *(validation or ())[1:]])
    largest = int(labels.max())
    if largest >= len(labels):
        raise ValueError(
            f"The labels go to {largest}; expected fewer classes than rows, or --output-activation identity."
        )
    return max(2, largest + 1)


def make_initializer(settings: Settings) -> Initializer | None:
    if settings.init is None:
        return None
    return replace(Initializer.of(settings.init), biases=settings.init_biases)


def describe(settings: Settings, net: MLP, rows: Prepared) -> str:
    """What is about to be trained, such as "784-128-10, 60000 rows in batches of 128, ...", and what bytes mean."""
    sizes = "-".join(map(str, net.architecture.sizes))
    batch = "at once" if settings.batch_size is None else f"in batches of {settings.batch_size}"
    epochs = counted(settings.epochs, "epoch")
    how = f"{settings.optimizer} at {settings.learning_rate:g}, {epochs}, seed {settings.seed}"
    scale = scale_of(settings, rows)
    return f"{sizes}, {len(rows.X_train)} rows {batch}, {how}" + (f"\n{scale}" if scale else "")


def scale_of(settings: Settings, rows: Prepared) -> str:
    """What bytes mean: in a table of whole numbers that nobody has called so they may come unexpected."""
    known = settings.data == "mnist" or rows.X_train.dtype != np.uint8
    return "" if known else "features are whole numbers from 0 to 255, taken as x / 255"


def plan_of(settings: Settings) -> Plan:
    """How `MLP.fit_plan` is to train."""
    threads = thread_count(settings.threads)
    return Plan(settings.epochs, settings.batch_size, settings.make_optimizer(), settings.seed, threads)


def _fit(
    net: MLP,
    settings: Settings,
    rows: Prepared,
    validation: tuple[Array, Array] | None,
    history: History | None,
    recorder: Recorder | None,
) -> History:
    plan, done = plan_of(settings), len(history or ())

    def progress(count: int) -> Progress:
        return make_progress(plan.epochs, count, settings.progress, done=done, live=settings.live)

    return net.fit_plan(rows.X_train, rows.y_train, validation, plan, progress, history, recorder)


def _fit_and_forget(net: MLP, settings: Settings, rows: Prepared, validation: tuple[Array, Array] | None) -> History:
    """Train without a folder. Raises ArithmeticError if it diverges."""
    try:
        return _fit(net, settings, rows, validation, None, None)
    except Diverged as error:
        raise ArithmeticError(
            f"{error.reason} Nothing is kept; --out DIR would keep the last finite weights."
        ) from None


def _fit_and_keep(
    net: MLP,
    settings: Settings,
    rows: Prepared,
    validation: tuple[Array, Array] | None,
    data: dict[str, Any],
    history: History | None,
) -> tuple[History, OSError | None]:
    """Train within the run's folder; also returns why the end of it could not be kept, if it could not.

    Raises ArithmeticError if it diverges, with the weights from before that kept like any others.
    """
    assert settings.out is not None
    out = Path(settings.out)
    with Signals() as signals:
        recorder = Recorder(out, net, settings, data, signals)
        recorder.check()
        if history is None:
            begin(out, settings, sys.argv)
        else:
            files.replace(out / CONFIG, config_of(settings))  # with what was said anew
            (out / REPORT).unlink(missing_ok=True)  # of fewer epochs
        history = history or History()
        recorder.begin(history)
        try:
            _fit(net, settings, rows, validation, history, recorder)
        except Diverged as error:
            recorder.save(history)
            raise ArithmeticError(recorder.last_words(error)) from None
        recorder.paused(history)
    return history, recorder.unkept()
