"""Compiled kernels: arrays in, arrays out. Nothing is checked, allocated or chosen here: `fastnn.ops` and
`fastnn.compiled` do that.

From the ground up: compiling/ makes machine code of functions, simd/ vectors; in this folder are the operations, one a
file, forward beside backward; matrix_unit/ does some of them where a CPU has such a unit; training/ is made of all.
"""

if __name__ != "fastnn.kernels":
    raise ImportError(f"Import these kernels as fastnn.kernels, not as {__name__}: a second copy would compile twice.")
