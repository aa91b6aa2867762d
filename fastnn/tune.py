"""The command `fastnn tune`, or `python -m fastnn.tune`: try settings over seeds."""

import sys

from .commands.arguments import command
from .commands.tuning_flags import tune_parser

main = command("tune", tune_parser, "tuning")

if __name__ == "__main__":
    sys.exit(main())
