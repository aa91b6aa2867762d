"""The command `fastnn train`, or `python -m fastnn.train`: train a network, and print how good it is."""

import sys

from .commands.arguments import command
from .commands.flags import train_parser

main = command("train", train_parser, "training")

if __name__ == "__main__":
    sys.exit(main())
