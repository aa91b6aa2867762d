"""fastnn beside NumPy, scikit-learn, PyTorch and JAX: the same networks, trained on the same data.

Each library lives in a process of its own, with the number of threads that suits it best. First all must reach the same
losses from the same initial weights; then they train in turn, round after round, one at a time. A time is that of a
whole fit, with everything it does, divided by its epochs; medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.contest import Disagreement, Entry, as_dict, best_peer, contest, ratio
from benchmarks.page import machine, milliseconds, page_with, ratio_text, write
from benchmarks.rivals import FASTNN, RIVALS
from benchmarks.workloads import BY_NAME, Workload, describe

FIT_SECONDS = 0.5
MARKER = "peers"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure or read, print the table, write it where asked. Exit status 1 if somebody's losses differ."""
    options = parse(argv)
    report = read(options.read) if options.read else measure(options)
    text = f"{table(report['results'])}\n\n{explanation(report['machine'])}"
    print(f"\n{text}")
    if options.write is not None:
        write(Path(options.write), options.marker, text)
    if options.plot is not None:
        from benchmarks.plot import plot_peers

        plot_peers(report["results"], report["machine"], options.plot)
    return 1 if report["disagreements"] else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--workload", nargs="+", choices=BY_NAME, default=list(BY_NAME), help="default: all of them")
    others = [name for name in RIVALS if name != FASTNN]
    parser.add_argument("--rivals", nargs="+", choices=others, default=others, help="default: all of them")
    parser.add_argument("--rounds", type=int, default=5, help="times that each is timed (default: 5)")
    parser.add_argument("--seconds", type=float, default=FIT_SECONDS, help=f"of a fit, about ({FIT_SECONDS})")
    parser.add_argument("--rows", type=int, help="the first so many rows of the data, for a quick look")
    parser.add_argument("--read", type=Path, nargs="+", metavar="FILE", help="show what --json wrote; measure nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="put every time into this file")
    parser.add_argument("--write", metavar="README.md", help="put the table between this file's markers")
    parser.add_argument("--marker", default=MARKER, help=f"the markers' name, of another machine's table ({MARKER})")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the times, all axes from zero")
    options = parser.parse_args(argv)
    if options.rounds < 1 or options.seconds <= 0 or (options.rows is not None and options.rows < 1):
        parser.error("--rounds and --rows must be at least 1, and --seconds above 0")
    if options.write is not None:
        try:
            page_with(options.marker)(options.write)
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument --write: {error}")
    if options.plot is not None and find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib: pip install -e '.[bench]'")
    return options


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Every workload asked for. What cannot take part is said and left out."""
    names = [name for name in options.rivals if RIVALS[name].installed]
    for name in sorted(set(options.rivals) - set(names)):
        print(f"{RIVALS[name].title} is not installed and left out: pip install -e '.[bench]'", file=sys.stderr)
    if not names:
        raise SystemExit("None of the libraries to compare with is installed.")
    versions = dict.fromkeys(rival.distribution for rival in RIVALS.values() if rival.installed)
    report: dict[str, Any] = {"machine": machine([*versions, "numba"]), "results": [], "disagreements": []}
    with contest([FASTNN, *names]) as runner:
        for name in options.workload:
            workload = BY_NAME[name] if options.rows is None else BY_NAME[name].on_rows(options.rows)
            try:
                entries = runner.run(workload, options.rounds, options.seconds)
            except Disagreement as error:
                print(error, file=sys.stderr)
                report["disagreements"].append(str(error))
            else:
                report["results"].append(as_dict(workload, entries))
                print(sentence(workload, entries), flush=True)
            if options.json is not None:  # after each, for all together take minutes
                options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def sentence(workload: Workload, entries: dict[str, Entry]) -> str:
    """A workload's outcome."""
    best = best_peer(entries)
    found = f"{ratio_text(ratio(entries, best))} times as fast as {RIVALS[best].title}"
    return f"{describe(workload)}: {milliseconds(entries[FASTNN].median)} ms, {found}"


def read(paths: list[Path]) -> dict[str, Any]:
    """Reports of several runs as one; of a workload that is in several the last one counts. ValueError if they are of
    different machines or versions."""
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    machines = {report["machine"] for report in reports}
    if len(machines) > 1:
        raise ValueError(f"The files are of different machines or versions: {' / '.join(sorted(machines))}")
    disagreements = [error for report in reports for error in report["disagreements"]]
    latest = {result["workload"]: result for report in reports for result in report["results"]}
    results = [latest[name] for name in BY_NAME if name in latest]
    return {"machine": machines.pop(), "results": results, "disagreements": disagreements}


def table(results: list[dict[str, Any]]) -> str:
    """In Markdown: milliseconds of everybody, and fastnn's ratio to the best of the others beside its floor."""
    names = [name for name in RIVALS if any(name in result["entries"] for result in results)]
    titles = [f"{RIVALS[name].title}, ms" for name in names]
    lines = [
        f"| workload | {' | '.join(titles)} | best peer / fastnn | at least |",
        f"|---|{'--:|' * (len(names) + 2)}",
    ]
    for result in results:
        workload = BY_NAME[result["workload"]]
        if result["rows"] is not None:
            workload = workload.on_rows(result["rows"])
        found = [result["entries"].get(name) for name in names]
        cells = [milliseconds(entry["median"]) if entry else "" for entry in found]
        best = f"{ratio_text(result['ratio'])} ({RIVALS[result['best_peer']].title})"
        lines.append(f"| {describe(workload)}, an {workload.unit} | {' | '.join(cells)} | {best} | {workload.floor} |")
    return "\n".join(lines)


def explanation(machine: str) -> str:
    """What the figures are, and of which machine."""
    return (
        "Medians of whole fits from the same initial weights, each of some half a second, divided by their epochs. The "
        "libraries took turns, each in its own process with as many threads, one or one a core, as were faster for it "
        "(fastnn: its default). "
        f"fastnn reads MNIST's pixels as they are, the others floating-point numbers made beforehand. {machine}"
    )


if __name__ == "__main__":
    sys.exit(main())
