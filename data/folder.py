"""IDX files under MNIST's names: the four of a folder, or one images file with its labels beside it."""

import re
from pathlib import Path

from .idx import read_idx
from .parts import Dataset, join_parts, make_part
from .source import Array


def read_folder(folder: Path) -> Dataset:
    """The four IDX files of a folder; FileNotFoundError where one is missing."""
    return join_parts(read_part(folder, "train"), read_part(folder, "t10k"), str(folder))


def read_part(folder: Path, part: str) -> tuple[Array, Array]:
    """Features (m, K) and labels (m,) of `part`, train or t10k, of a folder."""
    return read_pair(_found(folder, f"{part}-images-idx3-ubyte"), _found(folder, f"{part}-labels-idx1-ubyte"))


def read_beside(images: Path) -> tuple[Array, Array]:
    """Features (m, K) of one IDX images file and the labels (m,) beside it, whose name has labels for images."""
    name = images.name.removesuffix(".gz")
    if "images" not in name:
        raise ValueError(f"{images} has no 'images' in its name; expected it there to find the labels beside it.")
    labels = re.sub(r"idx\d", "idx1", name.replace("images", "labels"))
    return read_pair(images, _found(images.parent, labels))


def read_pair(images: Path, labels: Path) -> tuple[Array, Array]:
    """Features (m, K) and labels (m,) of two IDX files; ValueError where they have the wrong dimensions."""
    X, y = read_idx(images), read_idx(labels)
    if X.ndim < 2:
        raise ValueError(f"{images} has 1 dimension, as labels do; expected the 2 or more of images.")
    if y.ndim != 1:
        raise ValueError(f"{labels} has {y.ndim} dimensions; expected the 1 of labels.")
    return make_part(X, y, f"{images} with {labels.name}")


def _found(folder: Path, name: str) -> Path:
    spellings = (name, name.replace("-idx", ".idx"))
    for spelling in (s + end for s in spellings for end in ("", ".gz")):
        if (folder / spelling).is_file():
            return folder / spelling
    raise FileNotFoundError(f"{folder} holds no {name} or {name}.gz; expected it there.")
