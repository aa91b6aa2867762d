"""Files that are no saved network, or a damaged one: refused with ValueError, in one sentence."""

import hashlib
import json
import os
import pickle
import re
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save as bytes_of

from fastnn import MLP, load, storage
from fastnn.history import History

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
        refused(path, "expected a network that MLP.save wrote|is damaged: its checksum")


def test_every_byte_flipped(path: Path) -> None:
    """Each bit, and each whole byte, of a checkpoint with all that there can be in one."""
    net = tiny()
    history = net.fit(np.eye(2), [0, 1], epochs=2, validation=(np.eye(2), [0, 1]), verbose=False)
    storage.save(path, storage.Checkpoint(net.architecture, net._state, history, {"lr": 0.1}, {"rows": 2}))
    content = path.read_bytes()
    with path.open("r+b", buffering=0) as file:
        for place in range(len(content)):
            for change in (1 << place % 8, 255, 0):
                os.pwrite(file.fileno(), bytes([content[place] ^ change]), place)
                if change:
                    refused(path, "expected")
    assert path.read_bytes() == content
    assert storage.load(path).history == history


def test_a_damaged_checksum_is_seen_to_differ(path: Path) -> None:
    content = bytearray(content_of(tiny(), path))
    last = content.index(rb"\"checksum\": \"") + len(rb"\"checksum\": \"") + 63
    content[last] = ord("0") if content[last] != ord("0") else ord("1")
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged: its checksum is") as caught:
        load(path)
    found, expected = re.findall(r" ([0-9a-f]{16,})[;,]", str(caught.value))
    assert found != expected


def test_bytes_added(path: Path) -> None:
    path.write_bytes(content_of(tiny(), path) + b"\0")
    refused(path, "is damaged: its checksum")


# --- files made to look like one


RIGHT: dict[str, Any] = {
    "format": 2,
    "checksum": "0" * 64,
    "sizes": [2, 1, 2],
    "activations": ["relu"],
    "output": "softmax",
    "epochs": 0,
    "optimizer": "",
    "steps": 0,
    "unfinished": {"steps": 0, "loss": 0.0, "right": 0, "seconds": 0.0},
    "settings": {},
    "data": {},
}
NAN, ONES = float("nan"), np.ones((2, 1), np.float32)


def tensors(**changes: Any) -> dict[str, Array]:
    shapes = {"weights.0": (2, 1), "weights.1": (1, 2), "biases.0": (1,), "biases.1": (2,)}
    histories = {f"history.{name}": np.zeros(0) for name in History().as_dict()}
    return {name: np.ones(shape, np.float32) for name, shape in shapes.items()} | histories | changes


def without(name: str) -> dict[str, Array]:
    return {other: array for other, array in tensors().items() if other != name}


def sealed(arrays: dict[str, Array], *, old: bytes = b"", new: bytes = b"", **changes: Any) -> bytes:
    """A file with a right checksum, whatever else is in it."""
    content = bytes_of(arrays, {"fastnn": json.dumps(RIGHT | changes)}).replace(old, new)
    return content.replace(b"0" * 64, hashlib.sha256(content).hexdigest().encode(), 1)


def header(size: int, text: bytes) -> bytes:
    return struct.pack("<Q", size) + text


def whole_numbers() -> dict[str, Array]:
    return {name: array.astype(np.int32) for name, array in tensors().items()}


IMPOSTORS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "holds 0 bytes of something else; expected a network that MLP.save wrote"),
    "pickle": (pickle.dumps(tensors()), "holds a pickle"),
    "text": (b"weights\n" * 100, "holds 800 bytes of something else"),
    "no metadata": (bytes_of(tensors()), "something else"),
    "other metadata": (bytes_of(tensors(), {"format": "pt"}), "something else"),
    "metadata not JSON": (bytes_of(tensors(), {"fastnn": "{"}), "something else"),
    "metadata a list": (bytes_of(tensors(), {"fastnn": "[]"}), "something else"),
    "metadata deep": (bytes_of(tensors(), {"fastnn": "[" * 100_000}), "something else"),
    "newer format": (sealed(tensors(), format=3), "has the newer format 3; expected 2, which this version"),
    "older format": (sealed(tensors(), format=1), "has format 1; expected 2, which this version"),
    "no checksum": (bytes_of(tensors(), {"fastnn": '{"format": 2}'}), "is damaged: its checksum is"),
    "checksum a number": (bytes_of(tensors(), {"fastnn": json.dumps(RIGHT | {"checksum": 0})}), "is damaged"),
    "no sizes": (sealed(tensors(), old=b"sizes", new=b"SIZES"), "is no checkpoint of fastnn: lacks 'sizes'"),
    "sizes a number": (sealed(tensors(), sizes=3), "sizes is 3"),
    "sizes too large": (sealed(tensors(), sizes=[2, 10**12, 2]), "sizes is .*1000000000000.*; expected at most"),
    "another size": (sealed(tensors(), sizes=[2, 2, 2]), r"'biases.0' is \('F32', \[1\]\); expected \('F32', \[2\]\)"),
    "layers missing": (sealed(tensors(), sizes=[2, 1, 1, 2]), "activation names 1 functions"),
    "activation": (sealed(tensors(), activations=["swish"]), "activation is 'swish'; expected one of"),
    "activations null": (sealed(tensors(), activations=None), "activation is None"),
    "output": (sealed(tensors(), output=["softmax"]), "output is"),
    "epochs a word": (sealed(tensors(), epochs="many"), "epochs is 'many'"),
    "epochs negative": (sealed(tensors(), epochs=-1), "epochs is -1"),
    "epochs infinite": (sealed(tensors(), epochs=float("inf")), "epochs is inf"),
    "steps more than 64 bits": (sealed(tensors(), steps=2**64), "steps is 18446744073709551616; expected at most"),
    "optimizer": (sealed(tensors(), optimizer="lion"), "optimizer is 'lion'"),
    "slots missing": (sealed(tensors(), optimizer="adam"), "'slots.0.biases.0' is nothing; expected"),
    "settings": (sealed(tensors(), settings=[]), r"settings is \[\]; expected names and values"),
    "unfinished": (sealed(tensors(), unfinished={"steps": 0, "loss": NAN, "right": 0}), "unfinished loss is nan"),
    "unfinished a list": (sealed(tensors(), unfinished=[]), "is no checkpoint of fastnn"),
    "tensor missing": (sealed(without("biases.1")), "'biases.1' is nothing; expected"),
    "first tensor missing": (sealed(without("weights.0")), "lacks 'weights.0'"),
    "tensor too many": (sealed(tensors(more=ONES)), "'more' is .*; expected nothing"),
    "name of a path": (sealed(tensors(**{"../../more": ONES})), "'../../more' is .*; expected nothing"),
    "transposed": (sealed(tensors(**{"weights.0": ONES.T})), r"'weights.0' is \('F32', \[1, 2\]\)"),
    "mixed dtypes": (sealed(tensors(**{"biases.1": np.ones(2)})), "'biases.1' is .'F64', .*; expected .'F32'"),
    "whole numbers": (sealed(whole_numbers()), "dtype is 'I32'; expected one of F32, F64"),
    "history uneven": (sealed(tensors(**{"history.val_loss": np.zeros(3)})), "'history.val_loss' is"),
    "history of a table": (sealed(tensors(**{"history.accuracy": np.zeros((2, 2))})), "'history.accuracy' is"),
    "NaN": (sealed(tensors(**{"weights.0": ONES * np.nan})), "weights.0 holds a value that is not finite"),
    "infinity": (sealed(tensors(**{"biases.1": np.full(2, np.inf, "f4")})), "biases.1 holds a value that is not"),
    "header of 2**63": (header(2**63, b"{}"), "something else"),
    "header of a gigabyte": (header(2**30, b"{}"), "something else"),
    "header of many lists": (header(1 << 20, b"[" + b"[]," * 349524 + b"1  "), "something else"),
    "tensor of a terabyte": (
        sealed(tensors(), old=b'"shape":[2,1]', new=b'"shape":[9,9]'),
        r"'weights.0' is .'F32', \[9, 9\]",
    ),
    "terabytes everywhere": (
        sealed(tensors(), sizes=[2, 10**12, 2]).replace(b'"shape":[2,1]', b'"shape":[9,9]'),
        "is damaged",
    ),
}


@pytest.mark.parametrize("kind", IMPOSTORS)
def test_impostors(kind: str, path: Path) -> None:
    content, sentence = IMPOSTORS[kind]
    path.write_bytes(content)
    tracemalloc.start()
    try:
        refused(path, sentence)
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()
    assert path.read_bytes() == content


def test_what_is_right_loads(path: Path) -> None:
    """So that it is not something else that has the impostors refused."""
    path.write_bytes(sealed(tensors()))
    assert load(path).architecture.sizes == (2, 1, 2)


LYING = """
import resource, sys
import fastnn.mlp
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    fastnn.load(sys.argv[1])
except ValueError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss in kilobytes")
def test_a_header_that_lies_takes_little_memory(path: Path) -> None:
    """Half a gigabyte that is not there: zeros that take no room on the disk. The whole process is counted."""
    sizes = [1 << 14, 1 << 13, 2]
    long = sealed(tensors(), old=b'"shape":[2,1]', new=b'"shape":[%d,%d]' % tuple(sizes[:2]), sizes=sizes)
    path.write_bytes(long)
    os.truncate(path, 1 << 29)
    done = subprocess.run([sys.executable, "-c", LYING, str(path)], capture_output=True, text=True, check=False)
    assert 0 <= int(done.stdout) < 50 << 10, done.stderr


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F8_E4M3", "I64", "BOOL", "C64", "U8"])
def test_tensors_of_other_kinds(dtype: str, path: Path) -> None:
    """Their names stand in the header, whatever the bytes are."""
    content = sealed(tensors())
    size = struct.unpack("<Q", content[:8])[0]
    changed = content[8 : 8 + size].replace(b'"F32"', f'"{dtype}"'.encode())
    path.write_bytes(header(len(changed), changed) + content[8 + size :])
    refused(path, "is damaged")
    path.write_bytes(sealed(tensors(), old=b'"F32"', new=f'"{dtype}"'.encode()))
    refused(path, f"dtype is '{dtype}'|is damaged|something else")


@pytest.mark.skipif(os.name == "nt", reason="no named pipes")
def test_a_pipe_is_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    refused(path, "is no regular file")


def test_nothing_in_a_file_is_executed(path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
            return os.mkdir, (str(path.parent / "trapped"),)

    path.write_bytes(pickle.dumps(Trap()))
    refused(path, "holds a pickle")
    assert os.listdir(path.parent) == [path.name]
