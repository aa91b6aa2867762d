"""Layers and products on the matrix unit that some x86 CPUs have; on others nothing of it is used.

float32 goes through it in thirds (splitting.py, products.py, thirds.py, matmul_thirds.py), features that are bytes as
they are (byte_features.py), with float64 in digits (digits.py, fixed_point.py).
"""
