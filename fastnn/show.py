"""The command `fastnn show`, or `python -m fastnn.show`: pictures of a run."""

import sys

from .commands.arguments import command
from .commands.flags_of_runs import show_parser

main = command("show", show_parser, "showing")

if __name__ == "__main__":
    sys.exit(main())
