"""report.html: a run on one page that needs nothing but itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .. import files
from ..cpus import thread_count
from ..history import History
from ..mlp import MLP
from ..recipes import Prepared
from ..report import class_report
from . import page
from .measuring import Result
from .run import ENVIRONMENT, REPORT, Run, best_epoch

if TYPE_CHECKING:
    from ..plots.display import Display


def write_report(out: Path, run: Run, net: MLP, rows: Prepared, result: Result) -> None:
    """Write the page of a run that ended. Raises OSError. Without matplotlib it has no pictures, and says so."""
    files.replace(out / REPORT, report(out, run, net, rows, result).encode(errors="replace"))


def report(out: Path, run: Run, net: MLP, rows: Prepared, result: Result) -> str:
    """The page as HTML."""
    history, settings = run.checkpoint.history, run.settings
    pictures, missing = _pictures(run, net, rows, result)
    sizes = "-".join(map(str, net.architecture.sizes))
    parts = [
        page.note(f"{sizes}, {len(rows.X_train)} rows, {settings.optimizer} at {settings.learning_rate:g}"),
        page.figures(_figures(net, rows, result, history)),
        page.note(missing) if missing else "",
        page.section("Training", page.pictures("loss and accuracy", pictures["training"])),
        page.section("Confusion matrix", page.pictures("confusion matrix", pictures["confusion"])),
        page.section("Classes", _classes(result)),
        page.section("Worst mistakes", page.pictures("worst mistakes", pictures["mistakes"]), _mistakes_note(pictures)),
        page.section(
            "First-layer weights", page.pictures("first-layer weights", pictures["weights"]), _weights_note(pictures)
        ),
        page.section("Data", page.pictures("rows of the data", pictures["data"])),
        page.section("Settings", page.table(("setting", "value"), settings.resolved().as_dict().items(), words=True)),
        page.section("Environment", _environment(out)),
    ]
    return page.page(f"{out.name or 'run'}: {_headline(net, rows, result)}", [part for part in parts if part])


def _headline(net: MLP, rows: Prepared, result: Result) -> str:
    score = f"accuracy {result.score:.2%}" if net.architecture.classifies else f"R2 {result.score:.4f}"
    return f"{rows.evaluated} {score}"


def _figures(net: MLP, rows: Prepared, result: Result, history: History) -> dict[str, str]:
    """The large numbers."""
    score = f"{result.score:.2%}" if net.architecture.classifies else f"{result.score:.4f}"
    name = "accuracy" if net.architecture.classifies else "R2"
    shown = {f"{rows.evaluated} {name}": score, f"{rows.evaluated} loss": f"{result.loss:.4g}"}
    if history.loss:
        if rows.evaluated != "training":  # that one is of the weights at the end, this one the last epoch's mean
            shown["training loss"] = f"{history.loss[-1]:.4g}"
        shown |= {"epochs": str(len(history)), "training": f"{history.seconds[-1]:.3g} s"}
        shown["best epoch"] = str(best_epoch(history))
    return shown


def _classes(result: Result) -> str:
    if result.confusion is None:
        return ""
    lines = [
        (label, f"{row.precision:.4f}", f"{row.recall:.4f}", f"{row.f1:.4f}", row.support)
        for label, row in enumerate(class_report(result.confusion))
    ]
    return page.table(("class", "precision", "recall", "F1", "rows"), lines)


def _environment(out: Path) -> str:
    """Nothing where a person has removed or changed the file: it is only shown."""
    try:
        values = json.loads((out / ENVIRONMENT).read_text(encoding="utf-8"))
        values["command"] = " ".join(values["command"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return page.table(("", ""), values.items(), words=True)


# --- pictures

Pictures = dict[str, list[str]]
UNITS = 48


def _pictures(run: Run, net: MLP, rows: Prepared, result: Result) -> tuple[Pictures, str]:
    """SVG elements of every section, and why there are none, if there are none."""
    made: Pictures = {name: [] for name in ("training", "confusion", "mistakes", "weights", "data")}
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return made, "There are no pictures, for matplotlib is missing: pip install 'fastnn-numba[plot]'"
    from ..plots import ConfusionMatrixDisplay, WeightsDisplay
    from ..plots.weights import largest_units
    from .showing import curves, mistakes, samples

    def add(section: str, make: Callable[[], Sequence[Display]]) -> None:
        with suppress(ValueError):  # rows that are no images, numbers that are no classes, no epochs
            made[section] = [display.svg() for display in make()]

    W, threads = net.weights[0], thread_count(run.settings.threads)
    add("training", lambda: curves(run))
    if (matrix := result.confusion) is not None:
        add("confusion", lambda: [ConfusionMatrixDisplay(matrix)])
        add("mistakes", lambda: mistakes(net, rows, threads).parts(2, columns=4))
    add("weights", lambda: WeightsDisplay(W, largest_units(W, UNITS)).parts(2, columns=4))
    add("data", lambda: samples(rows).parts(2, columns=5))
    return made, ""


def _mistakes_note(pictures: Pictures) -> str:
    said = "Above each: the predicted class and its probability, then the true class and its probability."
    return page.note(said) if pictures["mistakes"] else ""


def _weights_note(pictures: Pictures) -> str:
    said = "What the units with the largest weights look for: red counts for a unit, blue against it."
    return page.note(said) if pictures["weights"] else ""
