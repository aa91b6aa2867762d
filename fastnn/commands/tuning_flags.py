"""The flags of tuning: those of training, and what is to be tried. Imports nothing slow, so that `--help` is quick."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from .arguments import FLAGS, Parser
from .flags import add_training

LEARNING_RATES = (3e-4, 1e-3, 3e-3, 1e-2)
VALIDATION_FRACTION = 0.1
OWN_HELP = {
    "validation_fraction": f"share of training rows held out, to compare on (default: {VALIDATION_FRACTION:g})",
    "threads": "of each process (default: the CPUs, divided by the processes)",
}
UNTRIED = {"list_recipes", "config", "json", "data", "test_data", "validation_fraction", "recipe", "seed", "threads"}


def tune_parser() -> Parser:
    """The flags of `fastnn.tune`."""
    parser = Parser("tune", "Train every combination of some settings over several seeds, and say which is best.")
    add_training(parser)
    for action in parser._actions:
        action.help = OWN_HELP.get(action.dest, action.help)
    group = parser.add_argument_group("tuning")
    rates = ",".join(f"{rate:g}" for rate in LEARNING_RATES)
    group.add_argument(
        "--grid",
        action="append",
        type=grid_axis,
        metavar="KEY=V,V",
        help=f"values of a flag, such as lr=0.001,0.003 or hidden=64;128,64 (default: lr={rates}); several times",
    )
    group.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each combination (default: 3)")
    group.add_argument("--jobs", type=int, metavar="N", help="processes at a time (default: one for each CPU)")
    group.add_argument("--out", metavar="DIR", help="keep tune.jsonl and tune.png there (default: tune)")
    group.add_argument("--force", action="store_true", help="replace them")
    return parser


def grid_axis(text: str) -> tuple[str, list[Any]]:
    """A setting's name and values, each as its flag reads it. Values are parted by semicolons if there is one."""
    key, equals, listed = text.partition("=")
    values = listed.split(";" if ";" in listed else ",")
    parser = Parser("tune", "")
    add_training(parser)
    known = {action.dest: action for action in parser._actions if action.dest not in {*UNTRIED, "help"}}
    name = next((name for name, flag in FLAGS.items() if flag == "--" + key), key.replace("-", "_"))
    if not equals or name not in known or not all(values):
        keys = ", ".join(sorted(action.option_strings[0][2:] for action in known.values()))
        raise argparse.ArgumentTypeError(f"expected KEY=V,V with one of {keys}, and not {text!r}")
    read = [_value(known[name], key, value) for value in values]
    for text, value in zip(values, read, strict=True):
        if read.count(value) > 1:
            raise argparse.ArgumentTypeError(f"expected every value of {key} once, and not {text!r} twice")
    return name, read


def _value(action: argparse.Action, key: str, text: str) -> Any:
    if action.nargs == 0:
        if text not in ("true", "false"):
            raise argparse.ArgumentTypeError(f"expected true or false for {key}, and not {text!r}")
        return text == "true"
    try:
        return action.type(text) if callable(action.type) else text
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number for {key}, and not {text!r}") from None


def combinations(axes: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Every choice of one value an axis."""
    for values in product(*axes.values()):
        yield dict(zip(axes, values, strict=True))
