"""The command `fastnn predict`, or `python -m fastnn.predict`: what a trained network makes of images or rows."""

import sys

from .commands.arguments import command
from .commands.flags_of_runs import predict_parser

main = command("predict", predict_parser, "predicting")

if __name__ == "__main__":
    sys.exit(main())
