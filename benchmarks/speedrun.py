"""How fast MNIST is learnt: to 97, 98 and 98.5% of the test set, as a median over 20 seeds.

Networks, optimizers, learning rates, batch sizes and epochs were chosen by `--search` on a part of the training set
held out for that; the test set is looked at only here, after a fixed number of epochs. Seconds are those of making
and training a network: cold in the first process on a machine, which compiles the kernels; cached in any later process;
warm once a process has trained before.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.learning import Learner, Settings
from benchmarks.page import add_write, machine, write
from benchmarks.process import Process

MARKER = "speedrun"

# What `--search` chose for each percentage, and what it measured: the median accuracy of the rows held out, over its
# seeds, after training on the other 54000.
CHOSEN: dict[float, tuple[Settings, float]] = {
    97.0: (Settings((64,), "nesterov", 0.3, 192, 4, 0.0), 0.9715),
    98.0: (Settings((128,), "nesterov", 0.2, 128, 6, 0.0), 0.9800),
    98.5: (Settings((512, 256), "adamw", 0.004, 128, 12, 0.1), 0.9852),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Search, or train and print the table. Returns the exit status: 1 if a percentage is not reached."""
    options = parse(argv)
    if options.search:
        from benchmarks.search import search

        search(options.target, options.rows)
        return 0
    results = [measure(target, options) for target in options.target]
    text = f"{table(results)}\n\n{explanation(results)}"
    print(f"\n{text}")
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n", "utf-8")
    if options.write is not None:
        write(options.write, MARKER, text)
    return 0 if all(result["median_accuracy"] >= result["target"] for result in results) else 1


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speedrun", description=__doc__)
    parser.add_argument("--target", nargs="+", type=float, choices=CHOSEN, default=list(CHOSEN), help="default: all")
    parser.add_argument("--seeds", type=int, default=20, help="networks for each percentage (default: 20)")
    parser.add_argument("--search", action="store_true", help="choose the settings anew, and print them")
    parser.add_argument("--without-cold", action="store_true", help="do not compile the kernels anew")
    parser.add_argument("--rows", type=int, help="the first so many training rows, for a quick look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="put every figure into this file")
    add_write(parser, MARKER)
    options = parser.parse_args(argv)
    if options.seeds < 1 or (options.rows is not None and options.rows < 1):
        parser.error("--seeds and --rows must be at least 1")
    return options


# --- measuring


def measure(target: float, options: argparse.Namespace) -> dict[str, Any]:
    """The settings chosen for this percentage: the first network of a new process, then one for every seed in this."""
    settings, validation_accuracy = CHOSEN[target]
    cold = None
    if not options.without_cold:
        with tempfile.TemporaryDirectory() as empty:
            cold = first_seconds(settings, options.rows, NUMBA_CACHE_DIR=empty)
    learner = Learner(options.rows)
    learner.train(settings, seed=0)  # warms up, and compiles what was never compiled on this machine
    cached = first_seconds(settings, options.rows)
    runs = [learner.train(settings, seed) for seed in range(options.seeds)]
    accuracies, seconds = [100 * run.accuracy for run in runs], [run.seconds for run in runs]
    result = {
        "target": target,
        "settings": vars(settings),
        "validation_accuracy": validation_accuracy,
        "accuracies": accuracies,
        "median_accuracy": median(accuracies),
        "seconds": seconds,
        "median_seconds": median(seconds),
        "cached_seconds": cached,
        "cold_seconds": cold,
    }
    print(row(result), flush=True)
    return result


def first_seconds(settings: Settings, rows: int | None, **environment: str) -> float:
    """Of the first training in a new process."""
    process = Process(**environment)
    try:
        process.hold(Learner, rows)
        return float(process.call("train", settings, 0).seconds)
    finally:
        process.close()


# --- writing


def table(results: list[dict[str, Any]]) -> str:
    """In Markdown, a row for every percentage."""
    titles = "| of the test set | network and training | test accuracy | warm, s | cached, s | cold, s |"
    return "\n".join([titles, "|--:|---|---|--:|--:|--:|", *map(row, results)])


def row(result: dict[str, Any]) -> str:
    """One of the table's rows."""
    accuracies, seconds, cold = result["accuracies"], result["seconds"], result["cold_seconds"]
    cells = [
        f"{result['target']:g}%",
        Settings(**result["settings"]).describe(),
        f"{result['median_accuracy']:.2f}% ({min(accuracies):.2f} to {max(accuracies):.2f})",
        f"{result['median_seconds']:.2f} ({min(seconds):.2f} to {max(seconds):.2f})",
        f"{result['cached_seconds']:.2f}",
        "" if cold is None else f"{cold:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def explanation(results: list[dict[str, Any]]) -> str:
    """How the figures came about, and on which machine."""
    seeds = len(results[0]["accuracies"])
    return (
        f"Medians over {seeds} seeds, and the least and the greatest. All was chosen on training rows held out, then "
        "trained on all rows. Cold: the first process on a machine, compiling included; cached: any later process, "
        f"both a single run; warm: a process that has trained before. {machine()}"
    )


if __name__ == "__main__":
    sys.exit(main())
