"""One entry for every form of data: the form is told by what is in the file, not by its name."""

from pathlib import Path

from .archive import opened_zip
from .folder import read_beside, read_folder
from .lines import is_zip
from .npz import read_npz
from .parts import Dataset
from .source import StrPath, opened, read_up_to
from .table import read_csv

__all__ = ["Dataset", "read_dataset"]

HEAD = 512


def read_dataset(path: StrPath) -> Dataset:
    """The dataset of a folder or a file, features (m, K) in the file's type and labels (m,).

    A folder holds four IDX files under MNIST's names. A file is an .npz (see read_npz), a table (see read_csv) or one
    IDX images file with its labels beside it; the last two have no test part.

    Raises FileNotFoundError where a file is missing and ValueError where one is damaged or of no such form.
    """
    path = Path(path)
    if path.is_dir():
        return read_folder(path)
    if is_zip(path):
        return read_npz(path) if _holds_arrays(path) else Dataset(*read_csv(path))
    with opened(path) as stream:
        head = bytes(read_up_to(stream, HEAD))
    if head[:2] == b"\0\0":
        return Dataset(*read_beside(path))
    if b"\0" in head:
        raise ValueError(f"{path} begins with the bytes {head[:4].hex(' ')}; expected an IDX, an .npz or a .csv file.")
    return Dataset(*read_csv(path))


def _holds_arrays(path: Path) -> bool:
    with opened_zip(path) as (_, infos):
        endings = {Path(info.filename).suffix.lower() for info in infos}
    return ".npy" in endings or (path.suffix == ".npz" and ".csv" not in endings)
