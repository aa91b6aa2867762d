"""SIMD vectors as numba values: to and from memory, arithmetic, functions."""

from . import arithmetic as arithmetic  # teaches numba + - * / between vectors, before any kernel needs them
