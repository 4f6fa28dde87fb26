"""``x[...]`` and what is made of it."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.graph import Value, Variable
from chainrule.ops.arrays import reshape
from chainrule.ops.convert import as_value, one_axis
from chainrule.ops.creation import take
from chainrule.ops.shape import slice_

Like = Any


def getitem(x: Like, key: Any) -> Value:
    """``x[key]`` for integers, slices with a positive step, ``None``, ``...``, or one array of
    row numbers.

    Raises
    ------
    ArgumentError
        For an integer outside of its axis.
    ShapeError
        For more indices than axes, or a negative step.
    DTypeError
        For an index of another kind, e.g. a float or a mask.
    """
    x = as_value(x)
    keys = list(key) if isinstance(key, tuple) else [key]
    if any(isinstance(k, Value | Variable | np.ndarray | list) for k in keys):
        if len(keys) > 1:
            raise ShapeError("an array as index must stand alone: use take")
        return take(x, keys[0], axis=0)
    return _sliced(x, _one_an_axis(keys, x))


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


def _sliced(x: Value, keys: list[Any]) -> Value:
    bounds: list[tuple[int, int, int]] = []
    shape: list[int] = []
    for key in keys:
        if key is None:
            shape.append(1)
            continue
        axis = len(bounds)
        if isinstance(key, slice):
            a, b, s = _bounds(key, x.shape[axis])
            shape.append(-(-(b - a) // s))
        else:
            a = _position(key, axis, x.shape[axis])
            b, s = a + 1, 1
        bounds.append((a, b, s))
    start, stop, step = (tuple(b[i] for b in bounds) for i in range(3))
    cut = x if not bounds else slice_(x, start=start, stop=stop, step=step)
    return reshape(cut, shape)


def _bounds(key: slice, n: int) -> tuple[int, int, int]:
    start, stop, step = key.indices(n)
    if step < 1:
        raise ShapeError("a slice needs a positive step: use flip")
    return start, max(start, stop), step


def _position(key: Any, axis: int, n: int) -> int:
    if isinstance(key, bool | np.bool_) or not hasattr(key, "__index__"):
        raise DTypeError(f"an index is an integer, a slice, None or ..., not {key!r}")
    i = operator.index(key)
    if not -n <= i < n:
        raise ArgumentError(f"index {i} is outside of axis {axis}, which has size {n}")
    return i % n


def split(x: Like, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Value]:
    """Equal parts along `axis`, or parts that begin at the given indices.

    Raises
    ------
    ShapeError
        Where the axis does not divide into that many equal parts.
    """
    x = as_value(x)
    axis = one_axis(axis, x.ndim)
    cuts = _cuts(indices_or_sections, x.shape[axis])
    whole: list[Any] = [slice(None)] * x.ndim
    return [
        getitem(x, (*whole[:axis], slice(a, b), *whole[axis + 1 :]))
        for a, b in itertools.pairwise(cuts)
    ]


def _cuts(indices_or_sections: int | Sequence[int], n: int) -> list[int]:
    if not isinstance(indices_or_sections, int | np.integer):
        return [0, *(int(i) for i in indices_or_sections), n]
    parts = int(indices_or_sections)
    if parts < 1 or n % parts:
        raise ShapeError(f"split: an axis of size {n} does not make {parts} equal parts")
    return [i * (n // parts) for i in range(parts + 1)]
