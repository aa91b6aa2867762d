"""The command `fastnn warmup`, or `python -m fastnn.warmup`: compile everything, so that nothing has to later."""

import sys

from .commands.arguments import command
from .commands.flags_of_runs import warmup_parser

main = command("warmup", warmup_parser, "warming")

if __name__ == "__main__":
    sys.exit(main())
