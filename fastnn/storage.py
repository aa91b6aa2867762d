"""Checkpoints: a network and its training in one safetensors file, whose header holds what is no array as JSON.

An estimator's file is a network's with a description and arrays of its own, which `estimators` makes and checks.

A file is checked as a whole, byte for byte, before anything in it is used. No pickle: nothing in it can be executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as tensors_from
from safetensors.numpy import save as bytes_of

from . import files
from .architecture import Architecture
from .checks import integer, number, one_of
from .history import History
from .optimizers import OPTIMIZERS, SLOTS
from .trainer import State, Unfinished

Array = NDArray[Any]
FORMAT = 2

# Parsed JSON takes up to 25 times the room of its text, so this keeps a header that lies below 25 MB. It is enough for
# a thousand layers.
MOST_HEADER = 1 << 20
PIECE = 1 << 20
MOST_COUNTED = 1 << 53  # kernels count in 64 bits

# The checksum is of the whole file, with zeros in its own place. Quotes are escaped, for it is JSON in a JSON string.
_CHECKSUM = rb"\"checksum\": \""
_ZEROS = "0" * 64

_ESTIMATOR = "estimator."  # begins the names of an estimator's own arrays


@dataclass
class Checkpoint:
    """All that it takes to go on as if never stopped.

    settings: how the run was asked for, as `Settings.as_dict` has it; empty for a network saved by itself.
    data: what is known of the rows it was trained on, by name; empty for a network saved by itself.
    estimator, arrays: what an estimator is besides its network, as JSON and as arrays; empty for all else.
    """

    architecture: Architecture
    state: State
    history: History = field(default_factory=History)
    settings: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    estimator: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)


# --- saving


def save(path: files.StrPath, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; an existing file is replaced as a whole or, if OSError is raised, left alone."""
    files.replace(path, content_of(checkpoint))


def content_of(checkpoint: Checkpoint) -> bytearray:
    """The bytes of a checkpoint's file."""
    state, a = checkpoint.state, checkpoint.architecture
    described = {
        "format": FORMAT,
        "checksum": _ZEROS,
        "sizes": a.sizes,
        "activations": a.activations,
        "output": a.output,
        "epochs": state.epochs,
        "optimizer": state.optimizer,
        "steps": state.steps,
        "unfinished": asdict(state.unfinished),
        "settings": checkpoint.settings,
        "data": checkpoint.data,
    }
    if checkpoint.estimator:
        described["estimator"] = checkpoint.estimator
    tensors = _tensors(checkpoint)
    _check_finite(tensors)
    content = bytearray(bytes_of(tensors, {"fastnn": json.dumps(described, allow_nan=False)}))
    length = int.from_bytes(content[:8], "little")
    if length > MOST_HEADER:
        raise ValueError(f"The checkpoint's header has {length} bytes; expected at most {MOST_HEADER}: fewer layers.")
    place = content.index(_CHECKSUM) + len(_CHECKSUM)
    content[place : place + len(_ZEROS)] = hashlib.sha256(content).hexdigest().encode()
    return content


def _tensors(checkpoint: Checkpoint) -> dict[str, Array]:
    state, history = checkpoint.state, checkpoint.history.as_dict()
    tensors = dict(zip(_parameter_names(checkpoint.architecture), state.weights + state.biases, strict=True))
    for s, slot in enumerate(state.slots):
        tensors |= dict(zip(_parameter_names(checkpoint.architecture, f"slots.{s}."), slot, strict=True))
    tensors |= {f"{_ESTIMATOR}{name}": array for name, array in checkpoint.arrays.items()}
    return tensors | {f"history.{name}": np.array(values, np.float64) for name, values in history.items()}


def _check_finite(tensors: dict[str, Array]) -> None:
    """Raise ValueError for a weight that is not finite. What optimizers remember of squares may be infinite in float32
    where weights are not, and then they move no more."""
    for name, array in tensors.items():
        if name.startswith(("history.", _ESTIMATOR)):
            continue
        right = ~np.isnan(array) if name.startswith("slots.") else np.isfinite(array)
        if not right.all():
            raise ValueError(f"{name} holds a value that is not finite; expected finite numbers")


def _parameter_names(architecture: Architecture, prefix: str = "") -> list[str]:
    layers = range(len(architecture.layers))
    return [f"{prefix}{kind}.{layer}" for kind in ("weights", "biases") for layer in layers]


# --- loading


def load(path: files.StrPath) -> Checkpoint:
    """What `save` wrote. Raises OSError, or ValueError with the file's name, what was found and what was expected."""
    name = os.fspath(path)
    with _opened(name) as file:
        header, described = _header(name, file)
        _check_checksum(name, file, header, described)
        with refusing(name):
            checkpoint = _described(described)
            _check_tensors(header, checkpoint)
            file.seek(0)
            _fill(checkpoint, tensors_from(file.read()))
    return checkpoint


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """Within it, what a file of this name holds is looked at: whatever is wrong with it becomes one ValueError."""
    try:
        yield
    except (SafetensorError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        said = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{name} is no checkpoint of fastnn: {said.rstrip('.')}.") from None


def _opened(name: str) -> IO[bytes]:
    """The file, if it is one: a pipe or a device might never end."""
    handle = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(f"{name} is a folder; expected the file of a network.")
        raise ValueError(f"{name} is no regular file; expected a network that MLP.save wrote.")
    return os.fdopen(handle, "rb")


def _header(name: str, file: IO[bytes]) -> tuple[bytes, dict[str, Any]]:
    """The header's bytes and the JSON that `save` put into it, of a format that this version can read."""
    size, start = os.fstat(file.fileno()).st_size, file.read(8)
    length = int.from_bytes(start, "little")
    try:
        if len(start) < 8 or length > min(size - 8, MOST_HEADER):
            raise ValueError
        header = file.read(length)
        described = json.loads(json.loads(header)["__metadata__"]["fastnn"])
        version = described["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        kinds = {b"\x80": "a pickle", b"PK": "a zip archive, as pickles and .npz files can be"}
        found = next((kinds[mark] for mark in kinds if start.startswith(mark)), f"{size} bytes of something else")
        raise ValueError(f"{name} holds {found}; expected a network that MLP.save wrote.") from None
    if version != FORMAT:
        newer = isinstance(version, int) and version > FORMAT
        what = "has the newer format" if newer else "has format"
        raise ValueError(f"{name} {what} {version!r}; expected {FORMAT}, which this version of fastnn reads.")
    return header, described


def _check_checksum(name: str, file: IO[bytes], header: bytes, described: dict[str, Any]) -> None:
    """Read the file through, a piece at a time, and compare."""
    expected = str(described.get("checksum"))
    place = header.find(_CHECKSUM + expected.encode()) + len(_CHECKSUM)
    zeroed = header[:place] + _ZEROS.encode() + header[place + len(_ZEROS) :]
    found = hashlib.sha256(len(header).to_bytes(8, "little") + zeroed)
    while piece := file.read(PIECE):
        found.update(piece)
    if found.hexdigest() != expected:
        shown = slice(16 if found.hexdigest()[:16] != expected[:16] else 64)  # the checksum itself may be damaged
        raise ValueError(
            f"{name} is damaged: its checksum is {found.hexdigest()[shown]}; expected {expected[shown]}, as written."
        )


def _described(described: dict[str, Any]) -> Checkpoint:
    """A checkpoint whose arrays are still to be filled in."""
    architecture = Architecture.of(described["sizes"], described["activations"], described["output"])
    optimizer, unfinished = described["optimizer"], described["unfinished"]
    one_of("optimizer", optimizer, ("", *OPTIMIZERS))
    about = {"settings": described["settings"], "data": described["data"], "estimator": described.get("estimator", {})}
    for name, values in about.items():
        if not isinstance(values, dict):
            raise TypeError(f"{name} is {values!r}; expected names and values.")
    state = State([], [], count("epochs", described), optimizer, count("steps", described))
    state.unfinished = Unfinished(
        steps=count("steps", unfinished),
        loss=number("unfinished loss", unfinished["loss"]),
        right=count("right", unfinished),
        seconds=number("unfinished seconds", unfinished["seconds"], least=0.0),
    )
    return Checkpoint(architecture, state, **about)


def count(name: str, values: dict[str, Any]) -> int:
    """values[name], if it is a number to count with. Raises KeyError, TypeError or ValueError."""
    checked = integer(name, values[name], least=0)
    if checked > MOST_COUNTED:
        raise ValueError(f"{name} is {checked}; expected at most {MOST_COUNTED}")
    return checked


def _check_tensors(header: bytes, checkpoint: Checkpoint) -> None:
    """Raise ValueError unless the header lists the arrays that the checkpoint must have, and no others but an
    estimator's own, which are its matter."""
    skipped = ("__metadata__", _ESTIMATOR) if checkpoint.estimator else ("__metadata__",)
    listed = {name: entry for name, entry in json.loads(header).items() if not name.startswith(skipped)}
    a, slots = checkpoint.architecture, SLOTS.get(checkpoint.state.optimizer, 0)
    shapes = [*map(list, a.layers), *([N] for _, N in a.layers)]
    dtype = listed["weights.0"]["dtype"]
    one_of("dtype", dtype, ("F32", "F64"))
    expected: dict[str, tuple[str, list[int]]] = {}
    for prefix in ("", *(f"slots.{s}." for s in range(slots))):
        expected |= {name: (dtype, shape) for name, shape in zip(_parameter_names(a, prefix), shapes, strict=True)}
    epochs = listed["history.loss"]["shape"]
    for name in History().as_dict():
        empty = name != "seconds" and listed[f"history.{name}"]["shape"] == [0]
        expected[f"history.{name}"] = ("F64", [0] if empty else epochs)
    for name in sorted({*listed, *expected}):
        found = (listed[name]["dtype"], listed[name]["shape"]) if name in listed else "nothing"
        if found != expected.get(name, "nothing"):
            raise ValueError(f"{name[:80]!r} is {found}; expected {expected.get(name, 'nothing')}")


def _fill(checkpoint: Checkpoint, tensors: dict[str, Array]) -> None:
    _check_finite(tensors)
    a, state = checkpoint.architecture, checkpoint.state
    parameters = [tensors[name] for name in _parameter_names(a)]
    state.weights, state.biases = parameters[: len(a.layers)], parameters[len(a.layers) :]
    slots = range(SLOTS.get(state.optimizer, 0))
    state.slots = [[tensors[name] for name in _parameter_names(a, f"slots.{s}.")] for s in slots]
    own = [name for name in tensors if name.startswith(_ESTIMATOR)]
    checkpoint.arrays = {name.removeprefix(_ESTIMATOR): tensors[name] for name in own}
    checkpoint.history = History.of({name: tensors[f"history.{name}"].tolist() for name in History().as_dict()})
