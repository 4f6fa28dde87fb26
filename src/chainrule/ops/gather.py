"""Friendly functions that read, add and mark elements by number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import dtypes
from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.graph import Value, room
from chainrule.ops import checks, index
from chainrule.ops import functions as f
from chainrule.ops.arrays import moveaxis, reshape, transpose
from chainrule.ops.compare import less, where
from chainrule.ops.convert import as_value, cast, counted, one_axis
from chainrule.ops.reduce import reduce_max

Like = Any
NO_ROW = 65535  # the code that `take` reports as well


def take(x: Like, indices: Like, axis: int | None = None) -> Value:
    """``y[..., i, ...] = x[..., indices[i], ...]`` along `axis`; of the flat array by default.

    Numbers given as an array may be negative and count from the end. Those that a step computes
    (values) count from 0, and a run stops at one that is no row. The gradients of rows that are
    taken several times add up.

    Shapes
    ------
    x : [n, *s]; indices : [*i]; returned : [*i, *s], for axis 0

    Parameters
    ----------
    x : array_like
    indices : array_like of int
        From -n to n - 1; floats are cut to whole numbers.
    axis : int, optional

    Raises
    ------
    ArgumentError
        For a number outside of the axis.
    DTypeError
        For a mask: how many rows it selects is not known.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.take([[1, 2], [3, 4], [5, 6]], [2, 0], axis=0).numpy().tolist()
    [[5, 6], [1, 2]]
    """
    x = as_value(x)
    if axis is None:
        x, axis = reshape(x, (x.size,)), 0
    axis = one_axis(axis, x.ndim)
    numbers = row_numbers(indices, x.shape[axis])
    if axis:
        order = [axis, *(i for i in range(x.ndim) if i != axis)]
        rows = index.take(transpose(x, order), numbers)
        back = list(range(numbers.ndim, numbers.ndim + axis)) + list(range(numbers.ndim))
        return transpose(rows, [*back, *range(numbers.ndim + axis, rows.ndim)])
    result: Value = index.take(x, numbers)
    return result


def row_numbers(indices: Like, n: int) -> Value:
    """Return row numbers as integers, those known now counted from the front and checked."""
    numbers = as_value(indices)
    if numbers.dtype == "bool":
        raise DTypeError("rows are taken by number, not by a mask: use where")
    if numbers.constant is not None:
        known = numbers.constant.astype(np.int64)
    else:
        return numbers if numbers.dtype in dtypes.INTEGERS else cast(numbers, "int64")
    outside = known[(known < -n) | (known >= n)]
    if outside.size:
        raise ArgumentError(f"take: no row {outside[0]} in an axis of size {n}")
    return as_value(known % n if n else known)


def checked_rows(indices: Like, n: int) -> Value:
    """Return row numbers counted from the front in int64; a run stops at one that is outside."""
    numbers = cast(row_numbers(indices, n), "int64")
    if numbers.constant is not None:
        return numbers
    numbers = where(less(numbers, 0), f.add(numbers, n), numbers)
    return cast(checks.require_range(numbers, low=0, high=n, code=NO_ROW), "int64")


def take_along_axis(x: Like, indices: Like, axis: int | None = None) -> Value:
    """``y[..., i] = x[..., indices[..., i]]``: other elements from each line along `axis`.

    Negative numbers count from the end; a run stops at one that is outside.

    Shapes
    ------
    x : [*s, n]; indices : [*s, k]; returned : [*s, k], for the last axis

    Parameters
    ----------
    x : array_like
    indices : array_like of int
        From -n to n - 1.
    axis : int, optional
        By default both are made flat.

    Raises
    ------
    ShapeError
        Where the other axes differ.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.take_along_axis([[1, 2], [3, 4]], [[1], [0]], axis=1).numpy().tolist()
    [[2], [3]]
    """
    x, numbers = as_value(x), as_value(indices)
    if axis is None:
        x, numbers, axis = reshape(x, (x.size,)), reshape(numbers, (numbers.size,)), 0
    axis = one_axis(axis, x.ndim)
    x = moveaxis(x, axis, -1)
    numbers = moveaxis(numbers, axis, -1) if numbers.ndim == x.ndim else numbers
    if numbers.shape[:-1] != x.shape[:-1] or numbers.ndim != x.ndim:
        raise ShapeError(
            f"take_along_axis: beside axis {axis} the indices are {list(numbers.shape[:-1])}, "
            f"but x is {list(x.shape[:-1])}"
        )
    n = x.shape[-1]
    numbers = checked_rows(numbers, n)
    room.take(8 * math.prod(x.shape[:-1]))
    starts = n * np.arange(math.prod(x.shape[:-1])).reshape((*x.shape[:-1], 1))
    flat = index.take(reshape(x, (x.size,)), f.add(numbers, as_value(starts)))
    return moveaxis(flat, -1, axis)


def scatter_add(indices: Like, updates: Like, rows: int) -> Value:
    """``y[r] = sum of the updates whose index is r``; an index that is no row is left out.

    Shapes
    ------
    indices : [*i]; updates : [*i, *s]; returned : [rows, *s]

    Parameters
    ----------
    indices : array_like of int
        From 0 to rows - 1.
    updates : array_like
        Integers are added in float64, exact below 2^53.
    rows : int
        At least 0.

    Raises
    ------
    ShapeError
        Where the updates do not begin with the axes of the indices.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.scatter_add([0, 2, 0], [1.0, 2.0, 3.0], rows=3).numpy().tolist()
    [4.0, 0.0, 2.0]
    """
    at, values = as_value(indices), counted(updates)
    at = at if at.dtype in dtypes.INTEGERS else cast(at, "int64")
    kind = values.dtype if dtypes.is_float(values.dtype) else "float64"
    return cast(index.scatter_add(at, cast(values, kind), rows=rows), values.dtype)


def segment_sum(data: Like, segment_ids: Like, num_segments: int) -> Value:
    """``y[r] = sum of the rows of data whose id is r``; rows with another id are left out.

    Shapes
    ------
    data : [n, *s]; segment_ids : [n]; returned : [num_segments, *s]

    Parameters
    ----------
    data : array_like
    segment_ids : array_like of int
        From 0 to num_segments - 1, in any order.
    num_segments : int
        At least 0; needed, since a step has fixed shapes.

    Raises
    ------
    ShapeError
        Where there are not as many ids as rows.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.segment_sum([1.0, 2.0, 4.0], [1, 1, 0], num_segments=2).numpy().tolist()
    [4.0, 3.0]
    """
    return scatter_add(segment_ids, data, num_segments)


def one_hot(x: Like, num_classes: int, axis: int = -1, dtype: str | None = None) -> Value:
    """``y[..., k] = 1`` where x is k, else 0; all 0 for a number outside of the classes.

    Shapes
    ------
    x : [*s]; returned : [*s, num_classes], for axis -1

    Parameters
    ----------
    x : array_like of int
        From 0 to num_classes - 1; floats are cut to whole numbers.
    num_classes : int
        At least 0.
    axis : int, default -1
        The place of the new axis, also counted from the end of the result.
    dtype : str, default `floatx()`

    Raises
    ------
    ArgumentError
        Where `num_classes` is below 0.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.one_hot([2, 0], 3).numpy().tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    if num_classes < 0:
        raise ArgumentError(f"one_hot: num_classes is at least 0, not {num_classes}")
    x = as_value(x)
    x = x if x.dtype in dtypes.INTEGERS else cast(x, "int64")
    kind = dtypes.name_of(dtype or dtypes.floatx())
    depth = int(num_classes)
    hot = index.one_hot(x, depth=depth, dtype=kind if dtypes.is_float(kind) else "float32")
    return cast(moveaxis(hot, -1, one_axis(axis, hot.ndim)), kind)


def multi_hot(x: Like, num_classes: int, axis: int = -1, dtype: str | None = None) -> Value:
    """``y[..., k] = 1`` where k is among the last axis of x, else 0.

    Shapes
    ------
    x : [*s, d]; returned : [*s, num_classes]

    Parameters
    ----------
    x : array_like of int
        From 0 to num_classes - 1; others mark nothing.
    num_classes : int
        At least 0.
    axis : int, default -1
        The place of the axis of classes in the result.
    dtype : str, default `floatx()`

    Raises
    ------
    ArgumentError
        Where `num_classes` is below 0.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.multi_hot([[2, 0], [1, 1]], 3).numpy().tolist()
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    hot = one_hot(x, num_classes)
    if hot.ndim < 2:
        return cast(hot, dtype or dtypes.floatx())
    marked = f.maximum(reduce_max(hot, axes=(hot.ndim - 2,)), 0)
    return cast(moveaxis(marked, -1, one_axis(axis, marked.ndim)), dtype or dtypes.floatx())
