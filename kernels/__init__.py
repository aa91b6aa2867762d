"""Compiled kernels: arrays in, arrays out. Nothing is checked, allocated or chosen here: `fastnn.ops` does that."""

if __name__ != "fastnn.kernels":
    raise ImportError(
        f"kernels must be imported as fastnn.kernels, not as {__name__}: a second copy would compile twice."
    )
