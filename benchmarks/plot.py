"""The pictures beside the tables. All axes begin at zero."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.rivals import FASTNN, RIVALS
from benchmarks.workloads import BY_NAME, describe

OURS, THEIRS = "#c44e00", "#8c9bab"
COLUMNS = 3


def plot_peers(results: list[dict[str, Any]], machine: str, path: Path) -> None:
    """The figure as a file; its ending says which kind."""
    peers_figure(results, machine).savefig(path, dpi=120)


def peers_figure(results: list[dict[str, Any]], machine: str) -> Figure:
    """A panel of bars for each workload: milliseconds, with the fastest and slowest round."""
    rows = -(-len(results) // COLUMNS)
    figure = Figure(figsize=(4.6 * COLUMNS, 2.5 * rows + 0.8), layout="constrained")
    panels = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for panel, result in zip(panels, results, strict=False):
        _bars(panel, result)
    for panel in panels[len(results) :]:
        panel.set_visible(False)
    figure.suptitle("Milliseconds of training; bars: median, lines: fastest and slowest round", fontsize=11)
    figure.supxlabel("\n".join(textwrap.wrap(machine, 60 * COLUMNS)), fontsize=8)
    return figure


def _bars(panel: Any, result: dict[str, Any]) -> None:
    names = [name for name in RIVALS if name in result["entries"]]
    entries = [result["entries"][name] for name in names]
    medians = [1e3 * entry["median"] for entry in entries]
    spreads = [
        [1e3 * (entry["median"] - min(entry["seconds"])) for entry in entries],
        [1e3 * (max(entry["seconds"]) - entry["median"]) for entry in entries],
    ]
    colours = [OURS if name == FASTNN else THEIRS for name in names]
    panel.barh([RIVALS[name].title for name in names], medians, xerr=spreads, color=colours, ecolor="black")
    panel.set_xlim(0, 1.2 * max(medians))  # a round that a neighbour disturbed may lie outside
    panel.invert_yaxis()
    workload = BY_NAME[result["workload"]]
    panel.set_title(f"{describe(workload)}\nms an {workload.unit}", fontsize=8)
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)
