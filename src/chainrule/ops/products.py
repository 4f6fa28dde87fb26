"""Friendly products of vectors, matrices and stacks of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import dtypes
from chainrule.errors import ShapeError, unknown_name
from chainrule.graph import Value
from chainrule.ops import contraction, fused
from chainrule.ops import functions as f
from chainrule.ops.arrays import expand_dims, ravel, reshape, squeeze, transpose
from chainrule.ops.convert import (
    as_value,
    broadcast_to,
    cast,
    common_dtype,
    counted,
    joint_shape,
    one_axis,
)

Like = Any


def matmul(x1: Like, x2: Like) -> Value:
    """``y[..., n, m] = sum_k x1[..., n, k] * x2[..., k, m]``.

    A vector counts as one row on the left and as one column on the right, and that axis is dropped
    from the result; leading axes broadcast. Integers are multiplied in float64, exact below 2^53.

    Shapes
    ------
    x1 : [*s, n, k]; x2 : [*s, k, m]; returned : [*s, n, m]

    Parameters
    ----------
    x1, x2 : array_like
        Brought to their common dtype.

    Raises
    ------
    ShapeError
        Where the contracted axes differ, or an argument is a scalar.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.matmul([[1, 2], [3, 4]], [1, 1]).numpy().tolist()
    [3, 7]
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
    """``y[..., m] = sum_k x1[..., k] * x2[k, m]``; scalars multiply.

    Shapes
    ------
    x1 : [*s, k]; x2 : [k, m] or [k]; returned : [*s, m] or [*s]

    Parameters
    ----------
    x1, x2 : array_like
        Brought to their common dtype.

    Raises
    ------
    ShapeError
        For two arrays of which the right one has more than two axes, where NumPy's `dot` is not a
        stack of products: use `matmul`.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.dot([1, 2], [3, 4]).item()
    11
    """
    x, w = as_value(x1), as_value(x2)
    if x.ndim == 0 or w.ndim == 0:
        return f.multiply(x, w)
    if x.ndim > 1 and w.ndim > 2:
        raise ShapeError(f"dot: shapes {list(x.shape)} and {list(w.shape)} have stacks: use matmul")
    return matmul(x, w)


def outer(x1: Like, x2: Like) -> Value:
    """``y[i, j] = x1[i] * x2[j]``; arrays are made flat.

    Shapes
    ------
    x1 : [n]; x2 : [m]; returned : [n, m]

    Parameters
    ----------
    x1, x2 : array_like
        Brought to their common dtype.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.outer([1, 2], [3, 4]).numpy().tolist()
    [[3, 4], [6, 8]]
    """
    return f.multiply(expand_dims(ravel(x1), 1), ravel(x2))


def vdot(x1: Like, x2: Like) -> Value:
    """``y = sum_i x1[i] * x2[i]`` over all elements, in row-major order.

    Shapes
    ------
    x1, x2 : n elements each, in any shape; returned : []

    Parameters
    ----------
    x1, x2 : array_like
        Brought to their common dtype.

    Raises
    ------
    ShapeError
        Where the numbers of elements differ.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.vdot([[1, 2]], [[3], [4]]).item()
    11
    """
    return matmul(ravel(x1), ravel(x2))


def inner(x1: Like, x2: Like) -> Value:
    """``y[*a, *b] = sum_k x1[*a, k] * x2[*b, k]``; scalars multiply.

    Shapes
    ------
    x1 : [*a, k]; x2 : [*b, k]; returned : [*a, *b]

    Parameters
    ----------
    x1, x2 : array_like
        Brought to their common dtype.

    Raises
    ------
    ShapeError
        Where the last axes differ.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.inner([[1, 2], [3, 4]], [1, 1]).numpy().tolist()
    [3, 7]
    """
    x, w = as_value(x1), as_value(x2)
    if x.ndim == 0 or w.ndim == 0:
        return f.multiply(x, w)
    return tensordot(x, w, axes=([-1], [-1]))


def tensordot(x1: Like, x2: Like, axes: int | Sequence[Any] = 2) -> Value:
    """``y[*a, *b] = sum over the named axes of x1[*a, *k] * x2[*k, *b]``.

    Shapes
    ------
    x1 : [*a, *k]; x2 : [*k, *b]; returned : [*a, *b]

    Parameters
    ----------
    x1, x2 : array_like
        Brought to their common dtype.
    axes : int or pair of sequences of int, default 2
        A number: that many last axes of x1 and first of x2. A pair: those of x1 and of x2.

    Raises
    ------
    ShapeError
        Where the axes do not exist or differ in number or size.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.tensordot([[1, 2], [3, 4]], [[1, 0], [0, 1]], axes=2).item()
    5
    """
    x, w = as_value(x1), as_value(x2)
    if isinstance(axes, int | np.integer):
        if not 0 <= axes <= min(x.ndim, w.ndim):
            raise ShapeError(f"tensordot: there are no {axes} axes in both arrays")
        axes = (range(x.ndim - axes, x.ndim), range(axes))
    left = [one_axis(a, x.ndim) for a in np.atleast_1d(axes[0]).astype(int).tolist()]
    right = [one_axis(a, w.ndim) for a in np.atleast_1d(axes[1]).astype(int).tolist()]
    if [x.shape[a] for a in left] != [w.shape[a] for a in right]:
        raise ShapeError(
            f"tensordot: axes {left} of shape {list(x.shape)} and {right} of {list(w.shape)} "
            "differ in number or size"
        )
    rows = [i for i in range(x.ndim) if i not in left]
    columns = [i for i in range(w.ndim) if i not in right]
    count = math.prod(x.shape[a] for a in left)
    lead, tail = [x.shape[i] for i in rows], [w.shape[i] for i in columns]
    y = matmul(
        reshape(transpose(x, (*rows, *left)), (math.prod(lead), count)),
        reshape(transpose(w, (*right, *columns)), (count, math.prod(tail))),
    )
    return reshape(y, (*lead, *tail))


def dense(x: Like, kernel: Like, bias: Like, activation: str = "linear") -> Value:
    """``y[n, m] = f(sum_k x[n, k] * kernel[k, m] + bias[m])`` in one operation.

    Shapes
    ------
    x : [n, k]; kernel : [k, m]; bias : [m]; returned : [n, m]

    Parameters
    ----------
    x, kernel, bias : array_like
        Cast to the widest float dtype among them.
    activation : {"linear", "relu", "tanh", "sigmoid"}, default "linear"
        f; apply any other to the result.

    Raises
    ------
    ShapeError
        Where the axes do not fit.
    ArgumentError
        For another activation.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.dense([[1.0, -2.0]], [[1.0], [1.0]], [0.5], activation="relu").numpy().tolist()
    [[0.0]]
    """
    if activation not in fused.ACTIVATIONS:
        raise unknown_name("activation of dense", activation, fused.ACTIVATIONS)
    values = [as_value(a) for a in (x, kernel, bias)]
    dtype = dtypes.floatx()
    floats = [v.dtype for v in values if dtypes.is_float(v.dtype)]
    if floats:
        dtype = "float64" if "float64" in floats else floats[0]
    result: Value = fused.dense(*(cast(v, dtype) for v in values), activation=activation)
    return result
