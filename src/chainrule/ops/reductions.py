"""Friendly functions that join the elements along axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import dtypes
from chainrule.errors import ShapeError
from chainrule.graph import Value, room
from chainrule.ops import compare as c
from chainrule.ops import functions as f
from chainrule.ops import reduce, signs, truths
from chainrule.ops.arrays import reshape, transpose
from chainrule.ops.convert import all_axes, as_value, cast, counted, floating, one_axis
from chainrule.ops.joins import concatenate
from chainrule.ops.shape import slice_

Like = Any
Axis = int | Sequence[int] | None


def _kept(x: Value, axes: tuple[int, ...], result: Value, keepdims: bool) -> Value:
    if not keepdims:
        return result
    return reshape(result, [1 if i in axes else n for i, n in enumerate(x.shape)])


def sum(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``y = sum_i x[i]`` over `axis`; 0 over no elements.

    Truths and uint8 are added in int64, int32 in int32. Each element gets the gradient of the sum.

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
    >>> ops.sum([[1, 2], [3, 4]], axis=0).numpy().tolist()
    [4, 6]
    """
    x = counted(x)
    axes = all_axes(axis, x.ndim)
    result = x
    if 0 in axes and len(axes) > 1:  # the trailing axes first: that part can be shared by threads
        result = reduce.reduce_sum(x, axes=axes[1:])
        result = reduce.reduce_sum(result, axes=(0,))
    elif axes:
        result = reduce.reduce_sum(x, axes=axes)
    return _kept(x, axes, result, keepdims)


def mean(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``y = sum_i x[i] / n`` over the n elements of `axis`, a float.

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
        Also for the mean over no elements.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.mean([[1, 2], [3, 4]], axis=1).numpy().tolist()
    [1.5, 3.5]
    """
    x = floating(x)
    count = math.prod(x.shape[i] for i in all_axes(axis, x.ndim))
    if count == 0:
        raise ShapeError(f"the mean over no elements: shape {list(x.shape)}, axis {axis}")
    return f.divide(sum(x, axis, keepdims), float(count))


def max(x: Like, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Value:
    """``y = the largest x[i]`` over `axis`; NaN where any is. Equal maxima share the gradient.

    Over no elements it is -inf, or the lowest integer, where NumPy raises an error.

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
    initial : float, optional
        The result is at least this.

    Raises
    ------
    ShapeError
        For an axis that does not exist or is named twice.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.max([[1, 5], [7, 4]], axis=0).numpy().tolist()
    [7, 5]
    """
    x = counted(x)
    axes = all_axes(axis, x.ndim)
    result = _kept(x, axes, reduce.reduce_max(x, axes=axes) if axes else x, keepdims)
    return result if initial is None else f.maximum(result, initial)


def min(x: Like, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Value:
    """``y = the smallest x[i]`` over `axis`; NaN where any is. Equal minima share the gradient.

    Over no elements it is inf, or the highest integer, where NumPy raises an error.

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
    initial : float, optional
        The result is at most this.

    Raises
    ------
    ShapeError
        For an axis that does not exist or is named twice.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.min([[1, 5], [7, 4]], axis=0).numpy().tolist()
    [1, 4]
    """
    x = counted(x)
    result = _mirrored(max(_mirrored(x), axis, keepdims))
    return result if initial is None else f.minimum(result, initial)


amax, amin = max, min


def _mirrored(x: Value) -> Value:
    """Return x in the opposite order; ``-1 - x`` of the lowest integer does not overflow."""
    if dtypes.is_float(x.dtype):
        return signs.negative(x)
    room.take(8 * x.size)
    return f.subtract(as_value(np.full(x.shape, -1, x.dtype)), x)


def any(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``y = whether some x[i] is true`` over `axis`, false over no elements; NaN is true.

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
    >>> ops.any([[0, 1], [0, 0]], axis=1).numpy().tolist()
    [True, False]
    """
    return c.greater(count_nonzero(x, axis, keepdims), 0)


def all(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``y = whether every x[i] is true`` over `axis`, true over no elements; NaN is true.

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
    >>> ops.all([[1, 1], [0, 1]], axis=1).numpy().tolist()
    [True, False]
    """
    return truths.logical_not(any(truths.logical_not(x), axis, keepdims))


def count_nonzero(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``y = the number of x[i] that are not 0`` over `axis`, int64; NaN counts.

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
    >>> ops.count_nonzero([[0, 5], [2, 1]], axis=0).numpy().tolist()
    [1, 2]
    """
    return sum(cast(cast(x, "bool"), "int64"), axis, keepdims)


def prod(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``y = product_i x[i]`` over `axis`; 1 over no elements.

    Multiplied in pairs, so the gradient, the product of the others, is right beside zeros too.

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
    >>> ops.prod([[1, 2], [3, 4]], axis=1).numpy().tolist()
    [2, 12]
    """
    x = counted(x)
    axes = all_axes(axis, x.ndim)
    kept = [i for i in range(x.ndim) if i not in axes]
    shape = tuple(x.shape[i] for i in kept)
    y = reshape(transpose(x, (*kept, *axes)), (*shape, math.prod(x.shape[i] for i in axes)))
    if y.shape[-1] == 0:
        return _kept(x, axes, as_value(np.ones(shape, x.dtype)), keepdims)
    while y.shape[-1] > 1:
        half, whole = y.shape[-1] // 2, y.shape[-1]
        pairs = f.multiply(_lines(y, 0, half), _lines(y, half, 2 * half))
        y = concatenate([pairs, _lines(y, whole - 1, whole)], -1) if whole % 2 else pairs
    return _kept(x, axes, reshape(y, shape), keepdims)


def _lines(x: Value, start: int, stop: int) -> Value:
    low, high = (0,) * (x.ndim - 1), x.shape[:-1]
    cut: Value = slice_(x, start=(*low, start), stop=(*high, stop), step=(1,) * x.ndim)
    return cut


def argmax(x: Like, axis: int | None = None, keepdims: bool = False) -> Value:
    """``y = the index of the first maximum`` along `axis`, int64; NaN counts as the maximum.

    Shapes
    ------
    x : [*s]; returned : [*s] without `axis`

    Parameters
    ----------
    x : array_like
    axis : int, optional
        From -ndim to ndim - 1; by default the index is that in the flat array.
    keepdims : bool, default False
        Whether the axis stays, with size 1.

    Raises
    ------
    ShapeError
        For an axis that does not exist or is empty.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.argmax([[1, 5], [7, 4]], axis=1).numpy().tolist()
    [1, 0]
    """
    return _first("argmax", counted(x), axis, keepdims)


def argmin(x: Like, axis: int | None = None, keepdims: bool = False) -> Value:
    """``y = the index of the first minimum`` along `axis`, int64; NaN counts as the minimum.

    Shapes
    ------
    x : [*s]; returned : [*s] without `axis`

    Parameters
    ----------
    x : array_like
    axis : int, optional
        From -ndim to ndim - 1; by default the index is that in the flat array.
    keepdims : bool, default False
        Whether the axis stays, with size 1.

    Raises
    ------
    ShapeError
        For an axis that does not exist or is empty.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.argmin([[1, 5], [7, 4]], axis=1).numpy().tolist()
    [0, 1]
    """
    return _first("argmin", _mirrored(counted(x)), axis, keepdims)


def _first(name: str, x: Value, axis: int | None, keepdims: bool) -> Value:
    given = x
    if axis is None:
        x, axis = reshape(x, (x.size,)), 0
    axis = one_axis(axis, x.ndim)
    if x.shape[axis] == 0:
        raise ShapeError(f"{name}: axis {axis} of shape {list(given.shape)} is empty")
    result: Value = reduce.argmax(x, axis=axis)
    axes = (axis,) if x is given else tuple(range(given.ndim))
    return _kept(given, axes, result, keepdims)
