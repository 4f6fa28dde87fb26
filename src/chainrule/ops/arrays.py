"""Friendly functions on whole arrays: reductions, shapes, products, indexing, creation."""

from __future__ import annotations

import builtins
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import dtypes
from chainrule.errors import ShapeError
from chainrule.graph import Value
from chainrule.ops import checks, contraction, fused, reduce
from chainrule.ops import functions as f
from chainrule.ops.convert import (
    all_axes,
    as_value,
    broadcast_to,
    cast,
    common_dtype,
    joint_shape,
    one_axis,
)
from chainrule.ops.shape import (
    concatenate as shape_concatenate,
)
from chainrule.ops.shape import (
    pad as shape_pad,
)
from chainrule.ops.shape import (
    reshape as shape_reshape,
)
from chainrule.ops.shape import (
    reverse as shape_reverse,
)
from chainrule.ops.shape import (
    slice_ as shape_slice,
)
from chainrule.ops.shape import (
    stop_gradient as shape_stop_gradient,
)
from chainrule.ops.shape import (
    transpose as shape_transpose,
)

Like = Any
Axis = int | Sequence[int] | None


def _kept(x: Value, axes: tuple[int, ...], result: Value, keepdims: bool) -> Value:
    if not keepdims:
        return result
    return reshape(result, [1 if i in axes else n for i, n in enumerate(x.shape)])


def sum(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """The sum over `axis`; over all axes by default."""
    x = as_value(x)
    x = cast(x, "int64") if x.dtype in ("bool", "uint8") else x
    axes = all_axes(axis, x.ndim)
    result = x
    if 0 in axes and len(axes) > 1:  # the trailing axes first: that part can be shared by threads
        result = reduce.reduce_sum(x, axes=axes[1:])
        result = reduce.reduce_sum(result, axes=(0,))
    elif axes:
        result = reduce.reduce_sum(x, axes=axes)
    return _kept(x, axes, result, keepdims)


def mean(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """The mean over `axis`."""
    x = as_value(x)
    x = x if dtypes.is_float(x.dtype) else cast(x, dtypes.floatx())
    count = math.prod(x.shape[i] for i in all_axes(axis, x.ndim))
    if count == 0:
        raise ShapeError(f"the mean over no elements: shape {list(x.shape)}, axis {axis}")
    return f.divide(sum(x, axis, keepdims), float(count))


def var(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """The mean squared distance from the mean."""
    x = as_value(x)
    return mean(f.square(f.subtract(x, mean(x, axis, True))), axis, keepdims)


def std(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """The square root of the variance."""
    return f.sqrt(var(x, axis, keepdims))


def max(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """The largest element over `axis`."""
    x = as_value(x)
    axes = all_axes(axis, x.ndim)
    return _kept(x, axes, reduce.reduce_max(x, axes=axes) if axes else x, keepdims)


def min(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """The smallest element over `axis`."""
    return f.negative(max(f.negative(x), axis, keepdims))


def any(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """Whether any element over `axis` is true."""
    return f.greater(sum(cast(cast(x, "bool"), "int64"), axis, keepdims), 0)


def all(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """Whether all elements over `axis` are true."""
    return f.logical_not(any(f.logical_not(x), axis, keepdims))


def argmax(x: Like, axis: int | None = None, keepdims: bool = False) -> Value:
    """The index of the first maximum along `axis`; in the flat array by default."""
    x = as_value(x)
    if axis is None:
        x, axis = reshape(x, (x.size,)), 0
    axis = one_axis(axis, x.ndim)
    return _kept(x, (axis,), reduce.argmax(x, axis=axis), keepdims)


def argmin(x: Like, axis: int | None = None, keepdims: bool = False) -> Value:
    """The index of the first minimum along `axis`."""
    return argmax(f.negative(x), axis, keepdims)


def cumsum(x: Like, axis: int = -1) -> Value:
    """The running sum along `axis`."""
    x = as_value(x)
    result: Value = reduce.cumulative_sum(x, axis=one_axis(axis, x.ndim), reverse=False)
    return result


def sort(x: Like, axis: int = -1) -> Value:
    """The elements in ascending order along `axis`."""
    return _lines(reduce.sort, as_value(x), axis)


def argsort(x: Like, axis: int = -1) -> Value:
    """The order that sorts `axis`."""
    return _lines(reduce.argsort, as_value(x), axis)


def _lines(op: Any, x: Value, axis: int) -> Value:
    """Apply an operation on the last axis of arrays of two axes or more along any axis."""
    if x.ndim == 1:
        return reshape(op(reshape(x, (1, x.size))), x.shape)
    return swapaxes(op(swapaxes(x, axis, -1)), axis, -1)


def logsumexp(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``log(sum(exp(x)))`` without overflow."""
    x = as_value(x)
    axes = all_axes(axis, x.ndim)
    top = stop_gradient(max(x, axes, keepdims=True))
    total = f.add(f.log(sum(f.exp(f.subtract(x, top)), axes, keepdims=True)), top)
    return total if keepdims else squeeze(total, axes)


# Shapes.


def reshape(x: Like, newshape: Sequence[int] | int) -> Value:
    """The same elements in another shape; one size may be -1."""
    x = as_value(x)
    given = [int(n) for n in (newshape if isinstance(newshape, Sequence) else (newshape,))]
    if -1 in given:
        rest = math.prod(n for n in given if n != -1)
        given[given.index(-1)] = x.size // rest if rest else 0
    result: Value = x if tuple(given) == x.shape else shape_reshape(x, shape=tuple(given))
    return result


def transpose(x: Like, axes: Sequence[int] | None = None) -> Value:
    """The axes in another order; reversed by default."""
    x = as_value(x)
    order = tuple(reversed(range(x.ndim))) if axes is None else tuple(axes)
    order = tuple(one_axis(a, x.ndim) for a in order)
    result: Value = shape_transpose(x, axes=order)
    return result


def swapaxes(x: Like, axis1: int, axis2: int) -> Value:
    """Two axes exchanged."""
    x = as_value(x)
    order = list(range(x.ndim))
    a, b = one_axis(axis1, x.ndim), one_axis(axis2, x.ndim)
    order[a], order[b] = order[b], order[a]
    return x if a == b else transpose(x, order)


def expand_dims(x: Like, axis: int) -> Value:
    """A new axis of size 1 at `axis`."""
    x = as_value(x)
    at = one_axis(axis, x.ndim + 1)
    return reshape(x, (*x.shape[:at], 1, *x.shape[at:]))


def squeeze(x: Like, axis: Axis = None) -> Value:
    """Without the axes of size 1, or without `axis`."""
    x = as_value(x)
    axes = [i for i, n in enumerate(x.shape) if n == 1] if axis is None else all_axes(axis, x.ndim)
    for a in axes:
        if x.shape[a] != 1:
            raise ShapeError(f"squeeze: axis {a} has size {x.shape[a]}, not 1")
    return reshape(x, [n for i, n in enumerate(x.shape) if i not in axes])


def concatenate(xs: Sequence[Like], axis: int = -1) -> Value:
    """The arrays one after the other along `axis`."""
    values = [as_value(x) for x in xs]
    if not values:
        raise ShapeError("concatenate: no arrays")
    result: Value = shape_concatenate(*values, axis=one_axis(axis, values[0].ndim))
    return result


def stack(xs: Sequence[Like], axis: int = 0) -> Value:
    """The arrays along a new axis."""
    values = [as_value(x) for x in xs]
    at = one_axis(axis, values[0].ndim + 1)
    return concatenate([expand_dims(v, at) for v in values], at)


def flip(x: Like, axis: Axis = None) -> Value:
    """The elements in the opposite order along `axis`."""
    x = as_value(x)
    result: Value = shape_reverse(x, axes=all_axes(axis, x.ndim))
    return result


def split(x: Like, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Value]:
    """Equal parts along `axis`, or parts that begin at the given indices."""
    x = as_value(x)
    axis = one_axis(axis, x.ndim)
    n = x.shape[axis]
    if isinstance(indices_or_sections, int):
        if indices_or_sections < 1 or n % indices_or_sections:
            raise ShapeError(f"split: {n} rows do not make {indices_or_sections} equal parts")
        size = n // indices_or_sections
        cuts = list(range(0, n + 1, builtins.max(size, 1)))
    else:
        cuts = [0, *indices_or_sections, n]
    whole: list[Any] = [slice(None)] * x.ndim
    return [
        getitem(x, (*whole[:axis], slice(a, b), *whole[axis + 1 :]))
        for a, b in itertools.pairwise(cuts)
    ]


def pad(x: Like, pad_width: Any, constant_values: float = 0.0) -> Value:
    """`constant_values` before and behind each axis, as in ``numpy.pad``."""
    x = as_value(x)
    widths = np.broadcast_to(np.asarray(pad_width, np.int64), (x.ndim, 2)).tolist()
    low, high = tuple(a for a, _ in widths), tuple(b for _, b in widths)
    result: Value = shape_pad(x, low=low, high=high, value=float(constant_values))
    return result


def getitem(x: Value, key: Any) -> Value:
    """``x[key]`` for integers, slices with a positive step, ``None`` and ``...``."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if builtins.any(isinstance(k, Value | np.ndarray | list) for k in keys):
        if len(keys) == 1:
            from chainrule.ops.creation import take

            return take(x, keys[0], axis=0)
        raise ShapeError("an array as index must stand alone: use take")
    given = builtins.sum(k is not None and k is not Ellipsis for k in keys)
    if Ellipsis not in keys:
        keys.append(Ellipsis)
    at = keys.index(Ellipsis)
    keys[at : at + 1] = [slice(None)] * (x.ndim - given)
    if given > x.ndim:
        raise ShapeError(f"{given} indices for an array of shape {list(x.shape)}")
    return _sliced(x, keys)


def _sliced(x: Value, keys: list[Any]) -> Value:
    start, stop, step, shape = [], [], [], []
    sizes = iter(x.shape)
    for key in keys:
        if key is None:
            shape.append(1)
            continue
        n = next(sizes)
        if isinstance(key, slice):
            a, b, s = key.indices(n)
            if s < 1:
                raise ShapeError("a slice needs a positive step: use flip")
            b = builtins.max(a, b)
            shape.append(-(-(b - a) // s))
        else:
            a = one_axis(int(key), n)
            b, s = a + 1, 1
        start.append(a)
        stop.append(b)
        step.append(s)
    cut = shape_slice(x, start=tuple(start), stop=tuple(stop), step=tuple(step))
    return reshape(cut, shape)


# Products.


def matmul(x1: Like, x2: Like) -> Value:
    """The product of matrices, or of stacks of them; a vector counts as a row or a column."""
    x, w = as_value(x1), as_value(x2)
    dtype = common_dtype(x.dtype, w.dtype)
    x, w = cast(x, dtype), cast(w, dtype)
    if x.ndim == 0 or w.ndim == 0:
        raise ShapeError("matmul needs arrays of at least one axis: use multiply")
    if x.ndim == 1:
        return squeeze(matmul(expand_dims(x, 0), w), -2)
    if w.ndim == 1:
        return squeeze(matmul(x, expand_dims(w, 1)), -1)
    result: Value
    if x.ndim == 2 and w.ndim == 2:
        result = contraction.matmul(x, w)
    elif w.ndim == 2:
        flat = contraction.matmul(reshape(x, (-1, x.shape[-1])), w)
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
    """The product of two vectors or two matrices."""
    return matmul(x1, x2)


def dense(x: Like, kernel: Like, bias: Like, activation: str = "linear") -> Value:
    """``activation(x @ kernel + bias)`` in one operation, for x of two axes."""
    result: Value = fused.dense(
        as_value(x), as_value(kernel), as_value(bias), activation=activation
    )
    return result


def stop_gradient(x: Like) -> Value:
    """x, which counts as constant for derivatives."""
    result: Value = shape_stop_gradient(as_value(x))
    return result


def _along(op: Any, x: Like, axis: int) -> Value:
    x = as_value(x)
    x = x if dtypes.is_float(x.dtype) else cast(x, dtypes.floatx())
    return _lines(op, x, axis)


def softmax(x: Like, axis: int = -1) -> Value:
    """``exp(x) / sum(exp(x))`` along `axis`."""
    return _along(fused.softmax, x, axis)


def log_softmax(x: Like, axis: int = -1) -> Value:
    """``x - log(sum(exp(x)))`` along `axis`."""
    return _along(fused.log_softmax, x, axis)


def shape(x: Like) -> tuple[int, ...]:
    """The size of each axis."""
    return as_value(x).shape


def size(x: Like) -> int:
    """The number of elements."""
    return as_value(x).size


def ndim(x: Like) -> int:
    """The number of axes."""
    return as_value(x).ndim


def require_finite(x: Like, code: int) -> Value:
    """x; a run stops at a row with a value that is not finite and reports `code`."""
    result: Value = checks.require_finite(as_value(x), code=code)
    return result


def require_range(x: Like, low: float, high: float, code: int) -> Value:
    """x; a run stops at a row with a value that is no whole number in [low, high)."""
    result: Value = checks.require_range(as_value(x), low=low, high=high, code=code)
    return result
