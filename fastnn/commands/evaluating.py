"""What `fastnn evaluate` does: measure, and find the worst mistakes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..checks import integer
from ..cpus import thread_count
from ..mistakes import format_mistakes, worst_misses
from ..mlp import MLP, network
from ..progress import counted
from ..recipes import Prepared
from ..report import class_report, format_rest, one_against_rest
from .measuring import Result, finite, measure, mistakes_of, print_report
from .rows import rows_to_measure
from .run import Run, open_given
from .settings import from_file


def run(given: Mapping[str, Any]) -> None:
    """The command, from its flags. Raises ValueError, TypeError or OSError."""
    count = integer("worst", given["worst"], least=0)
    opened = open_given(given)
    net = network(opened.checkpoint, backend=opened.settings.backend)
    rows = rows_to_measure(opened, given.get("data"))
    from_file(given.get("data", opened.settings.data), lambda: net.check(rows.X_evaluate, rows.y_evaluate))
    threads = thread_count(given.get("threads"))
    result = measure(net, rows, threads)
    mistakes = _worst(net, rows, result, count, threads)
    if "json" in given:
        print(json.dumps(_summary(opened, net, rows, result, mistakes), allow_nan=False))
    else:
        print(f"{opened.path}: {'-'.join(map(str, net.architecture.sizes))}, {counted(net.epochs, 'epoch')}")
        print_report(net, rows, result)
        _print_more(net, rows, result, mistakes)


def _worst(net: MLP, rows: Prepared, result: Result, count: int, threads: int) -> list[Any]:
    if net.architecture.classifies:
        return mistakes_of(net, rows, result.predictions, count, threads)
    return worst_misses(result.predictions, rows.y_evaluate, count)


def _print_more(net: MLP, rows: Prepared, result: Result, mistakes: list[Any]) -> None:
    if result.confusion is not None:
        rest = format_rest(one_against_rest(result.confusion))
        print(f"\none class against the rest (TP: the class, and found)\n{rest}")
        wrong = int((result.predictions != rows.y_evaluate).sum())
        print(f"\nthe {len(mistakes)} worst of {wrong} mistakes (rows count from 0)\n{format_mistakes(mistakes)}")
    else:
        print(f"\nthe {len(mistakes)} rows that are farthest off (they count from 0)\n     row      target  prediction")
        for row, target, prediction in mistakes:
            print(f"{row:8}  {target:10.4g}  {prediction:10.4g}")


def _summary(opened: Run, net: MLP, rows: Prepared, result: Result, mistakes: list[Any]) -> dict[str, Any]:
    """What --json prints."""
    figures = {
        "run": str(opened.path),
        "epochs": net.epochs,
        "sizes": list(net.architecture.sizes),
        "evaluated": rows.evaluated,
        "rows": len(rows.X_evaluate),
        "loss": finite(result.loss),
        "r2" if result.confusion is None else "accuracy": finite(result.score),
    }
    if result.confusion is None:
        worst = [{"row": row, "target": target, "prediction": finite(value)} for row, target, value in mistakes]
        return figures | {"worst": worst}
    return figures | {
        "classes": [row._asdict() for row in class_report(result.confusion)],
        "confusion_matrix": result.confusion.tolist(),
        "one_against_rest": [row._asdict() for row in one_against_rest(result.confusion)],
        "mistakes": [mistake._asdict() for mistake in mistakes],
        "wrong": int(np.sum(result.predictions != rows.y_evaluate)),
    }
