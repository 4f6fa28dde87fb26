"""Friendly functions that create arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import dtypes
from chainrule.errors import ArgumentError
from chainrule.graph import Value, Variable, room
from chainrule.ops import functions as f
from chainrule.ops.arrays import moveaxis, reshape
from chainrule.ops.convert import as_value, broadcast_to, cast, floating, is_number, sizes
from chainrule.ops.shape import fill

Like = Any


def full(shape: int | Sequence[int], fill_value: Like, dtype: str | None = None) -> Value:
    """``y = fill_value`` everywhere.

    Shapes
    ------
    fill_value : [*s] that broadcasts to `shape`; returned : [*shape]

    Parameters
    ----------
    shape : int or sequence of int
        Each at least 0.
    fill_value : number or array_like
    dtype : str, default `floatx()`
        Also for a whole number; numbers are cut to whole ones for integers.

    Raises
    ------
    ShapeError
        Where a size is below 0.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.full((2, 2), 7).numpy().tolist()
    [[7.0, 7.0], [7.0, 7.0]]
    """
    kind = dtypes.name_of(dtype or dtypes.floatx())
    if not is_number(fill_value) and not isinstance(fill_value, np.generic):
        return broadcast_to(cast(fill_value, kind), sizes(shape))
    result: Value = fill(shape=sizes(shape), value=fill_value, dtype=kind)
    return result


def zeros(shape: int | Sequence[int], dtype: str | None = None) -> Value:
    """``y = 0`` everywhere.

    Shapes
    ------
    returned : [*shape]

    Parameters
    ----------
    shape : int or sequence of int
        Each at least 0.
    dtype : str, default `floatx()`

    Raises
    ------
    ShapeError
        Where a size is below 0.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.zeros((2, 1)).numpy().tolist()
    [[0.0], [0.0]]
    """
    return full(shape, 0.0, dtype)


def ones(shape: int | Sequence[int], dtype: str | None = None) -> Value:
    """``y = 1`` everywhere.

    Shapes
    ------
    returned : [*shape]

    Parameters
    ----------
    shape : int or sequence of int
        Each at least 0.
    dtype : str, default `floatx()`

    Raises
    ------
    ShapeError
        Where a size is below 0.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.ones(2, dtype="int32").numpy().tolist()
    [1, 1]
    """
    return full(shape, 1.0, dtype)


def full_like(x: Like, fill_value: Like, dtype: str | None = None) -> Value:
    """``y = fill_value`` everywhere, in the shape and dtype of x.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Only its shape and dtype count; it gets no gradient.
    fill_value : number or array_like
    dtype : str, optional
        By default that of x.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.full_like([1, 2], 7).numpy().tolist()
    [7, 7]
    """
    x = as_value(x)
    return full(x.shape, fill_value, dtype or x.dtype)


def zeros_like(x: Like, dtype: str | None = None) -> Value:
    """``y = 0`` everywhere, in the shape and dtype of x.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Only its shape and dtype count; it gets no gradient.
    dtype : str, optional
        By default that of x.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.zeros_like([1.5, 2.5]).numpy().tolist()
    [0.0, 0.0]
    """
    return full_like(x, 0.0, dtype)


def ones_like(x: Like, dtype: str | None = None) -> Value:
    """``y = 1`` everywhere, in the shape and dtype of x.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Only its shape and dtype count; it gets no gradient.
    dtype : str, optional
        By default that of x.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.ones_like([[1.5], [2.5]]).numpy().tolist()
    [[1.0], [1.0]]
    """
    return full_like(x, 1.0, dtype)


def arange(
    start: float, stop: float | None = None, step: float = 1, dtype: str | None = None
) -> Value:
    """``y[i] = start + i * step`` below `stop` (above it, for a step below 0).

    Shapes
    ------
    returned : [n], n = ceil((stop - start) / step), at least 0

    Parameters
    ----------
    start, stop : number
        With one number: from 0 up to but not that number.
    step : number, default 1
        Not 0.
    dtype : str, optional
        By default int64 for whole numbers (Keras: int32), else `floatx()`.

    Raises
    ------
    ArgumentError
        For a step of 0.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.arange(3).numpy().tolist()
    [0, 1, 2]
    >>> ops.arange(1, 2, 0.25).numpy().tolist()
    [1.0, 1.25, 1.5, 1.75]
    """
    low, high = (0, start) if stop is None else (start, stop)
    low, high, step = (_number(n) for n in (low, high, step))
    if step == 0:
        raise ArgumentError("arange: the step is 0")
    kind = dtype or ("int64" if isinstance(low + high + step, int) else dtypes.floatx())
    count = (high - low) / step
    room.take(8 * int(count) if 0 < count < 1e18 else 0)
    return as_value(np.arange(low, high, step).astype(dtypes.name_of(kind)))


def _number(n: Any) -> Any:
    """Return a Python number for a number of any kind."""
    return n.item() if hasattr(n, "item") else np.asarray(n).item()


def linspace(
    start: Like,
    stop: Like,
    num: int = 50,
    endpoint: bool = True,
    dtype: str | None = None,
    axis: int = 0,
) -> Value:
    """``y[i] = start + i * (stop - start) / (num - 1)``, for i from 0 to num - 1.

    Shapes
    ------
    start, stop : [*s] after broadcasting; returned : [num, *s], for axis 0

    Parameters
    ----------
    start, stop : number or array_like
        The first and the last element; both may have gradients.
    num : int, default 50
        At least 0.
    endpoint : bool, default True
        Whether `stop` is the last element; otherwise the steps are ``(stop - start) / num``.
    dtype : str, default `floatx()`, or that of the ends
    axis : int, default 0
        The place of the new axis.

    Raises
    ------
    ArgumentError
        Where `num` is below 0.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.linspace(0, 1, 5).numpy().tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    if num < 0:
        raise ArgumentError(f"linspace: num is at least 0, not {num}")
    room.take(8 * num)
    known = not isinstance(start, Value | Variable) and not isinstance(stop, Value | Variable)
    first, last = floating(start), floating(stop)
    if known:
        kind = dtype or f.add(first, last).dtype
        points = np.linspace(start, stop, num, endpoint)
        return cast(moveaxis(as_value(points.astype(dtypes.name_of(kind))), 0, axis), kind)
    place = np.linspace(0.0, 1.0, num, endpoint)
    ndim = f.add(first, last).ndim
    kind = f.add(first, last).dtype
    at = reshape(as_value(place.astype(kind)), (num, *(1,) * ndim))
    y = f.add(f.multiply(first, f.subtract(1.0, at)), f.multiply(last, at))
    return cast(moveaxis(y, 0, axis), dtype or kind)


def eye(N: int, M: int | None = None, k: int = 0, dtype: str | None = None) -> Value:
    """``y[i, j] = 1`` where ``j = i + k``, else 0.

    Shapes
    ------
    returned : [N, M]

    Parameters
    ----------
    N, M : int
        At least 0; M is N by default.
    k : int, default 0
        The diagonal: above the main one for k > 0.
    dtype : str, default `floatx()`

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.eye(2, 3, k=1).numpy().tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    rows, columns = sizes((N, N if M is None else M))
    room.take(8 * rows * columns)
    return as_value(np.eye(rows, columns, k, dtypes.name_of(dtype or dtypes.floatx())))


def identity(n: int, dtype: str | None = None) -> Value:
    """``y[i, j] = 1`` where ``j = i``, else 0.

    Shapes
    ------
    returned : [n, n]

    Parameters
    ----------
    n : int
        At least 0.
    dtype : str, default `floatx()`

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.identity(2).numpy().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: str | None = None) -> Value:
    """``y[i, j] = 1`` where ``j <= i + k``, else 0: the mask of what is not in the future.

    Shapes
    ------
    returned : [N, M]

    Parameters
    ----------
    N, M : int
        At least 0; M is N by default.
    k : int, default 0
        The last diagonal that is 1.
    dtype : str, default `floatx()`

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.tri(3).numpy().tolist()
    [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    """
    rows, columns = sizes((N, N if M is None else M))
    room.take(8 * rows * columns)
    return as_value(np.tri(rows, columns, k, dtypes.name_of(dtype or dtypes.floatx())))


def meshgrid(*x: Like, indexing: str = "xy") -> list[Value]:
    """``y_a[i, j, ...] = x_a[index of axis a]``: coordinates of a grid.

    Shapes
    ------
    x : [n_0], [n_1], ...; returned : as many of [n_1, n_0, ...]; [n_0, n_1, ...] for "ij"

    Parameters
    ----------
    *x : array_like
        The coordinates along each axis.
    indexing : {"xy", "ij"}, default "xy"
        Whether the first two axes are exchanged, as in a picture.

    Raises
    ------
    ArgumentError
        For another `indexing`.

    Examples
    --------
    >>> from chainrule import ops
    >>> [grid.numpy().tolist() for grid in ops.meshgrid([1, 2, 3], [4, 5])]
    [[[1, 2, 3], [1, 2, 3]], [[4, 4, 4], [5, 5, 5]]]
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"meshgrid: indexing is 'xy' or 'ij', not {indexing!r}")
    lines = [reshape(a, -1) for a in x]
    order = list(range(len(lines)))
    if indexing == "xy" and len(lines) > 1:
        order[:2] = 1, 0
    shape = [lines[i].size for i in order]
    grids = []
    for axis, line in enumerate(lines):
        place = [n if i == axis else 1 for i, n in zip(order, shape, strict=True)]
        grids.append(broadcast_to(reshape(line, place), shape))
    return grids
