"""The order of the rows in every epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from ..kernels.shuffling import SCRATCH, shuffle_rows

Array = NDArray[Any]

WORD_BITS = 32


def row_order(seed: int, first: int, epochs: int, m: int) -> Array:
    """See trainer.Backend."""
    if max(m, first + epochs) >> WORD_BITS > 0:  # which the kernel has no words for
        return reference.row_order(seed, first, epochs, m)
    count = max(1, -(-seed.bit_length() // WORD_BITS))
    words = [seed >> WORD_BITS * i & ((1 << WORD_BITS) - 1) for i in range(count)]
    order = np.empty(epochs * m, np.int64)
    shuffle_rows(np.array([*words, 0], np.uint64), first, epochs, m, np.empty(SCRATCH, np.uint64), order)
    return order
