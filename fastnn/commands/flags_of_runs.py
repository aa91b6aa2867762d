"""The flags of the commands that do not train. Imports nothing slow, so that `--help` is quick."""

from __future__ import annotations

from .arguments import Parser, add_run_argument

PICTURES = ("data", "weights", "mistakes", "curves", "confusion")


def evaluate_parser() -> Parser:
    """The flags of `fastnn.evaluate`."""
    parser = Parser("evaluate", "Measure a trained network: by default on the rows its run was measured on.")
    add_run_argument(parser)
    parser.add_argument("--data", metavar="PATH", help="other rows: mnist, an IDX folder, .npz or .csv file")
    parser.add_argument("--worst", type=int, default=10, metavar="N", help="mistakes to list (default: 10)")
    return parser


def predict_parser() -> Parser:
    """The flags of `fastnn.predict`."""
    parser = Parser("predict", "Labels and probabilities for images of digits, or for rows of features.")
    add_run_argument(parser)
    parser.add_argument("files", nargs="+", metavar="FILE", help="PNG or JPEG, or rows as CSV, .npz, .npy or IDX")
    _add_out(parser, "write all to this .csv or .npz")
    return parser


def show_parser() -> Parser:
    """The flags of `fastnn.show`."""
    parser = Parser("show", "Draw a picture of a run, and say where it is.")
    parser.add_argument("picture", choices=PICTURES)
    add_run_argument(parser)
    _add_out(parser, "the picture: .png, .svg or .pdf (default: a .png in the run)")
    return parser


def export_parser() -> Parser:
    """The flags of `fastnn.export`."""
    parser = Parser("export", "Write a trained network as ONNX, with what it does to features and outputs inside.")
    add_run_argument(parser)
    parser.add_argument("file", metavar="FILE", help="such as model.onnx")
    parser.add_argument("--force", action="store_true", help="replace FILE")
    return parser


def warmup_parser() -> Parser:
    """The flags of `fastnn.warmup`."""
    parser = Parser("warmup", "Compile the kernels for this CPU and keep them, so that no later process has to.")
    parser.add_argument("--json", action="store_true", help="print one line of JSON instead of text")
    return parser


def _add_out(parser: Parser, what: str) -> None:
    parser.add_argument("--out", metavar="FILE", help=what)
    parser.add_argument("--force", action="store_true", help="replace it")
