"""What `fastnn tune` does: train combinations of settings over seeds, in processes that share one data set."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from .. import files
from ..checks import integer
from ..cpus import thread_count
from ..optimizers import WITH_MOMENTUM
from ..plots.tuning import TuningDisplay
from ..progress import counted
from .arguments import Terminable, flag
from .flags import check_momentum, settings_of
from .rows import prepare, read_to_train
from .settings import NONE, Settings
from .training import make_initializer, make_network, scale_of
from .trials import Score, Trial, run_trials, scores_of
from .trials_table import Table
from .tuning_flags import LEARNING_RATES, VALIDATION_FRACTION, combinations

NEGATED = {"init_biases"}  # flags that can say no to what --config says
RESULTS, PICTURE = "tune.jsonl", "tune.png"


def run(given: Mapping[str, Any]) -> None:
    """The command, from its flags. Raises ValueError, TypeError or OSError before anything is trained."""
    base = {
        name: value for name, value in given.items() if name not in ("grid", "seeds", "jobs", "out", "force", "json")
    }
    axes = _axes(given.get("grid", [("learning_rate", list(LEARNING_RATES))]))
    settings = settings_of(base | {name: values[0] for name, values in axes.items()})
    if "validation_fraction" not in base and settings.validation_fraction == 0.0:
        base["validation_fraction"] = VALIDATION_FRACTION
        settings = settings.replace(validation_fraction=VALIDATION_FRACTION)
    count, jobs = (
        integer("seeds", given["seeds"], least=1),
        integer("jobs", given.get("jobs", thread_count(None)), least=1),
    )
    choices = [(choice, settings.replace(**choice)) for choice in combinations(axes)]
    if "momentum" in base or "momentum" in axes:
        check_momentum(choices[0][1].momentum, [each.optimizer for _, each in choices])
    out = _checked_out(Path(given.get("out", "tune")), "force" in given)
    trials = [
        Trial(number, choice, each.replace(seed=settings.seed + seed, threads=_threads(settings, jobs)))
        for number, (choice, each) in enumerate(choices)
        for seed in range(count)
    ]
    with Terminable(), TemporaryDirectory(prefix="fastnn-") as shared:
        _share(settings, trials, Path(shared))
        results = _train(trials, Path(shared), jobs, out, quiet="json" in given)
    scores = scores_of(results)
    if not scores[0].values:
        raise ArithmeticError(
            f"Every setting diverged; expected one that does not, such as a smaller --lr. Results: {out / RESULTS}"
        )
    picture, best = _draw(scores, out), base | scores[0].choice
    if settings.replace(**scores[0].choice).optimizer not in WITH_MOMENTUM:
        best.pop("momentum", None)  # which other optimizers of the grid have
    _tell(scores, command_line(best), picture, out, as_json="json" in given)


def _axes(given: list[tuple[str, list[Any]]]) -> dict[str, list[Any]]:
    names = [name for name, _ in given]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"--grid is given {names.count(name)} times for {flag(name)}; expected all values in one.")
    return dict(given)


def _threads(settings: Settings, jobs: int) -> int:
    return settings.threads or max(1, thread_count(None) // jobs)


def _checked_out(out: Path, force: bool) -> Path:
    for name in (RESULTS, PICTURE):
        if (out / name).exists() and not force:
            raise FileExistsError(
                f"--out is {str(out)!r}, which holds a {name}; expected none, or --force to replace it."
            )
    return out


def _share(settings: Settings, trials: list[Trial], shared: Path) -> None:
    """Write the rows where every process maps them into its memory, which then holds them once."""
    rows, validation = prepare(settings, read_to_train(settings))
    if validation is None:
        raise ValueError("validation_fraction is 0; expected more, for settings are compared on the rows held out.")
    metrics = set()
    for trial in trials:  # whatever is wrong with a setting is said before the first is trained
        net = make_network(trial.settings, rows, make_initializer(trial.settings), validation)
        net.check(*validation)
        metrics.add("accuracy" if net.architecture.classifies else "loss")
    if len(metrics) > 1:
        raise ValueError(
            "--grid has output activations that are compared by accuracy, and others by loss; expected one kind."
        )
    (m, K), held = rows.X_train.shape, len(validation[0])
    print(f"{m} rows of {counted(K, 'feature')} to train on, {held} to compare on", file=sys.stderr)
    if scale := scale_of(settings, rows):
        print(scale, file=sys.stderr)
    for name, array in zip(("X", "y", "X_held", "y_held"), (rows.X_train, rows.y_train, *validation), strict=True):
        np.save(shared / f"{name}.npy", array, allow_pickle=False)


def _train(trials: list[Trial], shared: Path, jobs: int, out: Path, *, quiet: bool) -> list[Any]:
    """Every trial's result, each a line of tune.jsonl as soon as it is there."""
    results = []
    out.mkdir(parents=True, exist_ok=True)
    files.replace(out / RESULTS, b"")
    table = Table(trials, quiet)
    told = False
    for result in run_trials(trials, shared, jobs):
        results.append(result)
        try:
            with (out / RESULTS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(result.as_dict()) + "\n")
        except OSError as error:  # such as a full disk: what is learnt can still be told
            if not told:
                print(f"{out / RESULTS}: {error.strerror}; tuning goes on.", file=sys.stderr, flush=True)
            told = True
        table.show(results)
    return results


def _draw(scores: list[Score], out: Path) -> Path | None:
    """The picture's file, or nothing, with the reason on stderr: without one all that was learnt is still told."""
    curves = {score.name: score.curves for score in scores if score.curves}
    iterations = {score.name: score.iterations for score in scores}
    try:
        return TuningDisplay(curves, scores[0].metric, iterations).save(out / PICTURE)
    except (ImportError, OSError) as error:
        print(f"No picture: {error}", file=sys.stderr)
        return None


def _tell(scores: list[Score], command: str, picture: Path | None, out: Path, *, as_json: bool) -> None:
    best = scores[0]
    if as_json:
        ranking = [score.as_dict() for score in scores]
        print(json.dumps({"best": best.as_dict(), "command": command, "settings": ranking, "out": str(out)}))
        return
    print(f"\nbest: {best.name}  {best.text}")
    print(f"results: {out / RESULTS}" + (f"\npicture: {picture}" if picture else ""))
    print(f"\n{command}")


def command_line(settings: Mapping[str, Any]) -> str:
    """The flags that train with these settings."""
    words = ["python", "-m", "fastnn.train"]
    for name, value in settings.items():
        text = NONE.get(name) if value is None else "none" if value == () else value
        if value is True:
            words.append(flag(name))
        elif value is False and name in NEGATED:
            words.append("--no-" + name.replace("_", "-"))
        elif value is not False:
            said = ",".join(map(str, text)) if isinstance(text, tuple) else str(text)
            words += [f"{flag(name)}={said}"] if said.startswith("-") else [flag(name), said]
    return shlex.join(words)
