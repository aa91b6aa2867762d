"""The command `fastnn evaluate`, or `python -m fastnn.evaluate`: how good a trained network is."""

import sys

from .commands.arguments import command
from .commands.flags_of_runs import evaluate_parser

main = command("evaluate", evaluate_parser, "evaluating")

if __name__ == "__main__":
    sys.exit(main())
