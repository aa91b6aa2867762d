"""All that a training run can be asked for, and its form in config.toml and in checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from ..architecture import ACTIVATIONS, OUTPUTS, usual_init
from ..checks import integer, number, one_of
from ..optimizers import Optimizer

T = TypeVar("T")

# What None is called where it must have a name, as flags and files have it.
NONE = {"batch_size": "full", "threads": "all"}

# What says where a run goes and what is shown of it, not what is trained: not part of config.toml.
OUTSIDE = ("out", "force", "progress", "live", "json")


@dataclass(frozen=True)
class Settings:
    """All of a run, as flags, file and recipe have it; what is not said there is the default here.

    hidden: units of each hidden layer. batch_size None: the full batch. threads None: as many as there are CPUs.
    save_every: whole epochs such as "2", or seconds such as "30s". The others mean what they mean for `MLP` and `fit`,
    or what the flag's help says.
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
    save_every: str = "30s"
    report: bool = True
    out: str | None = None
    force: bool = False
    progress: bool = True
    live: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        """Refuse what can be known to be wrong before the data is read. Raises TypeError or ValueError."""
        self._check_types()
        for name in ("data", "test_data", "out"):
            if getattr(self, name) == "":
                raise ValueError(f"{name} is ''; expected a name.")
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
        self.make_interval()

    def _check_types(self) -> None:
        """Flags have their types from the parser, files and checkpoints hold anything."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in ("str", "str | None") and not (isinstance(value, str) or value is field.default):
                raise TypeError(f"{field.name} is {value!r}; expected text.")
            if field.type == "bool" and not isinstance(value, bool):
                raise TypeError(f"{field.name} is {value!r}; expected true or false.")
        if not isinstance(self.hidden, tuple):
            raise TypeError(f"hidden is {self.hidden!r}; expected a list of whole numbers.")
        if not isinstance(self.activation, str | tuple):
            raise TypeError(f"activation is {self.activation!r}; expected a name, or a list of names.")
        for name in (self.activation,) if isinstance(self.activation, str) else self.activation:
            one_of("activation", name, ACTIVATIONS)

    def make_optimizer(self) -> Optimizer:
        return Optimizer(self.optimizer, self.learning_rate, momentum=self.momentum, weight_decay=self.weight_decay)

    def make_interval(self) -> tuple[int | None, float | None]:
        """How often to save: every so many epochs or, if that is None, seconds."""
        text = self.save_every.removesuffix("s")
        try:
            if text == self.save_every:
                return integer("save_every", int(text), least=1), None
            return None, number("save_every", float(text), above=0.0)
        except ValueError:
            raise ValueError(f"save_every is {self.save_every!r}; expected epochs such as 2, or 30s.") from None

    def resolved(self) -> Settings:
        """With the names of files as they are from everywhere, and nothing left to be chosen by others."""
        named = (self.activation,) if isinstance(self.activation, str) else self.activation
        return self.replace(
            data=self.data if self.data == "mnist" else str(Path(self.data).absolute()),
            test_data=None if self.test_data is None else str(Path(self.test_data).absolute()),
            init=self.init or usual_init(named if self.hidden else ()),
            output=self.output or "softmax",
        )

    def replace(self, **changes: Any) -> Settings:
        return Settings(**{field.name: getattr(self, field.name) for field in fields(self)} | changes)

    def as_dict(self) -> dict[str, Any]:
        """Names and values of what is trained, for TOML and JSON; what is None and has no name of its own is absent."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in OUTSIDE}
        values = {name: NONE.get(name) if value is None else value for name, value in values.items()}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value is not None
        }


NAMES = {field.name for field in fields(Settings)}


def arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """What `Settings` takes, from what `as_dict` gave or a person wrote. Raises ValueError for an unknown name."""
    known = sorted(NAMES.difference(OUTSIDE))
    for name in values:
        one_of("a setting", name, known)
    listed = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return {name: None if value == NONE.get(name, "") else value for name, value in listed.items()}


def from_file(name: str, make: Callable[[], T]) -> T:
    """What `make` gives; its errors name the file as well."""
    try:
        return make()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from None
