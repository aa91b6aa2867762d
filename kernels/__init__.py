"""Compiled kernels: arrays in, arrays out. Nothing is checked, allocated or chosen here: `fastnn.ops` and
`fastnn.compiled` do that."""

if __name__ != "fastnn.kernels":
    raise ImportError(f"Import these kernels as fastnn.kernels, not as {__name__}: a second copy would compile twice.")

from . import arithmetic as arithmetic  # teaches numba + - * / between vectors, before any kernel needs them
