"""What `fastnn show` does: draw one picture of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..cpus import thread_count
from ..mlp import MLP, network
from ..plots import ConfusionMatrixDisplay, CurvesDisplay, MistakesDisplay, SamplesDisplay, WeightsDisplay
from ..plots.display import Display, save
from ..plots.images import as_images, image_shape, title_of
from ..plots.weights import largest_units
from ..recipes import Prepared
from ..report import confusion_matrix
from .measuring import classes_of, mistakes_of
from .predicting import check_out
from .rows import rows_to_measure
from .run import Run, open_given

SAMPLES, MISTAKES, UNITS = 40, 24, 64


def run(given: Mapping[str, Any]) -> None:
    """The command, from its flags. Raises ValueError, OSError or ImportError before anything is written."""
    opened = open_given(given)
    picture = given["picture"]
    out = given.get("out", str((opened.folder or opened.path.parent) / f"{picture}.png"))
    ours = opened.folder is not None and "out" not in given  # a run's folder has pictures of its own
    check_out(out, "force" in given or ours, (".png", ".svg", ".pdf"))
    net = network(opened.checkpoint, backend=opened.settings.backend)
    save(_displays(picture, opened, net, thread_count(given.get("threads"))), out)
    print(json.dumps({"picture": out}) if "json" in given else f"{picture}: {out}")


def _displays(picture: str, opened: Run, net: MLP, threads: int) -> list[Display]:
    if picture == "curves":
        return curves(opened)
    if picture == "weights":
        return [WeightsDisplay(net.weights[0], largest_units(net.weights[0], UNITS))]
    if picture == "confusion" and not net.architecture.classifies:
        raise ValueError(f"{opened.path} predicts numbers; expected a network of classes for its confusion matrix.")
    rows = rows_to_measure(opened, None)
    net.check(rows.X_evaluate, rows.y_evaluate)
    if picture == "confusion":
        predictions = net.predict(rows.X_evaluate, threads=threads)
        return [ConfusionMatrixDisplay(confusion_matrix(rows.y_evaluate, predictions, classes_of(net)))]
    image_shape(net.architecture.sizes[0])  # or its error
    return [samples(rows)] if picture == "data" else [mistakes(net, rows, threads)]


def curves(opened: Run) -> list[Display]:
    """Loss and, where there is one, accuracy. Raises ValueError before the first epoch."""
    history = opened.checkpoint.history
    if not history.loss:
        raise ValueError(f"{opened.path} has figures of no epoch; expected a run that trained for one at least.")
    loss = CurvesDisplay(history.loss, history.val_loss, metric="loss")
    accuracy = CurvesDisplay(history.accuracy, history.val_accuracy, metric="accuracy")
    return [loss, accuracy] if history.accuracy else [loss]


def samples(rows: Prepared) -> SamplesDisplay:
    """The first rows that the run trained on or, where those are not known, was measured on."""
    X, y = (rows.X_train, rows.y_train) if len(rows.X_train) else (rows.X_evaluate, rows.y_evaluate)
    return SamplesDisplay(as_images(X[:SAMPLES]), [title_of(label) for label in y[:SAMPLES]])


def mistakes(net: MLP, rows: Prepared, threads: int) -> MistakesDisplay:
    """The worst mistakes among the rows that are measured on."""
    if not net.architecture.classifies:
        raise ValueError("The network predicts numbers; expected one of classes, for mistakes to be seen.")
    worst = mistakes_of(net, rows, net.predict(rows.X_evaluate, threads=threads), MISTAKES, threads)
    return MistakesDisplay(as_images(rows.X_evaluate[[mistake.row for mistake in worst]]), worst)
