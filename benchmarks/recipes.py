"""Every recipe with numba over several seeds, beside its source's figures, and its time in plain NumPy.

Each run is a process of its own, as a person starts it. Exit status 1 if the mean of a figure is off.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.page import add_write, machine, write
from fastnn.recipes import RECIPES, Recipe

MARKER = "recipes"
ACCURACY_POINTS = 0.015  # how far a mean accuracy may be from the source's
COST_SHARE = 0.15  # how far a mean cost may be, as a share of the source's
NAMES = {"test_accuracy": "accuracy", "train_accuracy": "training accuracy", "final_loss": "cost"}


@dataclass(frozen=True)
class Measured:
    """A recipe's runs: each figure of its source over the seeds, and seconds of training; numpy's are extrapolated."""

    name: str
    figures: dict[str, list[float]]
    numba_seconds: float
    numpy_seconds: float

    @property
    def missed(self) -> list[str]:
        """The figures that are too far from the source's."""
        return [key for key, values in self.figures.items() if not is_near(self.name, key, mean(values))]


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print the table, write it where asked. Returns the exit status."""
    options = parse(argv)
    train("--epochs", "1")  # compiles the kernels, which no measured run should wait for
    measured = []
    for name in options.recipes:
        measured.append(measure(name, options.seeds, options.numpy_epochs))
        print(json.dumps(vars(measured[-1])), flush=True)
    text = table(measured, options.seeds, options.numpy_epochs)
    print(f"\n{text}")
    if options.write is not None:
        write(options.write, MARKER, text)
    missed = [f"{row.name}: {key}" for row in measured for key in row.missed]
    for figure in missed:
        print(f"missed: {figure}", file=sys.stderr)
    return 1 if missed else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes", description=__doc__)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", default=list(RECIPES), help="default: all of them")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each recipe with numba (default: 5)")
    parser.add_argument("--numpy-epochs", type=int, default=20, help="iterations timed in NumPy (default: 20)")
    add_write(parser, MARKER)
    options = parser.parse_args(argv)
    strange = [name for name in options.recipes if name not in RECIPES]
    if strange:
        parser.error(f"{strange[0]!r} is no recipe; expected some of {', '.join(RECIPES)}")
    if options.seeds < 1 or options.numpy_epochs < 2:
        parser.error("--seeds must be at least 1, and --numpy-epochs at least 2")
    return options


# --- measuring


def train(*flags: str) -> dict[str, Any]:
    """One run of the command in a process of its own: what its last line says."""
    command = [sys.executable, "-m", "fastnn.train", "--no-progress", "--json", *flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def measure(name: str, seeds: int, numpy_epochs: int) -> Measured:
    """A recipe with numba once for each seed, and a few of its iterations in NumPy's float64."""
    recipe = RECIPES[name]
    runs = [train("--recipe", name, "--seed", str(seed)) for seed in range(seeds)]
    return Measured(
        name,
        {key: [run[key] for run in runs] for key in recipe.figures},
        median(run["train_seconds"] for run in runs),
        numpy_seconds(name, min(numpy_epochs, recipe.epochs)),
    )


def numpy_seconds(name: str, few: int) -> float:
    """All of a recipe in NumPy's float64, from a few iterations; the first one's time has the setting up in it."""
    with TemporaryDirectory() as folder:
        flags = ("--backend", "numpy", "--dtype", "float64", "--epochs", str(few), "--out", folder)
        train("--recipe", name, *flags)
        lines = (Path(folder) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    seconds = [json.loads(line)["seconds"] for line in lines]
    return float(seconds[0] + (seconds[-1] - seconds[0]) / (few - 1) * (RECIPES[name].epochs - 1))


def is_near(name: str, key: str, value: float) -> bool:
    """Whether a mean agrees with what the recipe's source reports."""
    source = RECIPES[name].figures[key]
    return abs(value - source) <= (COST_SHARE * source if key == "final_loss" else ACCURACY_POINTS)


# --- writing


def table(measured: list[Measured], seeds: int, numpy_epochs: int) -> str:
    """The table in Markdown, with what it was measured on."""
    lines = [
        "| recipe | network | source | fastnn (mean ± half the range) | numba, s | NumPy, s | ratio |",
        "|---|---|---|---|--:|--:|--:|",
    ]
    for row in measured:
        recipe = RECIPES[row.name]
        source = ", ".join(figure(key, [value]) for key, value in recipe.figures.items())
        ours = ", ".join(figure(key, values) for key, values in row.figures.items())
        seconds = f"{row.numba_seconds:.1f} | {row.numpy_seconds:.0f} | {row.numpy_seconds / row.numba_seconds:.1f}"
        lines.append(f"| `{row.name}` | {network(recipe)} | {source} | {ours} | {seconds} |")
    how = (
        f"Means over {seeds} seeds, median seconds of training in float32; NumPy in float64, extrapolated from "
        f"{numpy_epochs} iterations. Accuracies are of the test rows, or of those held out."
    )
    return "\n".join([*lines, "", f"{how} {machine()}"])


def network(recipe: Recipe) -> str:
    """Its sizes and training, such as "784-64-10, 2000 iterations"."""
    sizes = "-".join(map(str, (784, *recipe.hidden, 1 if recipe.zero else 10)))
    return f"{sizes}, {recipe.epochs} iterations"


def figure(key: str, values: list[float]) -> str:
    """A figure in words, with its spread if there are several values."""
    scale, digits, unit = (1.0, 4, "") if key == "final_loss" else (100.0, 2, " %")
    spread = f" ± {scale * (max(values) - min(values)) / 2:.{digits}f}" if len(values) > 1 else ""
    return f"{NAMES[key]} {scale * mean(values):.{digits}f}{spread}{unit}"


if __name__ == "__main__":
    sys.exit(main())
