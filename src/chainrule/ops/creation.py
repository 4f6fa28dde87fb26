"""Friendly functions that index and create arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import dtypes
from chainrule.errors import ArgumentError, DTypeError
from chainrule.graph import Value, Variable
from chainrule.ops import index
from chainrule.ops.arrays import reshape, transpose
from chainrule.ops.convert import as_value, cast, counted, one_axis
from chainrule.ops.shape import fill

Like = Any


def take(x: Like, indices: Like, axis: int | None = 0) -> Value:
    """The rows of x with these numbers, along `axis`; in the flat array where it is ``None``.

    Numbers given as an array may be negative and count from the end. Those that a step computes
    (values) count from 0, and a run stops at one that is no row.

    Raises
    ------
    ArgumentError
        For a number outside of the axis.
    DTypeError
        For a mask: how many rows it selects is not known.
    """
    x = as_value(x)
    if axis is None:
        x, axis = reshape(x, (x.size,)), 0
    axis = one_axis(axis, x.ndim)
    numbers = _row_numbers(indices, x.shape[axis])
    if axis:
        order = [axis, *(i for i in range(x.ndim) if i != axis)]
        rows = index.take(transpose(x, order), numbers)
        back = list(range(numbers.ndim, numbers.ndim + axis)) + list(range(numbers.ndim))
        return transpose(rows, [*back, *range(numbers.ndim + axis, rows.ndim)])
    result: Value = index.take(x, numbers)
    return result


def _row_numbers(indices: Like, n: int) -> Value:
    """Return row numbers as integers, those known now counted from the front and checked."""
    numbers = as_value(indices)
    if numbers.dtype == "bool":
        raise DTypeError("rows are taken by number, not by a mask: use where")
    numbers = numbers if numbers.dtype in dtypes.INTEGERS else cast(numbers, "int64")
    if isinstance(indices, Value | Variable):
        return numbers
    known = np.asarray(numbers)
    outside = known[(known < -n) | (known >= n)]
    if outside.size:
        raise ArgumentError(f"take: no row {outside[0]} in an axis of size {n}")
    return as_value(known % n) if outside.size < known.size else numbers


def scatter_add(indices: Like, updates: Like, rows: int) -> Value:
    """An array of `rows` rows to which each update was added at its index."""
    at, values = as_value(indices), counted(updates)
    at = at if at.dtype in dtypes.INTEGERS else cast(at, "int64")
    kind = values.dtype if dtypes.is_float(values.dtype) else "float64"
    return cast(index.scatter_add(at, cast(values, kind), rows=rows), values.dtype)


def one_hot(x: Like, num_classes: int, axis: int = -1, dtype: str | None = None) -> Value:
    """1 at the class, else 0, along a new axis."""
    x = as_value(x)
    x = x if x.dtype in dtypes.INTEGERS else cast(x, "int64")
    kind = dtypes.name_of(dtype or dtypes.floatx())
    hot = index.one_hot(x, depth=num_classes, dtype=kind if dtypes.is_float(kind) else "float32")
    at = one_axis(axis, hot.ndim)
    order = [*range(at), hot.ndim - 1, *range(at, hot.ndim - 1)]
    return cast(hot if at == hot.ndim - 1 else transpose(hot, order), kind)


def full(shape: Sequence[int], fill_value: float, dtype: str | None = None) -> Value:
    """An array whose elements are all `fill_value`."""
    kind = dtypes.name_of(dtype or dtypes.floatx())
    result: Value = fill(shape=tuple(shape), value=fill_value, dtype=kind)
    return result


def zeros(shape: Sequence[int], dtype: str | None = None) -> Value:
    """An array of zeros."""
    return full(shape, 0.0, dtype)


def ones(shape: Sequence[int], dtype: str | None = None) -> Value:
    """An array of ones."""
    return full(shape, 1.0, dtype)


def zeros_like(x: Like) -> Value:
    """Zeros of the shape and dtype of x."""
    x = as_value(x)
    return full(x.shape, 0.0, x.dtype)


def ones_like(x: Like) -> Value:
    """Ones of the shape and dtype of x."""
    x = as_value(x)
    return full(x.shape, 1.0, x.dtype)


def arange(
    start: float, stop: float | None = None, step: float = 1, dtype: str | None = None
) -> Value:
    """The numbers from `start` up to but not `stop`."""
    low, high = (0, start) if stop is None else (start, stop)
    kind = dtype or ("int64" if isinstance(low + high + step, int) else dtypes.floatx())
    return as_value(np.arange(low, high, step, dtype=kind))
