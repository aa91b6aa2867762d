"""MNIST, from the four files beside this one."""

from pathlib import Path

from .folder import read_part
from .source import Array

FOLDER = Path(__file__).parent


def load_mnist() -> tuple[Array, Array, Array, Array]:
    """X_train, y_train, X_test, y_test: uint8 (60000, 784), int64 (60000,), uint8 (10000, 784), int64 (10000,).

    Pixels run from 0 (paper) to 255 (ink), row by row of 28 x 28; labels from 0 to 9. All are C-contiguous.
    """
    return *read_part(FOLDER, "train"), *read_part(FOLDER, "t10k")
