"""The command `fastnn VERB`, or `python -m fastnn VERB`: every verb is a module of that name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

VERBS = {
    "train": "train a network, and print how good it is",
    "evaluate": "how good a trained network is, and where it is wrong",
    "predict": "what a trained network makes of images or rows",
    "tune": "try learning rates and other settings, over seeds",
    "show": "pictures of data, curves, weights, mistakes and who is taken for whom",
    "export": "a trained network as an ONNX file",
    "warmup": "compile the kernels, so that no later process has to",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb's command and return its exit status. argv: the verb and its flags; None for the process's."""
    verb, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if verb in VERBS:
        status: int = import_module(f".{verb}", "fastnn").main(rest)
        return status
    if verb in ("-h", "--help"):
        print(_usage())
        return 0
    print(f"fastnn: error: {verb!r} is no command; expected one of {', '.join(VERBS)}.", file=sys.stderr)
    return 2


def _usage() -> str:
    lines = [f"  {verb:9} {what}" for verb, what in VERBS.items()]
    return "\n".join(["usage: fastnn VERB [flags]", "", *lines, "", "fastnn VERB --help lists a verb's flags."])


if __name__ == "__main__":
    sys.exit(main())
