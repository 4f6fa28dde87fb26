"""Friendly functions on whole arrays: reductions, orders and shapes."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chainrule import dtypes
from chainrule.errors import ShapeError
from chainrule.graph import Value
from chainrule.ops import checks, fused, reduce
from chainrule.ops import functions as f
from chainrule.ops.convert import (
    all_axes,
    as_value,
    cast,
    common_dtype,
    counted,
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
    x = counted(x)
    axes = all_axes(axis, x.ndim)
    result = x
    if 0 in axes and len(axes) > 1:  # the trailing axes first: that part can be shared by threads
        result = reduce.reduce_sum(x, axes=axes[1:])
        result = reduce.reduce_sum(result, axes=(0,))
    elif axes:
        result = reduce.reduce_sum(x, axes=axes)
    return _kept(x, axes, result, keepdims)


def _floating(x: Like) -> Value:
    x = as_value(x)
    return x if dtypes.is_float(x.dtype) else cast(x, dtypes.floatx())


def mean(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """The mean over `axis`."""
    x = _floating(x)
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
    x = counted(x)
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
    x = counted(x)
    if axis is None:
        x, axis = reshape(x, (x.size,)), 0
    axis = one_axis(axis, x.ndim)
    return _kept(x, (axis,), reduce.argmax(x, axis=axis), keepdims)


def argmin(x: Like, axis: int | None = None, keepdims: bool = False) -> Value:
    """The index of the first minimum along `axis`."""
    return argmax(f.negative(x), axis, keepdims)


def cumsum(x: Like, axis: int = -1) -> Value:
    """The running sum along `axis`."""
    x = counted(x)
    result: Value = reduce.cumulative_sum(x, axis=one_axis(axis, x.ndim), reverse=False)
    return result


def sort(x: Like, axis: int = -1) -> Value:
    """The elements in ascending order along `axis`."""
    return _lines(reduce.sort, counted(x), axis)


def argsort(x: Like, axis: int = -1) -> Value:
    """The order that sorts `axis`."""
    return _lines(reduce.argsort, counted(x), axis)


def _lines(op: Any, x: Value, axis: int) -> Value:
    """Apply an operation on the last axis of arrays of two axes or more along any axis."""
    axis = one_axis(axis, x.ndim)
    if x.ndim == 1:
        return reshape(op(reshape(x, (1, x.size))), x.shape)
    return swapaxes(op(swapaxes(x, axis, -1)), axis, -1)


def logsumexp(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``log(sum(exp(x)))`` without overflow."""
    x = _floating(x)
    axes = all_axes(axis, x.ndim)
    top = stop_gradient(max(x, axes, keepdims=True))
    top = f.where(f.isfinite(top), top, 0.0)  # inf - inf would be NaN
    total = f.add(f.log(sum(f.exp(f.subtract(x, top)), axes, keepdims=True)), top)
    return total if keepdims else squeeze(total, axes)


# Shapes.


def reshape(x: Like, newshape: Sequence[int] | int) -> Value:
    """The same elements in another shape; one size may be -1."""
    x = as_value(x)
    given = [int(n) for n in (newshape if isinstance(newshape, Iterable) else (newshape,))]
    if given.count(-1) == 1:
        rest = math.prod(n for n in given if n != -1)
        if rest and x.size % rest:
            raise ShapeError(
                f"reshape: {x.size} elements of shape {list(x.shape)} do not fit {given}"
            )
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
    dtype = functools.reduce(common_dtype, [v.dtype for v in values])
    values = [cast(v, dtype) for v in values]
    result: Value = shape_concatenate(*values, axis=one_axis(axis, values[0].ndim))
    return result


def stack(xs: Sequence[Like], axis: int = 0) -> Value:
    """The arrays along a new axis."""
    values = [as_value(x) for x in xs]
    if not values:
        raise ShapeError("stack: no arrays")
    at = one_axis(axis, values[0].ndim + 1)
    return concatenate([expand_dims(v, at) for v in values], at)


def flip(x: Like, axis: Axis = None) -> Value:
    """The elements in the opposite order along `axis`."""
    x = as_value(x)
    result: Value = shape_reverse(x, axes=all_axes(axis, x.ndim))
    return result


def pad(x: Like, pad_width: Any, constant_values: float = 0.0) -> Value:
    """`constant_values` before and behind each axis, as in ``numpy.pad``."""
    x = as_value(x)
    try:
        widths = np.broadcast_to(np.asarray(pad_width, np.int64), (x.ndim, 2)).tolist()
    except ValueError:
        raise ShapeError(
            f"pad: {pad_width} is not a pair (before, behind) for each of the {x.ndim} axes"
        ) from None
    low, high = tuple(a for a, _ in widths), tuple(b for _, b in widths)
    result: Value = shape_pad(x, low=low, high=high, value=float(constant_values))
    return result


def stop_gradient(x: Like) -> Value:
    """x, which counts as constant for derivatives."""
    result: Value = shape_stop_gradient(as_value(x))
    return result


def _along(op: Any, x: Like, axis: int) -> Value:
    return _lines(op, _floating(x), axis)


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
