"""Between a network's arrays, W (K, N) and b (N,), and the flat packed arrays of kernels/network.py."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .addresses import address_of
from .architecture import ACTIVATIONS, FROM_INPUT, Architecture
from .kernels import network as kernel
from .kernels.matrix_unit.byte_rows import ROW_BYTES
from .kernels.matrix_unit.digits import DIGITS
from .kernels.matrix_unit.fixed_point import SQUARE, WEIGHT_STEPS
from .kernels.matrix_unit.instructions import SIDE
from .kernels.matrix_unit.products import DEEP, TALL
from .kernels.matrix_unit.thirds import INPUTS, ROWS, WEIGHTS_PLACE
from .kernels.simd.vectors import REGISTER_BYTES
from .kernels.softmax import ROOM

Array = NDArray[Any]
ALIGNMENT = 64  # bytes of a cache line, and of the widest register


def aligned(size: int, dtype: np.dtype[Any], *, zeros: bool = True) -> Array:
    """`size` zeros, or whatever there was, that begin at a cache line."""
    extra = ALIGNMENT // dtype.itemsize
    memory = (np.zeros if zeros else np.empty)(size + extra, dtype)
    start = -address_of(memory) % ALIGNMENT // dtype.itemsize
    return memory[start : start + size]


def _pairs(count: int) -> int:
    """See kernels.matrix_unit.thirds.pairs_of."""
    return -(-count // DEEP) * SIDE


class Layout:
    """Where every layer's arrays lie in the flat ones, for one architecture and dtype.

    layers: (L + 1, COLUMNS) int64, for kernels. params, transposed: sizes of the flat arrays. block: numbers that a row
    of a block takes in `values`, all layers together. room: numbers of scratch for the outputs. widest: the most
    columns of a W, padded. first_panel: registers of the widest panel of the first layer's W. dropout: a rate for each
    hidden layer, or none. thirds: the layers that are made on the matrix unit; whole_thirds: whether all of W is split
    before a step; as_bytes: whether the first layer reads bytes, which are then not widened.
    """

    def __init__(
        self,
        architecture: Architecture,
        dtype: np.dtype[Any],
        first_panel: int = 2,
        *,
        thirds: Collection[int] = (),
        whole_thirds: bool = False,
        as_bytes: bool = False,
        dropout: tuple[float, ...] = (),
        seed: int = 0,
    ) -> None:
        self.dtype, self.none, self.rates, self.seed = dtype, aligned(0, dtype), np.array(dropout, np.float64), seed
        self.lanes = REGISTER_BYTES // dtype.itemsize
        self.layers = np.zeros((len(architecture.layers) + 1, kernel.COLUMNS), np.int64)
        self.params = self.transposed = self.block = 0
        activations = (*architecture.activations, "identity")
        for layer, ((K, N), activation) in enumerate(zip(architecture.layers, activations, strict=True)):
            row = self.layers[layer]
            row[kernel.K_], row[kernel.N_], row[kernel.ACTIVATION] = K, N, ACTIVATIONS.index(activation)
            row[kernel.PANEL] = (2 if layer > 0 else first_panel) * self.lanes
            padded = self._padded(N, row[kernel.PANEL])
            row[kernel.WEIGHTS], row[kernel.BIAS] = self.params, self.params + K * padded
            row[kernel.TRANSPOSED], row[kernel.INPUT] = self.transposed, self.block
            self.params += (K + 1) * padded
            self.transposed += N * self._padded(K, 2 * self.lanes)
            self.block += 0 if layer == 0 and as_bytes else self._padded(K, self.lanes)  # bytes are not widened there
        self.layers[-1, kernel.INPUT] = self.layers[-1, kernel.GRADIENT] = self.block
        self.block += self._padded(architecture.sizes[-1], self.lanes)
        for row, size in zip(self.layers[1:-1], architecture.sizes[1:-1], strict=True):
            row[kernel.GRADIENT] = self.block
            self.block += self._padded(size, self.lanes)
        self._keep(architecture, dropout)
        self.layers[list(thirds), kernel.THIRDS] = kernel.WHOLE if whole_thirds else kernel.BY_PANEL
        self.layers[:, kernel.TERMS] = 3
        self.layers[0, kernel.TERMS] = 1 if as_bytes else 3
        self.room = (architecture.sizes[-1] + ROOM) * self.lanes
        self.widest = max(self._padded(int(row[kernel.N_]), int(row[kernel.PANEL])) for row in self.layers[:-1])

    def _keep(self, architecture: Architecture, dropout: tuple[float, ...]) -> None:
        """Where derivatives are made from: the next layer's input, or room of its own if that tells too little."""
        self.layers[:, kernel.KEPT] = self.layers[:, kernel.INPUT]
        rates = dropout or (0.0,) * len(architecture.activations)
        hidden = zip(self.layers[1:-1], architecture.sizes[1:-1], architecture.activations, rates, strict=True)
        for row, size, activation, rate in hidden:
            if activation in FROM_INPUT or rate > 0:
                row[kernel.KEPT] = self.block
                self.block += self._padded(size, self.lanes)

    def words(self, B: int) -> int:
        """Words of a thread's scratch for batches of B rows: see `places` in kernels/matrix_unit/thirds.py."""
        return max(
            self._words(layer, B) if self.layers[layer, kernel.THIRDS] else 0 for layer in range(len(self.layers))
        )

    def _words(self, layer: int, B: int) -> int:
        row = self.layers[layer]
        if self.dtype == np.float64:
            return self._words_of_digits(B)
        terms = int(row[kernel.TERMS])
        K, N = int(row[kernel.K_]), int(row[kernel.N_])
        columns, deepest = self._padded(N, int(row[kernel.PANEL])), max(_pairs(K), _pairs(N) if layer > 0 else 0)
        weights = 3 * (columns * _pairs(K) if row[kernel.THIRDS] == kernel.WHOLE else DEEP * deepest)
        rows = terms * min(-(-B // TALL) * TALL, ROWS) * deepest
        return WEIGHTS_PLACE + weights + rows + (terms * INPUTS + 3 * columns) * _pairs(B)

    def _words_of_digits(self, B: int) -> int:
        """The same for the first layer in digits: see `_places` in kernels/matrix_unit/fixed_point.py."""
        row, tiles = self.layers[0], 1
        if row[kernel.THIRDS] == kernel.WHOLE:
            tiles = -(-self._padded(int(row[kernel.N_]), int(row[kernel.PANEL])) // SIDE)
        deep, deep_rows = -(-int(row[kernel.K_]) // ROW_BYTES), -(-B // ROW_BYTES)
        rows = min(-(-B // SIDE), ROWS // SIDE)
        squares = (tiles * DIGITS + rows) * deep + (INPUTS // SIDE + DIGITS) * deep_rows
        return WEIGHT_STEPS + tiles * SIDE + squares * SQUARE

    def _width(self, left: int, widest: int) -> int:
        """See kernels.panels.panel_width."""
        width = self.lanes
        while width < widest and width < left:
            width *= 2
        return width

    def _padded(self, columns: int, widest: int) -> int:
        last = columns // widest * widest
        return last if last == columns else last + self._width(columns - last, widest)

    def _panels(self, flat: Array, offset: int, K: int, N: int, widest: int) -> Iterator[tuple[Array, slice]]:
        """Every panel of a packed (K, N) matrix as a (K, width) view, and its columns."""
        n = 0
        while n < N:
            width = self._width(N - n, widest)
            yield flat[offset + n * K : offset + (n + width) * K].reshape(K, width), slice(n, min(n + width, N))
            n += width

    def pack(self, flat: Array, weights: list[Array], biases: list[Array]) -> None:
        """Every W and b into the flat array of parameters (or of what an optimizer remembers)."""
        for row, W, b in zip(self.layers, weights, biases, strict=False):
            for panel, columns in self._panels(flat, row[kernel.WEIGHTS], W.shape[0], W.shape[1], row[kernel.PANEL]):
                panel[:, : columns.stop - columns.start] = W[:, columns]
            flat[row[kernel.BIAS] : row[kernel.BIAS] + len(b)] = b

    def unpack(self, flat: Array, weights: list[Array], biases: list[Array]) -> None:
        """The flat array of parameters into every W and b."""
        for row, W, b in zip(self.layers, weights, biases, strict=False):
            for panel, columns in self._panels(flat, row[kernel.WEIGHTS], W.shape[0], W.shape[1], row[kernel.PANEL]):
                W[:, columns] = panel[:, : columns.stop - columns.start]
            b[...] = flat[row[kernel.BIAS] : row[kernel.BIAS] + len(b)]

    def is_finite(self, flat: Array) -> bool:
        """Whether every W and b in the flat array is; what fills up the panels does not matter."""
        if np.isfinite(flat).all():  # mostly; panel by panel takes ten times as long for a small network
            return True
        for row in self.layers[:-1]:
            K, N = int(row[kernel.K_]), int(row[kernel.N_])
            panels = self._panels(flat, row[kernel.WEIGHTS], K, N, row[kernel.PANEL])
            if not all(np.isfinite(panel[:, : columns.stop - columns.start]).all() for panel, columns in panels):
                return False
            if not np.isfinite(flat[row[kernel.BIAS] : row[kernel.BIAS] + N]).all():
                return False
        return True

    def pack_transposed(self, flat: Array, weights: list[Array]) -> None:
        """Every W.T but the first layer's, which nothing needs."""
        for row, W in zip(self.layers[1:], weights[1:], strict=False):
            for panel, columns in self._panels(flat, row[kernel.TRANSPOSED], W.shape[1], W.shape[0], 2 * self.lanes):
                panel[:, : columns.stop - columns.start] = W.T[:, columns]

    def network(self, weights: list[Array], biases: list[Array]) -> kernel.Network:
        """The packed copy of a network that kernels work on."""
        params, transposed = aligned(self.params, self.dtype), aligned(self.transposed, self.dtype)
        self.pack(params, weights, biases)
        self.pack_transposed(transposed, weights)
        zero = aligned(max(map(max, self.layers[:, :2])), self.dtype)
        return kernel.Network(self.layers, params, transposed, zero, self.rates, self.seed, self.none)
