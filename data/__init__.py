"""Datasets as numpy arrays: MNIST, which comes with the package, and your own IDX, .npz and CSV files."""

from .dataset import Dataset, read_dataset
from .idx import read_idx
from .mnist import load_mnist
from .npz import read_npz
from .table import read_csv
from .unlabelled import read_features

__all__ = ["Dataset", "load_mnist", "read_csv", "read_dataset", "read_features", "read_idx", "read_npz"]
