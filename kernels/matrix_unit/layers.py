"""Layers on the matrix unit: of float32 in thirds, see thirds.py and byte_features.py, of float64 in digits, see
fixed_point.py."""

from __future__ import annotations

from ..compiling.compile import kernel_by_dtype
from . import byte_features, fixed_point, thirds

bytes_forward = kernel_by_dtype(byte_features.bytes_forward, fixed_point.bytes_forward)
bring_bytes = kernel_by_dtype(byte_features.bring_bytes, fixed_point.bring_bytes)
split_weights = kernel_by_dtype(thirds.split_weights, fixed_point.split_weights)
begin_gradients = kernel_by_dtype(thirds.begin_gradients, fixed_point.begin_gradients)
unit_gradient = kernel_by_dtype(thirds.thirds_gradient, fixed_point.bytes_gradient)
