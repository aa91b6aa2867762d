"""What the flags and errors of all commands have in common. Imports nothing slow, so that `--help` is quick."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from io import TextIOWrapper
from types import FrameType
from typing import Any, NoReturn, Protocol

from ..kernels.compiling.interrupts import in_main_thread

# The flags that are not named after their setting.
FLAGS = {
    "learning_rate": "--lr",
    "output": "--output-activation",
    "progress": "--no-progress",
}


class Stopped(Exception):
    """A signal ended the command; the message says where, and how to go on."""

    def __init__(self, signal: int, message: str) -> None:
        self.signal = signal
        super().__init__(message)


class Terminable:
    """Within it SIGTERM raises Stopped, so that what was begun is ended and put away."""

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGTERM, self._stop) if in_main_thread() else None

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _stop(self, number: int, frame: FrameType | None) -> NoReturn:
        raise Stopped(number, "terminated")


class Parser(argparse.ArgumentParser):
    """Flags that are not given are absent from what is parsed. What it cannot use it refuses in one line."""

    def __init__(self, verb: str, description: str) -> None:
        super().__init__(
            prog=f"fastnn.{verb}", description=description, argument_default=argparse.SUPPRESS, allow_abbrev=False
        )

    def names(self) -> set[str]:
        """The settings that its flags are of."""
        return {action.dest for action in self._actions if action.option_strings}

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def flag(name: str) -> str:
    """The flag a person types for a setting."""
    return FLAGS.get(name, "--" + name.replace("_", "-"))


def add_run_argument(parser: Parser) -> None:
    """What commands take that read a run."""
    add = parser.add_argument
    add("run", metavar="RUN", help="the folder of a run, or the file of a network")
    add("--checkpoint", choices=("last", "best"), help="which of a run's networks (default: last)")
    add("--threads", type=int, metavar="N", help="(default: one for each CPU)")
    add("--json", action="store_true", help="print one line of JSON instead of text")


def listed(names: Sequence[str], default: str | None = None) -> str:
    """The help of a flag that takes one of these names."""
    return f"{', '.join(names)} (default: {default or names[0]})"


class Main(Protocol):
    """A command: from its flags, or None for those of the process, to its exit status."""

    def __call__(self, argv: Sequence[str] | None = None) -> int: ...


def command(verb: str, make_parser: Callable[[], Parser], module: str) -> Main:
    """The `main` of a command: parses its flags and hands those given to `module`.run, which is imported only then, for
    NumPy, numba and the kernels take a second to import and --help needs none of them.

    Its exit status is 0; 2 after one line about what is wrong, or about each file that is; 130 after Ctrl-C. It leaves
    by SystemExit after --help and for flags it does not know.
    """

    def main(argv: Sequence[str] | None = None) -> int:
        parser = make_parser()
        return _run(verb, lambda: _work(vars(parser.parse_args(argv)), module), parser.names())

    return main


def _work(given: dict[str, Any], module: str) -> None:
    import_module(f".{module}", __package__).run(given)


def _run(verb: str, work: Callable[[], None], names: set[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # "?" for what a terminal or the name of a file cannot say
            stream.reconfigure(errors="replace")
    try:
        work()
    except Stopped as stopped:
        print(f"fastnn.{verb}: {stopped}", file=sys.stderr)
        return 128 + stopped.signal
    except KeyboardInterrupt:
        print(f"fastnn.{verb}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, TypeError, OSError, ArithmeticError, MemoryError, ImportError, ExceptionGroup) as error:
        for each in error.exceptions if isinstance(error, ExceptionGroup) else [error]:
            print(f"fastnn.{verb}: error: {sentence(each, names)}", file=sys.stderr)
        return 2
    return 0


def sentence(error: BaseException, names: set[str]) -> str:
    """An error in one line, with the flag a person typed in place of the argument's name."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return "\\n".join(f"{error.filename}: {error.strerror}.".splitlines())
    text = " ".join(str(error).split()) or type(error).__name__
    name, _, rest = text.partition(" ")
    return f"{flag(name)} {rest}" if name in names else text
