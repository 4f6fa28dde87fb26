"""Friendly products of vectors, matrices and stacks of matrices."""

from __future__ import annotations

import math
from typing import Any

from chainrule import dtypes
from chainrule.errors import ShapeError
from chainrule.graph import Value
from chainrule.ops import contraction, fused
from chainrule.ops import functions as f
from chainrule.ops.arrays import expand_dims, reshape, squeeze
from chainrule.ops.convert import as_value, broadcast_to, cast, common_dtype, counted, joint_shape

Like = Any


def matmul(x1: Like, x2: Like) -> Value:
    """``y[..., n, m] = sum_k x1[..., n, k] * x2[..., k, m]``.

    A vector counts as one row on the left and as one column on the right, and that axis is dropped
    from the result; leading axes broadcast. Integers are multiplied in float64, exact below 2^53.

    Raises
    ------
    ShapeError
        Where the contracted axes differ, or an argument is a scalar.
    """
    x, w = counted(x1), counted(x2)
    dtype = common_dtype(x.dtype, w.dtype)
    if not dtypes.is_float(dtype):
        return cast(matmul(cast(x, "float64"), cast(w, "float64")), dtype)
    if x.ndim == 0 or w.ndim == 0:
        raise ShapeError("matmul needs arrays of at least one axis: use multiply")
    left, right = cast(x, dtype), cast(w, dtype)
    left = expand_dims(left, 0) if x.ndim == 1 else left
    right = expand_dims(right, 1) if w.ndim == 1 else right
    y = _matrices(left, right)
    y = squeeze(y, -1) if w.ndim == 1 else y
    return squeeze(y, -1 if w.ndim == 1 else -2) if x.ndim == 1 else y


def _matrices(x: Value, w: Value) -> Value:
    result: Value
    if x.ndim == 2 and w.ndim == 2:
        result = contraction.matmul(x, w)
    elif w.ndim == 2:
        rows = math.prod(x.shape[:-1])
        flat = contraction.matmul(reshape(x, (rows, x.shape[-1])), w)
        result = reshape(flat, (*x.shape[:-1], w.shape[-1]))
    else:
        result = _stacked(x, w)
    return result


def _stacked(x: Value, w: Value) -> Value:
    lead = joint_shape(x.shape[:-2], w.shape[:-2])
    x, w = broadcast_to(x, (*lead, *x.shape[-2:])), broadcast_to(w, (*lead, *w.shape[-2:]))
    n = math.prod(lead)
    y = contraction.batch_matmul(reshape(x, (n, *x.shape[-2:])), reshape(w, (n, *w.shape[-2:])))
    return reshape(y, (*lead, x.shape[-2], w.shape[-1]))


def dot(x1: Like, x2: Like) -> Value:
    """The product over the last axis of x1 and the first but last of x2; scalars multiply.

    Raises
    ------
    ShapeError
        For two arrays of which the right one has more than two axes, where NumPy's `dot` is not a
        stack of products: use `matmul`.
    """
    x, w = as_value(x1), as_value(x2)
    if x.ndim == 0 or w.ndim == 0:
        return f.multiply(x, w)
    if x.ndim > 1 and w.ndim > 2:
        raise ShapeError(f"dot: shapes {list(x.shape)} and {list(w.shape)} have stacks: use matmul")
    return matmul(x, w)


def dense(x: Like, kernel: Like, bias: Like, activation: str = "linear") -> Value:
    """``activation(x @ kernel + bias)`` in one operation, for x of two axes."""
    values = [as_value(a) for a in (x, kernel, bias)]
    dtype = dtypes.floatx()
    floats = [v.dtype for v in values if dtypes.is_float(v.dtype)]
    if floats:
        dtype = "float64" if "float64" in floats else floats[0]
    result: Value = fused.dense(*(cast(v, dtype) for v in values), activation=activation)
    return result
