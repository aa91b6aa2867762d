"""Every epoch's order of the rows: what NumPy's `default_rng((seed, epoch)).permutation(m)` gives, to the bit.

Three public algorithms, one after the other: NumPy's SeedSequence makes a generator's state of the seed and the epoch,
PCG64 (O'Neill 2014, its XSL-RR variant) makes random words of that, and with those that are small enough rows change
places (Fisher and Yates). NumPy takes 20 us to begin and 11 ns a row, this 2 and 3.4: five steps of 4-16-3 on 32 rows
take 15 us, and 24-64-8, with 20000 rows, spent an eighth of an epoch on their order where a CPU has a matrix unit.

Reference: `row_order` in fastnn/reference.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from .compiling.compile import Array, entry, intrinsic, kernel

# Words have 32 bits, in integers of 64, as numba multiplies into them.
_WORD, _16, _32 = np.uint64(0xFFFFFFFF), np.uint64(16), np.uint64(32)
_0, _1 = np.uint64(0), np.uint64(1)
POOL = 4  # words that SeedSequence mixes all others into
SCRATCH = 2 * POOL

# What SeedSequence multiplies by, to spread a word's bits, to bring two words together, and to draw words.
_SPREAD, _SPREAD_STEP = np.uint64(0x43B0D7E5), np.uint64(0x931E8875)
_LEFT, _RIGHT = np.uint64(0xCA01F9DD), np.uint64(0x4973F715)
_DRAW, _DRAW_STEP = np.uint64(0x8B51F9DD), np.uint64(0x58F38DED)

_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645  # of PCG's 128 bits
_58, _63, _64 = np.uint64(58), np.uint64(63), np.uint64(64)


@kernel
def _spread(word: np.uint64, factor: np.uint64) -> np.uint64:
    """The word's bits, all over it."""
    word = (word ^ factor) * (factor * _SPREAD_STEP & _WORD) & _WORD
    return word ^ (word >> _16)


@kernel
def _mixed(x: np.uint64, y: np.uint64) -> np.uint64:
    """Two words as one."""
    word = (x * _LEFT - y * _RIGHT) & _WORD
    return word ^ (word >> _16)


@kernel
def _seeded(words: Array, pool: Array, drawn: Array) -> tuple[Any, Any]:
    """PCG's state and its increment for a seed of so many words. pool (POOL,), drawn (4,): scratch."""
    factor = _SPREAD
    for i in range(POOL):
        pool[i] = _spread(words[i] if i < len(words) else _0, factor)
        factor = factor * _SPREAD_STEP & _WORD
    for source in range(max(POOL, len(words))):
        for i in range(POOL):
            if i != source:
                pool[i] = _mixed(pool[i], _spread(pool[source] if source < POOL else words[source], factor))
                factor = factor * _SPREAD_STEP & _WORD
    factor = _DRAW
    for i in range(2 * len(drawn)):
        word = pool[i % POOL] ^ factor
        factor = factor * _DRAW_STEP & _WORD
        word = word * factor & _WORD
        word = word ^ (word >> _16)
        drawn[i // 2] = word if i % 2 == 0 else drawn[i // 2] | word << _32
    increment = drawn[2] << _1 | drawn[3] >> _63, drawn[3] << _1 | _1
    low = drawn[1] + increment[1]
    carry = _1 if low < increment[1] else _0
    return _stepped((drawn[0] + increment[0] + carry, low), increment), increment


@intrinsic
def _stepped(typing: Any, state: types.Type, increment: types.Type) -> Any:
    """PCG's next state. Both have 128 bits: (high, low)."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        long, whole = ir.IntType(64), ir.IntType(128)
        high, low = (
            [builder.zext(half, whole) for half in halves]
            for halves in zip(*(cgutils.unpack_tuple(builder, number) for number in args), strict=True)
        )
        before, added = (builder.or_(builder.shl(h, whole(64)), lo) for h, lo in zip(high, low, strict=True))
        after = builder.add(builder.mul(before, whole(_MULTIPLIER)), added)
        halves = [builder.trunc(builder.lshr(after, whole(64)), long), builder.trunc(after, long)]
        return context.make_tuple(builder, sig.return_type, halves)

    return state(state, increment), generate


@kernel
def _bits(state: tuple[np.uint64, np.uint64]) -> np.uint64:
    """The 64 random bits of a state."""
    mixed, by = state[0] ^ state[1], state[0] >> _58
    return mixed >> by | mixed << ((_64 - by) & _63)


@entry
def shuffle_rows(words: Array, first: int, epochs: int, m: int, scratch: Array, order: Array) -> None:
    """order (epochs * m,): the rows of so many epochs from the first on, all below 2**32. words: of the seed, and room
    for the epoch's. scratch (SCRATCH,)."""
    for epoch in range(epochs):
        words[-1] = np.uint64(first + epoch)
        state, increment = _seeded(words, scratch[:POOL], scratch[POOL:])
        at, left, mask = epoch * m, np.int64(m - 1), _0
        for i in range(m):
            order[at + i] = i
        while mask < np.uint64(left):
            mask = mask << _1 | _1
        while left > 0:
            state = _stepped(state, increment)
            bits = _bits(state)
            for _ in range(2):
                # One that is too large changes nothing, as the row then changes places with itself: there is no branch
                # whose way nobody can guess.
                drawn = np.int64(bits & mask)
                fits = drawn <= left
                other = at + (drawn if fits else left)
                row = order[other]
                order[other] = order[at + left]
                order[at + left] = row
                left -= np.int64(fits)
                if np.uint64(left) <= mask >> _1:
                    mask = mask >> _1
                bits = bits >> _32
