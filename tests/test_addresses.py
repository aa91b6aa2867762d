"""Where arrays lie, whatever kind they are of."""

from pathlib import Path

import numpy as np
import pytest

from fastnn.addresses import address_of


def test_arrays_of_every_kind(tmp_path: Path) -> None:
    whole = np.arange(60, dtype=np.float32).reshape(6, 10)
    frozen = whole.copy()
    frozen.flags.writeable = False
    np.save(tmp_path / "rows.npy", whole)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for array in (whole, whole[1:], whole[:, 2:], whole.T, whole[::-1, ::-1], frozen, mapped, whole.astype(">f8")):
        assert address_of(array) == array.__array_interface__["data"][0]


@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_nothing_lies_somewhere(shape: tuple[int, ...]) -> None:
    assert isinstance(address_of(np.empty(shape)), int)


def test_an_array_is_not_held() -> None:
    array = np.zeros(8)
    address_of(array)
    array.resize(4)  # refused while somebody looks at its memory
