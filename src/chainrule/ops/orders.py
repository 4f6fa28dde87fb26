"""Friendly functions along one axis: orders, running sums, softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.graph import Value, room
from chainrule.ops import compare as c
from chainrule.ops import curves, fused, reduce, reductions, signs, truths
from chainrule.ops import functions as f
from chainrule.ops.arrays import expand_dims, reshape, squeeze, stop_gradient, swapaxes
from chainrule.ops.convert import all_axes, as_value, cast, counted, floating, one_axis
from chainrule.ops.gather import take_along_axis
from chainrule.ops.joins import concatenate, cut

Like = Any
Axis = int | Sequence[int] | None


def along(op: Any, x: Value, axis: int) -> Value:
    """Apply an operation on the last axis of arrays of two axes or more along any axis."""
    axis = one_axis(axis, x.ndim)
    if x.ndim == 1:
        return reshape(op(reshape(x, (1, x.size))), x.shape)
    return swapaxes(op(swapaxes(x, axis, -1)), axis, -1)


def sort(x: Like, axis: int = -1) -> Value:
    """``y = x in ascending order`` along `axis`, NaN last; the gradient goes back by the order.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Truths and uint8 are cast to int64.
    axis : int, default -1

    Raises
    ------
    ShapeError
        For an axis that does not exist.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.sort([[3, 1, 2]]).numpy().tolist()
    [[1, 2, 3]]
    """
    return along(reduce.sort, counted(x), axis)


def argsort(x: Like, axis: int = -1) -> Value:
    """``y = the indices that sort x`` along `axis`, int64; equal elements keep their order.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Truths and uint8 are cast to int64.
    axis : int, default -1

    Raises
    ------
    ShapeError
        For an axis that does not exist.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.argsort([30, 10, 20]).numpy().tolist()
    [1, 2, 0]
    """
    return along(reduce.argsort, counted(x), axis)


def top_k(x: Like, k: int, sorted: bool = True) -> tuple[Value, Value]:
    """``(values, indices)`` of the k largest elements of each line of the last axis.

    The largest come first, of equal ones the one in front; NaN count as smaller than all others.

    Shapes
    ------
    x : [*s, d]; returned : [*s, k] and [*s, k], int64

    Parameters
    ----------
    x : array_like
    k : int
        From 0 to d.
    sorted : bool, default True
        For Keras's sake: the result is sorted in either case.

    Raises
    ------
    ArgumentError
        Where `k` is outside of its range.

    Examples
    --------
    >>> from chainrule import ops
    >>> values, indices = ops.top_k([1.0, 7.0, 3.0], k=2)
    >>> values.numpy().tolist(), indices.numpy().tolist()
    ([7.0, 3.0], [1, 2])
    """
    x = counted(x)
    one_axis(-1, x.ndim)
    if not 0 <= k <= x.shape[-1]:
        raise ArgumentError(f"top_k: k is from 0 to {x.shape[-1]}, the size of the axis, not {k}")
    indices = cut(argsort(signs.negative(x)), -1, 0, k)
    return take_along_axis(x, indices, axis=-1), indices


def in_top_k(targets: Like, predictions: Like, k: int) -> Value:
    """``y[n] = fewer than k predictions of row n are above that of its target``.

    Equal predictions are all among the top; NaN counts as above.

    Shapes
    ------
    targets : [n]; predictions : [n, m]; returned : [n], bool

    Parameters
    ----------
    targets : array_like
        Whole numbers from 0 to m - 1; a run stops at another.
    predictions : array_like
    k : int
        At least 1.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.in_top_k([0, 1], [[0.1, 0.7, 0.2], [0.1, 0.7, 0.2]], k=2).numpy().tolist()
    [False, True]
    """
    at, scores = as_value(targets), counted(predictions)
    mine = take_along_axis(scores, expand_dims(cast(at, "int64"), -1), axis=-1)
    above = cast(truths.logical_not(c.less_equal(scores, mine)), "int64")
    return c.less(reduce.reduce_sum(above, axes=(scores.ndim - 1,)), int(k))


def cumsum(x: Like, axis: int | None = None) -> Value:
    """``y[i] = x[0] + ... + x[i]`` along `axis`; of the flat array by default.

    Truths and uint8 are added in int64.

    Shapes
    ------
    x : [*s]; returned : [*s], or [n] where no axis is named

    Parameters
    ----------
    x : array_like
    axis : int, optional

    Raises
    ------
    ShapeError
        For an axis that does not exist.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.cumsum([1, 2, 3]).numpy().tolist()
    [1, 3, 6]
    """
    x = counted(x)
    x, axis = (reshape(x, (x.size,)), 0) if axis is None else (x, axis)
    result: Value = reduce.cumulative_sum(x, axis=one_axis(axis, x.ndim), reverse=False)
    return result


def cumprod(x: Like, axis: int | None = None) -> Value:
    """``y[i] = x[0] * ... * x[i]`` along `axis`; of the flat array by default.

    Multiplied in about ``log2 n`` passes, so that the gradient is right beside zeros too.

    Shapes
    ------
    x : [*s]; returned : [*s], or [n] where no axis is named

    Parameters
    ----------
    x : array_like
    axis : int, optional

    Raises
    ------
    ShapeError
        For an axis that does not exist.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.cumprod([1, 2, 3]).numpy().tolist()
    [1, 2, 6]
    """
    y = counted(x)
    y, axis = (reshape(y, (y.size,)), 0) if axis is None else (y, one_axis(axis, y.ndim))
    reach = 1
    while reach < y.shape[axis]:
        moved = f.multiply(cut(y, axis, 0, y.shape[axis] - reach), cut(y, axis, reach, None))
        y = concatenate([cut(y, axis, 0, reach), moved], axis)
        reach *= 2
    return y


def diff(a: Like, n: int = 1, axis: int = -1) -> Value:
    """``y[i] = a[i + 1] - a[i]`` along `axis`, taken n times.

    Shapes
    ------
    a : [*s, d]; returned : [*s, d - n], for the last axis

    Parameters
    ----------
    a : array_like
    n : int, default 1
        At least 0.
    axis : int, default -1

    Raises
    ------
    ArgumentError
        Where `n` is below 0.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.diff([1, 4, 9]).numpy().tolist()
    [3, 5]
    """
    if n < 0:
        raise ArgumentError(f"diff: n is at least 0, not {n}")
    y = counted(a)
    room.take(room.NODE * n)
    for _ in range(n):
        size = y.shape[one_axis(axis, y.ndim)]
        y = f.subtract(cut(y, axis, min(1, size), None), cut(y, axis, 0, max(size - 1, 0)))
    return y


def softmax(x: Like, axis: int = -1) -> Value:
    """``y[i] = e^x[i] / sum_j e^x[j]`` along `axis`, shifted by the maximum.

    A line with inf, or of -inf alone, is NaN: mask with a large finite number, e.g. -1e9.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Integers and truths are cast to `floatx()`.
    axis : int, default -1

    Raises
    ------
    ShapeError
        For an axis that does not exist.

    Examples
    --------
    >>> from chainrule import ops
    >>> print(ops.softmax([0.0, 1.0]).numpy().round(4))
    [0.2689 0.7311]
    """
    return along(fused.softmax, floating(x), axis)


def log_softmax(x: Like, axis: int = -1) -> Value:
    """``y[i] = x[i] - ln sum_j e^x[j]`` along `axis`, with the digits ``log(softmax(x))`` loses.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Integers and truths are cast to `floatx()`.
    axis : int, default -1

    Raises
    ------
    ShapeError
        For an axis that does not exist.

    Examples
    --------
    >>> from chainrule import ops
    >>> print(ops.log_softmax([0.0, 1000.0]).numpy().round(4))
    [-1000.     0.]
    """
    return along(fused.log_softmax, floating(x), axis)


def logsumexp(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``y = ln sum_i e^x[i]`` over `axis`, without overflow; -inf over no elements.

    The gradient is the softmax of x over `axis`.

    Shapes
    ------
    x : [*s]; returned : [*s] without `axis`

    Parameters
    ----------
    x : array_like
    axis : int or sequence of int, optional
        From -ndim to ndim - 1; all by default.
    keepdims : bool, default False
        Whether the axes stay, with size 1.

    Raises
    ------
    ShapeError
        For an axis that does not exist or is named twice.

    Examples
    --------
    >>> from chainrule import ops
    >>> print(ops.logsumexp([1000.0, 1000.0]).numpy().round(4))
    1000.6932
    """
    x = floating(x)
    axes = all_axes(axis, x.ndim)
    top = stop_gradient(reductions.max(x, axes, keepdims=True))
    top = c.where(c.isfinite(top), top, 0.0)  # inf - inf would be NaN
    parts = curves.exp(f.subtract(x, top))
    total = f.add(curves.log(reductions.sum(parts, axes, keepdims=True)), top)
    return total if keepdims else squeeze(total, axes)
