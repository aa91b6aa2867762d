"""The flags of `python -m fastnn.train`, and the settings they become. Imports nothing slow, so `--help` is quick."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from .architecture import ACTIVATIONS, OUTPUTS
from .checks import integer, number, one_of
from .optimizers import OPTIMIZERS, Optimizer

# The flags that are not named after their setting.
FLAGS = {"learning_rate": "--lr", "output": "--output-activation"}


@dataclass(frozen=True)
class Settings:
    """All of a run, as flags and recipe have it; what is not said there is the default here.

    hidden: units of each hidden layer. batch_size None: the full batch. threads None: as many as there are CPUs.
    The others mean what they mean for `MLP` and `fit`, or what the flag's help says.
    """

    recipe: str | None = None
    data: str = "mnist"
    test_data: str | None = None
    hidden: tuple[int, ...] = (256,)
    activation: str | tuple[str, ...] = "relu"
    output: str | None = None
    epochs: int = 20
    batch_size: int | None = 512
    optimizer: str = "adam"
    learning_rate: float = 3e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    init: str | None = None
    init_biases: bool = False
    validation_fraction: float = 0.0
    seed: int = 0
    threads: int | None = None
    dtype: str = "float32"
    backend: str = "numba"
    out: str | None = None
    progress: bool = True
    json: bool = False

    def __post_init__(self) -> None:
        """Refuse what can be known to be wrong before the data is read. Raises TypeError or ValueError."""
        for units in self.hidden:
            integer("hidden", units, least=1)
        integer("epochs", self.epochs, least=1)
        integer("seed", self.seed, least=0)
        for name in ("batch_size", "threads"):
            if getattr(self, name) is not None:
                integer(name, getattr(self, name), least=1)
        number("validation_fraction", self.validation_fraction, least=0.0, below=1.0)
        if self.output is not None:
            one_of("output", self.output, OUTPUTS)
        if self.init_biases and self.init is None:
            raise ValueError("init_biases is given without --init; expected both, such as --init uniform:0.5.")
        self.make_optimizer()

    def make_optimizer(self) -> Optimizer:
        return Optimizer(self.optimizer, self.learning_rate, momentum=self.momentum, weight_decay=self.weight_decay)


def flag(name: str) -> str:
    """The flag a person types for a setting."""
    return FLAGS.get(name, "--" + name.replace("_", "-"))


def parse(argv: Sequence[str] | None) -> Settings:
    """The settings from the command line, where flags win over the recipe. Raises TypeError or ValueError."""
    given = vars(_parser().parse_args(argv))
    if "recipe" not in given:
        return Settings(**given)
    from .recipes import RECIPES  # here, for it imports NumPy

    one_of("recipe", given["recipe"], list(RECIPES))
    return Settings(**RECIPES[given["recipe"]].settings() | given)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


class _ListRecipes(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from .recipes import RECIPES

        print(*RECIPES, sep="\n")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    """Every flag. Those not given are absent from what is parsed: the recipe or Settings fills them in."""
    parser = _Parser(
        prog="fastnn.train",
        description="Train a dense network and report on it. Without flags: a digit classifier on MNIST.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    _add_data(parser.add_argument_group("data"))
    _add_network(parser.add_argument_group("network"))
    _add_training(parser.add_argument_group("training"))
    _add_running(parser.add_argument_group("running"))
    return parser


def _add_data(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--recipe", metavar="NAME", help="a network whose results are known; other flags win over it")
    add("--list-recipes", action=_ListRecipes, nargs=0, help="print the recipes' names and exit")
    add("--data", metavar="PATH", help="mnist, or an IDX folder, .npz or .csv file (default: mnist)")
    add("--test-data", metavar="PATH", help="rows to measure on (default: the test rows of --data)")
    add("--validation-fraction", type=float, metavar="F", help="share of training rows held out (default: 0)")


def _add_network(group: argparse._ArgumentGroup) -> None:
    add, hidden = group.add_argument, ",".join(map(str, Settings.hidden))
    add("--hidden", type=_hidden, metavar="N,N", help=f"units of each hidden layer, or none (default: {hidden})")
    add("--activation", type=_activation, metavar="A,A", help=f"one, or one a layer: {_listed(ACTIVATIONS)}")
    add("--output-activation", dest="output", metavar="A", help=_listed(OUTPUTS))
    add("--init", metavar="I", help="he, glorot, uniform:W or normal:S (default: he for relu, else glorot)")
    add("--init-biases", action="store_true", help="draw the biases the same way, instead of zeros")


def _add_training(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--epochs", type=int, metavar="N", help=f"passes over the rows (default: {Settings.epochs})")
    add("--batch-size", type=_batch_size, metavar="N", help=f"rows a step, or full (default: {Settings.batch_size})")
    add("--optimizer", metavar="O", help=_listed(OPTIMIZERS, Settings.optimizer))
    add("--lr", dest="learning_rate", type=float, metavar="R", help=f"(default: {Settings.learning_rate:g})")
    add("--momentum", type=float, metavar="M", help=f"of momentum and nesterov (default: {Settings.momentum})")
    add("--weight-decay", type=float, metavar="D", help="times the weights, added to their gradient (default: 0)")


def _add_running(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--seed", type=int, metavar="N", help="of first weights, shuffles and held-out rows (default: 0)")
    add("--threads", type=int, metavar="N", help="(default: one for each CPU)")
    add("--dtype", metavar="D", help="float32 or float64 (default: float32)")
    add("--backend", metavar="B", help="numba or numpy (default: numba)")
    add("--out", metavar="DIR", help="save model.safetensors and history.json there (default: save nothing)")
    add("--no-progress", dest="progress", action="store_false", help="do not show how training goes")
    add("--json", action="store_true", help="end with one line of JSON")


def _listed(names: Sequence[str], default: str | None = None) -> str:
    return f"{', '.join(names)} (default: {default or names[0]})"


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
