"""Rows of features without labels, in every form that the readers of datasets know."""

from pathlib import Path

import numpy as np

from .archive import opened_zip
from .idx import read_idx
from .lines import is_zip
from .npz import MAGIC, read_member, read_npy
from .parts import make_features
from .source import Array, StrPath, opened
from .table import names_label, read_table

NAMES = ("X", "x", "X_test", "x_test", "X_train", "x_train")


def read_features(path: StrPath, K: int) -> Array:
    """Features (m, K) of a table, whose rows may begin with a label, of an .npz, an .npy or an IDX file of images.

    Of an .npz: its X, its x_test or x_train, or its only array. Raises FileNotFoundError, or ValueError where the file
    is damaged, of no such form, or has rows of another length.
    """
    path = Path(path)
    if is_zip(path):
        with opened_zip(path) as (_, infos):
            arrays = any(info.filename.endswith(".npy") for info in infos)
        X = _read_npz(path) if arrays else _read_table(path, K)
    else:
        with opened(path) as stream:
            head = stream.read(len(MAGIC))
        if head == MAGIC:
            X = make_features(read_npy(path), str(path))
        else:
            X = make_features(read_idx(path), str(path)) if head[:2] == b"\0\0" else _read_table(path, K)
    if X.shape[1] != K:
        raise ValueError(f"{path} has {X.shape[1]} features in a row; expected {K}, as the network has.")
    return X


def _read_npz(path: Path) -> Array:
    with opened_zip(path) as (archive, infos):
        members = {info.filename.removesuffix(".npy"): info for info in infos if info.filename.endswith(".npy")}
        chosen = next((name for name in NAMES if name in members), None)
        if chosen is None and len(members) == 1:
            (chosen,) = members
        if chosen is None:
            listed = ", ".join(repr(name) for name in sorted(members)[:20])
            raise ValueError(f"{path} holds the arrays {listed}; expected one of {', '.join(NAMES)}.")
        return make_features(read_member(archive, members[chosen], path), f"{path}: {chosen}")


def _read_table(path: Path, K: int) -> Array:
    X, y = read_table(path, None, least=1)
    if X.shape[1] == K:
        return X
    if X.shape[1] != K - 1:
        raise ValueError(f"{path} has rows of length {X.shape[1] + 1}; expected {K}, as the network has, or {K + 1}.")
    if names_label(path):
        raise ValueError(f"{path} has {X.shape[1]} features in a row beside its label; expected {K}.")
    byte = X.dtype == np.uint8 and y.dtype == np.int64 and 0 <= y.min() <= y.max() <= 255
    return np.column_stack([y.astype(np.uint8 if byte else np.float64), X])
