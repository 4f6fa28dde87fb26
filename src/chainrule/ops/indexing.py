"""``x[...]`` and what is made of it."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.graph import Value, Variable, room
from chainrule.ops import functions as f
from chainrule.ops.arrays import reshape
from chainrule.ops.convert import as_value, joint_shape, one_axis
from chainrule.ops.gather import checked_rows, take
from chainrule.ops.joins import cut, flip
from chainrule.ops.shape import slice_

Like = Any
_ARRAYS = (Value, Variable, np.ndarray, list)


def getitem(x: Like, key: Any) -> Value:
    """``x[key]`` for integers, slices, ``None``, ``...``, and arrays of row numbers.

    One array may stand at any axis among slices: ``x[:, rows]``. Several, also with integers, name
    the first axes, and broadcast: ``x[rows, columns]`` picks an element for each pair.

    Raises
    ------
    ArgumentError
        For an integer outside of its axis.
    ShapeError
        For more indices than axes, a step of 0, or arrays that stand elsewhere.
    DTypeError
        For an index of another kind, e.g. a float or a mask.

    Examples
    --------
    >>> from chainrule import ops
    >>> x = ops.reshape(ops.arange(6), (2, 3))
    >>> x[:, ::-1].numpy().tolist()
    [[2, 1, 0], [5, 4, 3]]
    >>> x[[0, 1], [2, 0]].numpy().tolist()
    [2, 3]
    """
    x = as_value(x)
    keys = list(key) if isinstance(key, tuple) else [key]
    if len(keys) == 1 and isinstance(keys[0], _ARRAYS):
        return take(x, keys[0], axis=0)
    keys = _one_an_axis(keys, x)
    if any(isinstance(k, _ARRAYS) for k in keys):
        return _with_arrays(x, keys)
    return _sliced(x, keys)


def _one_an_axis(keys: list[Any], x: Value) -> list[Any]:
    """Return the keys with ``...`` written out: one an axis, besides each ``None``."""
    dots = sum(k is Ellipsis for k in keys)
    given = sum(k is not None and k is not Ellipsis for k in keys)
    if dots > 1 or given > x.ndim:
        what = "more than one `...`" if dots > 1 else f"{given} indices"
        raise ShapeError(f"{what} for an array of shape {list(x.shape)}")
    keys = keys if dots else [*keys, Ellipsis]
    at = next(i for i, k in enumerate(keys) if k is Ellipsis)
    return [*keys[:at], *[slice(None)] * (x.ndim - given), *keys[at + 1 :]]


def _with_arrays(x: Value, keys: list[Any]) -> Value:
    """Return x by arrays: one among slices, or several that name the first axes."""
    numbers = [i for i, k in enumerate(keys) if k is not None and not isinstance(k, slice)]
    if len(numbers) == 1:
        at = numbers[0]
        rest = [slice(None) if i == at else k for i, k in enumerate(keys)]
        return take(_sliced(x, rest), keys[at], axis=at)
    count = len(numbers)
    if numbers != list(range(count)):
        raise ShapeError("several arrays as index name the first axes: use take or moveaxis")
    rows = [checked_rows(k, n) for k, n in zip(keys[:count], x.shape, strict=False)]
    flat, size = rows[0], x.shape[0]
    for more, n in zip(rows[1:], x.shape[1:], strict=False):
        joint_shape(flat.shape, more.shape)
        flat, size = f.add(f.multiply(flat, n), more), size * n
    picked = take(reshape(x, (size, *x.shape[count:])), flat, axis=0)
    return getitem(picked, (*[slice(None)] * flat.ndim, *keys[count:]))


def _sliced(x: Value, keys: list[Any]) -> Value:
    bounds: list[tuple[int, int, int]] = []
    shape: list[int] = []
    backwards: list[int] = []
    for key in keys:
        if key is None:
            shape.append(1)
            continue
        axis = len(bounds)
        if isinstance(key, slice):
            a, b, s = _bounds(key, x.shape[axis])
            if s < 0:
                backwards.append(axis)
                a, b, s = x.shape[axis] - 1 - a, x.shape[axis] - 1 - b, -s
            b = max(a, b)
            shape.append(-(-(b - a) // s))
        else:
            a = _position(key, axis, x.shape[axis])
            b, s = a + 1, 1
        bounds.append((a, b, s))
    start, stop, step = (tuple(b[i] for b in bounds) for i in range(3))
    x = flip(x, backwards) if backwards else x
    whole = not bounds or (start, stop, step) == ((0,) * x.ndim, x.shape, (1,) * x.ndim)
    return reshape(x if whole else slice_(x, start=start, stop=stop, step=step), shape)


def _bounds(key: slice, n: int) -> tuple[int, int, int]:
    try:
        return key.indices(n)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"a slice is made of whole numbers, its step not 0: {key}") from error


def _position(key: Any, axis: int, n: int) -> int:
    if isinstance(key, bool | np.bool_) or not hasattr(key, "__index__"):
        raise DTypeError(f"an index is an integer, a slice, None or ..., not {key!r}")
    i = operator.index(key)
    if not -n <= i < n:
        raise ArgumentError(f"index {i} is outside of axis {axis}, which has size {n}")
    return i % n


def split(x: Like, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Value]:
    """``[x[:a], x[a:b], x[b:]]`` along `axis`: equal parts, or parts that begin at given places.

    Shapes
    ------
    x : [n, *s]; returned : k times [n / k, *s], for axis 0 and k sections

    Parameters
    ----------
    x : array_like
    indices_or_sections : int or sequence of int
        The number of equal parts, at least 1; or the places where parts begin, but the first.
    axis : int, default 0

    Raises
    ------
    ShapeError
        Where the axis does not divide into that many equal parts.

    Examples
    --------
    >>> from chainrule import ops
    >>> [part.numpy().tolist() for part in ops.split([1, 2, 3, 4], 2)]
    [[1, 2], [3, 4]]
    >>> [part.numpy().tolist() for part in ops.split([1, 2, 3, 4], [1])]
    [[1], [2, 3, 4]]
    """
    x = as_value(x)
    axis = one_axis(axis, x.ndim)
    bounds = _cuts(indices_or_sections, x.shape[axis])
    places = [slice(a, b).indices(x.shape[axis]) for a, b in itertools.pairwise(bounds)]
    return [cut(x, axis, a, max(a, b)) for a, b, _ in places]


def _cuts(indices_or_sections: int | Sequence[int], n: int) -> list[int]:
    if not isinstance(indices_or_sections, int | np.integer):
        return [0, *(int(i) for i in indices_or_sections), n]
    parts = int(indices_or_sections)
    if parts < 1 or n % parts:
        raise ShapeError(f"split: an axis of size {n} does not make {parts} equal parts")
    room.take(room.NODE * parts)
    return [i * (n // parts) for i in range(parts + 1)]
