"""How kernels become machine code, where that is kept between processes, and Ctrl-C where it does no harm."""
