"""Files that are no saved network, or a damaged one: refused with ValueError, in one sentence."""

import json
import os
import pickle
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save as bytes_of

from fastnn import MLP, load

Array = NDArray[Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def tiny() -> MLP:
    return MLP([2, 1, 2], init="uniform:1")


def content_of(net: MLP, path: Path) -> bytes:
    net.save(path)
    return path.read_bytes()


def refused(path: Path, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        load(path)
    assert type(caught.value) is ValueError
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).endswith(".")


# --- damaged files


def test_truncated_at_every_byte(path: Path) -> None:
    content = content_of(tiny(), path)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        refused(path, "expected a network that MLP.save wrote|is no network of fastnn")


def test_every_byte_changed(path: Path) -> None:
    """Every change is refused, or loads a network that is as well-formed as any and can be trained."""
    content, loaded = content_of(tiny(), path), 0
    for place in range(len(content)):
        for change in (*(1 << bit for bit in range(8)), 255):
            path.write_bytes(content[:place] + bytes([content[place] ^ change]) + content[place + 1 :])
            try:
                net = load(path, backend="numpy")
            except ValueError as error:
                assert type(error) is ValueError  # noqa: PT017
                continue
            loaded += 1
            assert [W.shape for W in net.weights] == net.architecture.layers
            assert [b.shape for b in net.biases] == [W.shape[1:] for W in net.weights]
            assert all(np.isfinite(array).all() and array.dtype == net.dtype for array in net.weights + net.biases)
    assert loaded > 100  # such as every bit of a weight but those that make it infinite


def test_changed_epochs_still_train(path: Path) -> None:
    """Every byte instead of each digit of the epochs, of which shuffles are made."""
    X, net = np.eye(2)[np.arange(30) % 2], MLP([2, 1])
    net.fit(X, np.zeros(30), epochs=12, verbose=False)
    content = content_of(net, path)
    place = content.index(b'\\"epochs\\": 12') + len(rb"\"epochs\": ")
    for value in range(256):
        path.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
        try:
            changed = load(path, backend="numpy")
        except ValueError:
            continue
        changed.fit(X, np.zeros(30), epochs=1, verbose=False)


# --- files made to look like one


def described(**changes: Any) -> dict[str, str]:
    """The header's metadata of `tiny()`."""
    right = {"format": 1, "epochs": 0, "sizes": [2, 1, 2], "activations": ["relu"], "output": "softmax"}
    return {"fastnn": json.dumps(right | changes)}


def tensors(**changes: Any) -> dict[str, Array]:
    shapes = {"weights.0": (2, 1), "weights.1": (1, 2), "biases.0": (1,), "biases.1": (2,)}
    return {name: np.ones(shape, np.float32) for name, shape in shapes.items()} | changes


def without(name: str) -> dict[str, Array]:
    return {other: array for other, array in tensors().items() if other != name}


def header(size: int, text: bytes) -> bytes:
    return struct.pack("<Q", size) + text


NOTHING = np.ones((2, 1), np.float32)
IMPOSTORS: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "holds 0 bytes of something else; expected a network that MLP.save wrote"),
    "pickle": (lambda: pickle.dumps(tensors()), "holds a pickle"),
    "text": (lambda: b"weights\n" * 100, "holds 800 bytes of something else"),
    "no metadata": (lambda: bytes_of(tensors()), "something else"),
    "other metadata": (lambda: bytes_of(tensors(), {"format": "pt"}), "something else"),
    "metadata not JSON": (lambda: bytes_of(tensors(), {"fastnn": "{"}), "something else"),
    "metadata a list": (lambda: bytes_of(tensors(), {"fastnn": "[]"}), "something else"),
    "metadata deep": (lambda: bytes_of(tensors(), {"fastnn": "[" * 100_000}), "something else"),
    "newer format": (lambda: bytes_of(tensors(), described(format=2)), "has format 2; expected 1, which this version"),
    "no sizes": (
        lambda: bytes_of(tensors(), {"fastnn": '{"format": 1}'}),
        "is no network of fastnn: KeyError: 'sizes'",
    ),
    "sizes a number": (lambda: bytes_of(tensors(), described(sizes=3)), "sizes is 3"),
    "sizes too large": (lambda: bytes_of(tensors(), described(sizes=[2, 10**12, 2])), "holds arrays of shapes"),
    "another size": (lambda: bytes_of(tensors(), described(sizes=[2, 2, 2])), r"expected \[\(2, 2\), \(2, 2\)"),
    "layers missing": (lambda: bytes_of(tensors(), described(sizes=[2, 1, 1, 2])), "activation names 1 functions"),
    "activation": (
        lambda: bytes_of(tensors(), described(activations=["gelu"])),
        "activation is 'gelu'; expected one of",
    ),
    "activations null": (lambda: bytes_of(tensors(), described(activations=None)), "is no network of fastnn"),
    "output": (lambda: bytes_of(tensors(), described(output=["softmax"])), "output is"),
    "epochs a word": (lambda: bytes_of(tensors(), described(epochs="many")), "is no network of fastnn"),
    "epochs negative": (lambda: bytes_of(tensors(), described(epochs=-1)), "epochs is -1"),
    "epochs infinite": (lambda: bytes_of(tensors(), described(epochs=float("inf"))), "epochs"),
    "tensor missing": (lambda: bytes_of(without("biases.1"), described()), "KeyError: 'biases.1'"),
    "tensor too many": (lambda: bytes_of(tensors(more=NOTHING), described()), "also holds more; expected weights"),
    "transposed": (lambda: bytes_of(tensors(**{"weights.0": NOTHING.T}), described()), r"shapes \[\(1, 2\), \(1, 2\)"),
    "mixed dtypes": (
        lambda: bytes_of(tensors(**{"biases.1": np.ones(2)}), described()),
        "holds arrays of float32 and float64; expected all float32 or all float64",
    ),
    "whole numbers": (
        lambda: bytes_of({name: array.astype(np.int32) for name, array in tensors().items()}, described()),
        "holds arrays of int32; expected all float32 or all float64",
    ),
    "NaN": (lambda: bytes_of(tensors(**{"weights.0": NOTHING * np.nan}), described()), "weights that are not finite"),
    "infinity": (lambda: bytes_of(tensors(**{"biases.1": np.full(2, np.inf, "f4")}), described()), "not finite"),
    "header of 2**63": (lambda: header(2**63, b"{}"), "something else"),
    "header of a gigabyte": (lambda: header(2**30, b"{}"), "something else"),
    "tensor of a terabyte": (
        lambda: bytes_of(tensors(), described()).replace(b'"shape":[2,1]', b'"shape":[9,9]'),
        "is no network of fastnn: SafetensorError",
    ),
}


@pytest.mark.parametrize("kind", IMPOSTORS)
def test_impostors(kind: str, path: Path) -> None:
    make, sentence = IMPOSTORS[kind]
    path.write_bytes(make())
    tracemalloc.start()
    try:
        refused(path, sentence)
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F8_E4M3", "I64", "BOOL", "C64", "U8"])
def test_tensors_of_other_kinds(dtype: str, path: Path) -> None:
    """Their names stand in the header, whatever the bytes are."""
    content = content_of(tiny(), path)
    size = struct.unpack("<Q", content[:8])[0]
    changed = content[8 : 8 + size].replace(b'"F32"', f'"{dtype}"'.encode())
    path.write_bytes(header(len(changed), changed) + content[8 + size :])
    refused(path, "is no network of fastnn|expected all float32 or all float64")


def test_nothing_in_a_file_is_executed(path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
            return os.mkdir, (str(path.parent / "trapped"),)

    path.write_bytes(pickle.dumps(Trap()))
    refused(path, "holds a pickle")
    assert os.listdir(path.parent) == [path.name]
