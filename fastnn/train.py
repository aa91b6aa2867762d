"""The command `python -m fastnn.train`: train a network on data, or by a recipe, and print how good it is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields

from .settings import Settings, flag, parse

NAMES = {field.name for field in fields(Settings)}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0; 2 after one line about what is wrong; 130 after Ctrl-C.

    argv: the flags; None for those of the process. Leaves by SystemExit after --help and for flags it does not know.
    """
    try:
        settings = parse(argv)
        from .commands import train  # here, for numba takes a second to import and --help needs none of it

        train(settings)
    except KeyboardInterrupt:
        print("fastnn.train: interrupted", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError, ArithmeticError, MemoryError) as error:
        print(f"fastnn.train: error: {sentence(error)}", file=sys.stderr)
        return 2
    return 0


def sentence(error: BaseException) -> str:
    """An error in one line, with the flag a person typed in place of the argument's name."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    text = " ".join(str(error).split()) or type(error).__name__
    name, _, rest = text.partition(" ")
    return f"{flag(name)} {rest}" if name in NAMES else text


if __name__ == "__main__":
    sys.exit(main())
