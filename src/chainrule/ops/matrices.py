"""Friendly functions on the last two axes: triangles and diagonals."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph import Value, room
from chainrule.ops import index
from chainrule.ops.arrays import moveaxis, reshape
from chainrule.ops.compare import where
from chainrule.ops.convert import as_value, one_axis
from chainrule.ops.joins import cut
from chainrule.ops.reductions import sum
from chainrule.ops.shape import fill, pad

Like = Any


def _matrices(x: Like, name: str) -> Value:
    y = as_value(x)
    if y.ndim < 2:
        raise ShapeError(f"{name} needs two axes at least, not an array of shape {list(y.shape)}")
    return y


def _below(x: Value, k: int) -> Any:
    rows, columns = x.shape[-2:]
    return np.tri(rows, columns, k, dtype=bool)


def tril(x: Like, k: int = 0) -> Value:
    """``y[..., i, j] = x[..., i, j]`` where ``j <= i + k``, else 0, also where x is NaN there.

    Shapes
    ------
    x : [*s, n, m]; returned : [*s, n, m]

    Parameters
    ----------
    x : array_like
    k : int, default 0
        The diagonal at the border, which is kept.

    Raises
    ------
    ShapeError
        For fewer than two axes.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.tril([[1, 2], [3, 4]]).numpy().tolist()
    [[1, 0], [3, 4]]
    """
    x = _matrices(x, "tril")
    zero = fill(shape=x.shape, value=0.0, dtype=x.dtype)
    return where(_below(x, k), x, zero)


def triu(x: Like, k: int = 0) -> Value:
    """``y[..., i, j] = x[..., i, j]`` where ``j >= i + k``, else 0, also where x is NaN there.

    Shapes
    ------
    x : [*s, n, m]; returned : [*s, n, m]

    Parameters
    ----------
    x : array_like
    k : int, default 0
        The diagonal at the border, which is kept.

    Raises
    ------
    ShapeError
        For fewer than two axes.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.triu([[1, 2], [3, 4]]).numpy().tolist()
    [[1, 2], [0, 4]]
    """
    x = _matrices(x, "triu")
    zero = fill(shape=x.shape, value=0.0, dtype=x.dtype)
    return where(_below(x, k - 1), zero, x)


def diagonal(x: Like, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """``y[..., i] = x[..., i, i + offset]``, for the axes `axis1` and `axis2`.

    Shapes
    ------
    x : [n, m, *s]; returned : [*s, d], d the length of the diagonal

    Parameters
    ----------
    x : array_like
    offset : int, default 0
        Above the main diagonal for numbers above 0.
    axis1, axis2 : int, default 0 and 1
        The axes of the rows and of the columns.

    Raises
    ------
    ShapeError
        For fewer than two axes, or the same one twice.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.diagonal([[1, 2], [3, 4]]).numpy().tolist()
    [1, 4]
    """
    x = _matrices(x, "diagonal")
    if one_axis(axis1, x.ndim) == one_axis(axis2, x.ndim):
        raise ShapeError(f"diagonal: axes {axis1} and {axis2} are the same")
    x = moveaxis(x, (axis1, axis2), (0, 1))
    rows, columns = x.shape[:2]
    room.take(8 * rows * columns)
    at = np.arange(rows * columns).reshape(rows, columns).diagonal(offset)
    lines: Value = index.take(reshape(x, (rows * columns, *x.shape[2:])), as_value(at.copy()))
    return moveaxis(lines, 0, -1)


def trace(x: Like, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """``y = sum_i x[i, i + offset]``, for the axes `axis1` and `axis2`.

    Shapes
    ------
    x : [n, m, *s]; returned : [*s]

    Parameters
    ----------
    x : array_like
    offset : int, default 0
    axis1, axis2 : int, default 0 and 1

    Raises
    ------
    ShapeError
        For fewer than two axes, or the same one twice.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.trace([[1, 2], [3, 4]]).item()
    5
    """
    return sum(diagonal(x, offset, axis1, axis2), -1)


def diag(x: Like, k: int = 0) -> Value:
    """``y[i, i + k] = x[i]``, else 0, of a vector; of a matrix ``y[i] = x[i, i + k]``.

    Shapes
    ------
    x : [n]; returned : [n + |k|, n + |k|]; or x : [n, m]; returned : [d]

    Parameters
    ----------
    x : array_like
    k : int, default 0
        The diagonal.

    Raises
    ------
    ShapeError
        For an array of another number of axes.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.diag([1, 2]).numpy().tolist()
    [[1, 0], [0, 2]]
    """
    x = as_value(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(f"diag takes a vector or a matrix, not an array of shape {list(x.shape)}")
    n = x.size
    side = n + max(k, -k)
    first = max(k, 0) + max(-k, 0) * side  # the place of x[0] in the flat matrix
    wide: Value = pad(reshape(x, (n, 1)), low=(0, 0), high=(0, side), value=0.0)
    flat: Value = pad(reshape(wide, (-1,)), low=(first,), high=(side * side,), value=0.0)
    return reshape(cut(flat, 0, 0, side * side), (side, side))
