"""The command `fastnn train`, or `python -m fastnn.train`: train a network, and print how good it is."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .commands.arguments import run
from .commands.flags import parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `commands.arguments.run` for its exit status. argv: the flags; None for the process's."""

    def work() -> None:
        given = parse(argv)
        from .commands.training import train  # here, for numba takes a second to import and --help needs none of it

        train(given)

    return run("train", work)


if __name__ == "__main__":
    sys.exit(main())
