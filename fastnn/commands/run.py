"""The folder of a training run: its files, and what may be written and read there."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from .. import __version__, files, storage
from ..cpus import thread_count
from ..history import History
from .settings import Settings, arguments, from_file

CONFIG, METRICS, ENVIRONMENT, REPORT = "config.toml", "metrics.jsonl", "environment.json", "report.html"
BEST, LAST = "best.safetensors", "last.safetensors"
FILES = (CONFIG, METRICS, ENVIRONMENT, REPORT, BEST, LAST)


@dataclass(frozen=True)
class Run:
    """A checkpoint, and the settings it was made with. folder: None for a network that was saved by itself."""

    path: Path
    folder: Path | None
    checkpoint: storage.Checkpoint
    settings: Settings


def open_run(path: str, which: str = LAST, **changes: Any) -> Run:
    """A run's folder, or the file of a network. Raises OSError or ValueError.

    which: the checkpoint of a folder. changes: settings that are not those of the checkpoint.
    """
    folder = Path(path) if os.path.isdir(path) else None
    file = Path(path) if folder is None else folder / which
    if folder is not None and not os.path.lexists(file):
        raise FileNotFoundError(f"{path} holds no {which}; expected the folder of a run, with a checkpoint.")
    if folder is not None and file.is_symlink():
        raise ValueError(f"{file} is a symbolic link; expected a file, as runs write them.")
    checkpoint = storage.load(file)
    if checkpoint.estimator:
        raise ValueError(f"{file} holds an estimator, for fastnn.load; expected a run's checkpoint or an MLP.")
    settings = from_file(str(file), lambda: Settings(**arguments(checkpoint.settings) | changes))
    return Run(file, folder, checkpoint, settings)


def open_given(given: Mapping[str, Any]) -> Run:
    """The run that the flags of `add_run_argument` name. Raises OSError or ValueError."""
    run = open_run(given["run"], given.get("checkpoint", "last") + ".safetensors")
    if run.folder is None and "checkpoint" in given:
        raise ValueError(
            f"checkpoint is {given['checkpoint']!r}, and {given['run']} the file of a network; "
            "expected the folder of a run with it."
        )
    return run


def check_new(out: Path, force: bool) -> None:
    """Raise OSError unless a run can be written in `out`, which need not exist yet."""
    for name in FILES:
        if os.path.lexists(out / name) and not force:
            hint = f", or --resume {out} to go on" if (out / LAST).exists() else ""
            raise FileExistsError(
                f"--out is {str(out)!r}, which holds a {name}; expected a folder without a run, "
                f"or --force to replace it{hint}."
            )
        if (out / name).is_dir():
            raise IsADirectoryError(f"--out is {str(out)!r}, which holds a folder {name}; expected none.")
    parent = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise NotADirectoryError(f"--out is {str(out)!r}; expected a folder that can be written.")


def begin(out: Path, settings: Settings, argv: Sequence[str]) -> None:
    """Make the folder, without what an earlier run left there. Raises ValueError before that goes."""
    config = config_of(settings)
    out.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (out / name).unlink(missing_ok=True)
    files.replace(out / CONFIG, config)
    files.replace(out / ENVIRONMENT, (json.dumps(environment(argv), indent=1) + "\n").encode())
    rewrite_metrics(out, History())


def config_of(settings: Settings) -> bytes:
    """Every setting, as `--config` reads them. Raises ValueError for a file's name that is no UTF-8."""
    try:
        return tomli_w.dumps(settings.resolved().as_dict()).encode()
    except UnicodeEncodeError as error:
        name = error.object[error.start :].partition('"')[0]
        raise ValueError(f"A file's name ends in {name!r}, which is no UTF-8; expected one that can be kept.") from None


def environment(argv: Sequence[str]) -> dict[str, Any]:
    """What a result may depend on besides its settings."""
    from importlib.metadata import version

    return {
        "command": list(argv),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "fastnn": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "numba", "safetensors")},
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cpus": thread_count(None),
        "byteorder": sys.byteorder,
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


# --- metrics: a line an epoch


def rewrite_metrics(out: Path, history: History) -> None:
    """The lines of a whole history: those after the checkpoint that is resumed are to come again."""
    files.replace(out / METRICS, "".join(_line(history, epoch) for epoch in range(len(history))).encode())


def append_metrics(out: Path, history: History, first: int) -> None:
    """The lines of the epochs from `first`, counted from 0, flushed. Raises OSError that names the file."""
    path = out / METRICS
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines(_line(history, epoch) for epoch in range(first, len(history)))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _line(history: History, epoch: int) -> str:
    entries = {name: values[epoch] for name, values in history.as_dict().items() if values}
    finite = {name: value if isfinite(value) else None for name, value in entries.items()}
    return json.dumps({"epoch": epoch + 1, **finite}) + "\n"


def best_epoch(history: History) -> int:
    """The epoch, from 1, of the best validation accuracy or, without it, of the least loss; the first of equals.

    0 where there is none.
    """
    if history.val_accuracy:
        return int(np.argmax(history.val_accuracy)) + 1
    losses = np.array(history.val_loss or history.loss)
    return int(np.argmin(np.where(np.isnan(losses), np.inf, losses))) + 1 if len(losses) else 0
