"""The command `fastnn export`, or `python -m fastnn.export`: a trained network as an ONNX file."""

import sys

from .commands.arguments import command
from .commands.flags_of_runs import export_parser

main = command("export", export_parser, "exporting")

if __name__ == "__main__":
    sys.exit(main())
