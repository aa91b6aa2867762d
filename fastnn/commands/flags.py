"""The flags of training, which tuning has as well. Imports nothing slow, so that `--help` is quick."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from ..architecture import ACTIVATIONS, OUTPUTS
from ..checks import one_of
from ..optimizers import OPTIMIZERS, WITH_MOMENTUM
from .arguments import Parser, listed
from .settings import Settings, arguments, from_file

MOST_CONFIG = 1 << 16  # bytes


def train_parser() -> Parser:
    """The flags of `fastnn.train`."""
    parser = Parser("train", "Train a dense network and report on it. Without flags: a digit classifier on MNIST.")
    add_training(parser)
    _add_keeping(parser.add_argument_group("run"))
    return parser


def settings_of(given: Mapping[str, Any]) -> Settings:
    """The settings: flags win over --config, and that over the recipe. Raises TypeError, ValueError or OSError."""
    flags = {name: value for name, value in given.items() if name != "config"}
    if "config" not in given:
        return Settings(**_recipe(flags.get("recipe")) | flags)
    if "recipe" in flags:
        raise ValueError("recipe and --config are both given; expected one of them.")
    written = _read_config(given["config"])
    settings = from_file(given["config"], lambda: Settings(**_recipe(written.get("recipe")) | written))
    return settings.replace(**flags)


def check_momentum(value: Any, optimizers: Iterable[str]) -> None:
    """Raise ValueError unless one of the optimizers has a momentum, which is given."""
    named = list(dict.fromkeys(optimizers))
    if not set(named).intersection(WITH_MOMENTUM):
        have = "have" if len(named) > 1 else "has"
        raise ValueError(
            f"momentum is {value}, which {', '.join(named)} {have} no use for; "
            f"expected --optimizer {' or '.join(WITH_MOMENTUM)} with it."
        )


def _recipe(name: str | None) -> dict[str, Any]:
    if name is None:
        return {}
    from ..recipes import RECIPES  # here, for it imports NumPy

    one_of("recipe", name, list(RECIPES))
    return RECIPES[name].settings()


def _read_config(path: str) -> dict[str, Any]:
    import tomllib

    with open(path, "rb") as file:
        content = file.read(MOST_CONFIG + 1)
    try:
        if len(content) > MOST_CONFIG:
            raise ValueError(f"it is longer than {MOST_CONFIG} bytes")
        return arguments(tomllib.loads(content.decode()))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no config.toml of a run: {str(error).rstrip('.')}.") from None


class _ListRecipes(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from ..recipes import RECIPES

        print(*RECIPES, sep="\n")
        parser.exit()


def add_training(parser: Parser) -> None:
    """What decides what is trained."""
    _add_data(parser.add_argument_group("data"))
    _add_network(parser.add_argument_group("network"))
    _add_steps(parser.add_argument_group("training"))
    _add_machine(parser.add_argument_group("running"))


def _add_data(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--recipe", metavar="NAME", help="a network whose results are known; other flags win over it")
    add("--list-recipes", action=_ListRecipes, nargs=0, help="print the recipes' names and exit")
    add("--config", metavar="FILE", help="settings as in a run's config.toml; other flags win over it")
    add(
        "--data",
        metavar="PATH",
        help="mnist, or an IDX folder, .npz or .csv file (default: mnist); bytes (uint8) mean x / 255, "
        "and so does a CSV of nothing but whole numbers from 0 to 255",
    )
    add("--test-data", metavar="PATH", help="rows to measure on (default: the test rows of --data)")
    add("--validation-fraction", type=float, metavar="F", help="share of training rows held out (default: 0)")


def _add_network(group: argparse._ArgumentGroup) -> None:
    add, hidden = group.add_argument, ",".join(map(str, Settings.hidden))
    add("--hidden", type=_hidden, metavar="N,N", help=f"units of each hidden layer, or none (default: {hidden})")
    add("--activation", type=_activation, metavar="A,A", help=f"one, or one a layer: {listed(ACTIVATIONS)}")
    add("--output-activation", dest="output", metavar="A", help=listed(OUTPUTS))
    add("--init", metavar="I", help="he, glorot, uniform:W or normal:S (default: he for relu, else glorot)")
    draws = "draw the biases the same way, or start from zeros (default)"
    add("--init-biases", action=argparse.BooleanOptionalAction, help=draws)


def _add_steps(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--epochs", type=int, metavar="N", help=f"passes over the rows (default: {Settings.epochs})")
    add("--batch-size", type=_batch_size, metavar="N", help=f"rows a step, or full (default: {Settings.batch_size})")
    add("--optimizer", metavar="O", help=listed(OPTIMIZERS, Settings.optimizer))
    add("--lr", dest="learning_rate", type=float, metavar="R", help=f"(default: {Settings.learning_rate:g})")
    add("--momentum", type=float, metavar="M", help=f"of momentum and nesterov (default: {Settings.momentum})")
    add("--weight-decay", type=float, metavar="D", help="times the weights, added to their gradient (default: 0)")


def _add_machine(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--seed", type=int, metavar="N", help="of first weights, shuffles and held-out rows (default: 0)")
    add("--threads", type=int, metavar="N", help="(default: one for each CPU)")
    add("--dtype", metavar="D", help="float32 or float64 (default: float32)")
    add("--backend", metavar="B", help="numba or numpy (default: numba)")
    add("--json", action="store_true", help="end with one line of JSON")


def _add_keeping(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--out", metavar="DIR", help="keep the run there: settings, checkpoints, figures, report (default: nowhere)")
    add("--force", action="store_true", help="replace the run that is in --out")
    add("--save-every", metavar="E", help=f"epochs such as 2, or seconds such as 30s (default: {Settings.save_every})")
    add("--resume", metavar="RUN", help="go on with a run that stopped, with its own settings")
    add(
        "--report", action=argparse.BooleanOptionalAction, help="make report.html at the end, or not (default: make it)"
    )
    add("--no-progress", dest="progress", action="store_false", help="do not show how training goes")
    add("--live", action="store_true", help="draw curves on the terminal while training")


def _hidden(text: str) -> tuple[int, ...]:
    try:
        return () if text in ("", "none") else tuple(int(units) for units in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected none, or whole numbers such as 128,64, and not {text!r}") from None


def _activation(text: str) -> str | tuple[str, ...]:
    return tuple(text.split(",")) if "," in text else text


def _batch_size(text: str) -> int | None:
    try:
        return None if text == "full" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected full, or a whole number such as 128, and not {text!r}") from None
