"""What a core does while its matrix unit multiplies: the step on a tile of W whose gradient waits for it."""

from __future__ import annotations

from typing import NamedTuple

from ..compiling.compile import Array, kernel, noinline
from ..optimizers import Memory, Move, Rule, update
from .instructions import SIDE
from .products import Split, make_multiply


class Waiting(NamedTuple):
    """A tile that waits for its step: so many registers of parameters, from p on, and their gradient in `words`, from
    g on."""

    move: Move
    params: Array
    memory: Memory
    words: Array
    p: int
    g: int
    registers: int


@kernel
def take_step(tile: Waiting, done: int, each: int) -> None:
    """On so many registers of a tile when `done` are done."""
    at = done * SIDE
    update(tile.move, tile.params, tile.p + at, tile.words, tile.g + at, tile.memory, each * SIDE)


_multiply = make_multiply(take_step)


@kernel
def none_waits(words: Array) -> Waiting:
    """A tile of no parameters."""
    rule = Rule(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, False)
    return Waiting(Move(rule, 0.0, 0.0, 0.0), words, Memory(words, words, 0), words, 0, 0, 0)


@noinline
def multiply_meanwhile(
    rows: int, wide: int, terms: int, A: Split, B: Split, pairs: int, fresh: bool, out: Array, to: int, tile: Waiting
) -> None:
    """As multiply_thirds, which would be compiled once more: half a second of 15 of a first fit with an empty cache."""
    _multiply(rows, wide, terms, A, B, pairs, fresh, out, to, tile, tile.registers)
