"""Networks in files: one safetensors file, whose header holds the architecture as JSON. No pickle, nothing executed."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as tensors_from
from safetensors.numpy import save as bytes_of

from .architecture import Architecture
from .checks import integer
from .trainer import State

Array = NDArray[Any]
FORMAT = 1


def save(path: str | os.PathLike[str], architecture: Architecture, state: State) -> None:
    """Write to a temporary file beside `path` and rename it, so that no half-written file ever has that name."""
    tensors = {}
    for layer, (W, b) in enumerate(zip(state.weights, state.biases, strict=True)):
        tensors[f"weights.{layer}"], tensors[f"biases.{layer}"] = W, b
    described = {"sizes": architecture.sizes, "activations": architecture.activations, "output": architecture.output}
    metadata = {"fastnn": json.dumps({"format": FORMAT, "epochs": state.epochs, **described})}
    target = Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(bytes_of(tensors, metadata))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def load(path: str | os.PathLike[str]) -> tuple[Architecture, State]:
    """What `save` wrote. Raises FileNotFoundError, or ValueError with what was found and expected."""
    content = Path(path).read_bytes()
    described = _description(os.fspath(path), content)
    try:
        architecture = Architecture.of(described["sizes"], described["activations"], described["output"])
        tensors, layers = tensors_from(content), architecture.layers
        weights = [tensors.pop(f"weights.{layer}") for layer in range(len(layers))]
        biases = [tensors.pop(f"biases.{layer}") for layer in range(len(layers))]
        epochs = integer("epochs", described["epochs"], least=0)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no network of fastnn: {type(error).__name__}: {error}".rstrip(".") + ".") from None
    _check(os.fspath(path), architecture, weights, biases, sorted(tensors))
    return architecture, State(weights, biases, epochs)


def _description(path: str, content: bytes) -> dict[str, Any]:
    """The JSON that `save` put into the header, which is at most as long as the file."""
    length = int.from_bytes(content[:8], "little")
    try:
        if len(content) < 8 or length > len(content) - 8:
            raise ValueError
        described = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["fastnn"])
        version = described["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        found = (
            "a pickle" if content[:1] == b"\x80" or content[:2] == b"PK" else f"{len(content)} bytes of something else"
        )
        raise ValueError(f"{path} holds {found}; expected a network that MLP.save wrote.") from None
    if version != FORMAT:
        raise ValueError(f"{path} has format {version!r}; expected {FORMAT}, which this version of fastnn reads.")
    return described  # type: ignore[no-any-return]


def _check(path: str, architecture: Architecture, weights: list[Array], biases: list[Array], others: list[str]) -> None:
    found = [array.shape for array in (*weights, *biases)]
    expected = [*architecture.layers, *((N,) for _, N in architecture.layers)]
    if found != expected:
        raise ValueError(f"{path} holds arrays of shapes {found}; expected {expected}.")
    dtypes = {array.dtype.name for array in (*weights, *biases)}
    if len(dtypes) > 1 or not dtypes <= {"float32", "float64"}:
        raise ValueError(f"{path} holds arrays of {' and '.join(sorted(dtypes))}; expected all float32 or all float64.")
    if others:
        raise ValueError(f"{path} also holds {', '.join(others)}; expected weights and biases only.")
    if not all(np.isfinite(array).all() for array in (*weights, *biases)):
        raise ValueError(f"{path} holds weights that are not finite; expected finite numbers.")
