"""Friendly functions that join, cut, repeat and move the elements along axes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError, unknown_name
from chainrule.graph import Value, room
from chainrule.ops import index
from chainrule.ops.arrays import expand_dims, moveaxis, reshape, squeeze
from chainrule.ops.convert import all_axes, as_value, broadcast_to, cast, common_dtype, one_axis
from chainrule.ops.shape import concatenate as shape_concatenate
from chainrule.ops.shape import pad as shape_pad
from chainrule.ops.shape import reverse, slice_

Like = Any
Axis = int | Sequence[int] | None


def cut(x: Value, axis: int, start: int, stop: int | None) -> Value:
    """Return the elements from `start` up to but not `stop` along the axis."""
    axis = one_axis(axis, x.ndim)
    low = tuple(start if i == axis else 0 for i in range(x.ndim))
    high = tuple(stop if i == axis and stop is not None else n for i, n in enumerate(x.shape))
    part: Value = slice_(x, start=low, stop=high, step=(1,) * x.ndim)
    return part


def concatenate(xs: Sequence[Like], axis: int = 0) -> Value:
    """``y = the arrays one after the other`` along `axis`; the gradient is cut accordingly.

    Shapes
    ------
    xs : [*s, d_0], [*s, d_1], ...; returned : [*s, d_0 + d_1 + ...], for the last axis

    Parameters
    ----------
    xs : sequence of array_like
        At least one, brought to their common dtype.
    axis : int, default 0

    Raises
    ------
    ShapeError
        Where the other axes differ, or nothing is given.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.concatenate([[[1, 2]], [[3]]], axis=-1).numpy().tolist()
    [[1, 2, 3]]
    """
    values = [as_value(x) for x in xs]
    if not values:
        raise ShapeError("concatenate: no arrays")
    dtype = functools.reduce(common_dtype, [v.dtype for v in values])
    values = [cast(v, dtype) for v in values]
    result: Value = shape_concatenate(*values, axis=one_axis(axis, values[0].ndim))
    return result


def stack(xs: Sequence[Like], axis: int = 0) -> Value:
    """``y = the arrays along a new axis``.

    Shapes
    ------
    xs : k times [*s]; returned : [k, *s], for axis 0

    Parameters
    ----------
    xs : sequence of array_like
        At least one, of one shape; brought to their common dtype.
    axis : int, default 0
        The place of the new axis, also counted from the end of the result.

    Raises
    ------
    ShapeError
        Where the shapes differ, or nothing is given.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.stack([[1, 2], [3, 4]], axis=1).numpy().tolist()
    [[1, 3], [2, 4]]
    """
    values = [as_value(x) for x in xs]
    if not values:
        raise ShapeError("stack: no arrays")
    for v in values[1:]:
        if v.shape != values[0].shape:
            raise ShapeError(f"stack: shapes {list(values[0].shape)} and {list(v.shape)} differ")
    at = one_axis(axis, values[0].ndim + 1)
    return concatenate([expand_dims(v, at) for v in values], at)


def unstack(x: Like, num: int | None = None, axis: int = 0) -> list[Value]:
    """``[x[0], x[1], ...]`` along `axis`, which is dropped: the opposite of `stack`.

    Shapes
    ------
    x : [k, *s]; returned : k times [*s], for axis 0

    Parameters
    ----------
    x : array_like
    num : int, optional
        Checked against the size of the axis.
    axis : int, default 0

    Raises
    ------
    ShapeError
        Where `num` is not the size of the axis.

    Examples
    --------
    >>> from chainrule import ops
    >>> [part.numpy().tolist() for part in ops.unstack([[1, 2], [3, 4]], axis=1)]
    [[1, 3], [2, 4]]
    """
    x = as_value(x)
    axis = one_axis(axis, x.ndim)
    if num not in (None, x.shape[axis]):
        raise ShapeError(f"unstack: axis {axis} has size {x.shape[axis]}, not {num}")
    room.take(room.NODE * x.shape[axis])
    return [squeeze(cut(x, axis, i, i + 1), axis) for i in range(x.shape[axis])]


def hstack(xs: Sequence[Like]) -> Value:
    """``y = the arrays one after the other`` along axis 1; along axis 0 if they have only one.

    Shapes
    ------
    xs : [n, d_0], [n, d_1], ...; returned : [n, d_0 + d_1 + ...]

    Parameters
    ----------
    xs : sequence of array_like

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.hstack([[[1], [2]], [[3], [4]]]).numpy().tolist()
    [[1, 3], [2, 4]]
    """
    values = [as_value(x) for x in xs]
    values = [v if v.ndim else reshape(v, (1,)) for v in values]
    return concatenate(values, 1 if values and values[0].ndim > 1 else 0)


def vstack(xs: Sequence[Like]) -> Value:
    """``y = the arrays one below the other``: along axis 0, vectors being rows.

    Shapes
    ------
    xs : [n_0, d], [n_1, d], ...; returned : [n_0 + n_1 + ..., d]

    Parameters
    ----------
    xs : sequence of array_like

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.vstack([[1, 2], [3, 4]]).numpy().tolist()
    [[1, 2], [3, 4]]
    """
    values = [as_value(x) for x in xs]
    return concatenate([v if v.ndim > 1 else reshape(v, (1, v.size)) for v in values], 0)


def flip(x: Like, axis: Axis = None) -> Value:
    """``y[i] = x[n - 1 - i]`` along `axis`, or along each of several.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
    axis : int or sequence of int, optional
        All by default.

    Raises
    ------
    ShapeError
        For an axis that does not exist or is named twice.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.flip([[1, 2, 3]], axis=1).numpy().tolist()
    [[3, 2, 1]]
    """
    x = as_value(x)
    result: Value = reverse(x, axes=all_axes(axis, x.ndim))
    return result


def roll(x: Like, shift: int | Sequence[int], axis: Axis = None) -> Value:
    """``y[i] = x[(i - shift) mod n]`` along `axis`; of the flat array by default.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
    shift : int or sequence of int
        Below 0 towards the front; one for each axis, or one for all.
    axis : int or sequence of int, optional

    Raises
    ------
    ShapeError
        Where the numbers of shifts and axes differ, or an axis does not exist.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.roll([1, 2, 3, 4], 1).numpy().tolist()
    [4, 1, 2, 3]
    """
    y = as_value(x)
    if axis is None:
        return reshape(roll(reshape(y, (y.size,)), int(np.sum(shift)), 0), y.shape)
    axes, shifts = np.atleast_1d(axis).tolist(), np.atleast_1d(shift).tolist()
    if len(shifts) not in (1, len(axes)):
        raise ShapeError(f"roll: {len(shifts)} shifts for {len(axes)} axes")
    for a, by in zip(axes, shifts if len(shifts) == len(axes) else shifts * len(axes), strict=True):
        size = y.shape[one_axis(a, y.ndim)]
        start = -by % size if size else 0
        y = concatenate([cut(y, a, start, None), cut(y, a, 0, start)], a) if start else y
    return y


def tile(x: Like, repeats: int | Sequence[int]) -> Value:
    """``y = x laid side by side``, ``repeats[i]`` times along axis i.

    Shapes
    ------
    x : [a, b]; returned : [p a, q b], for the repeats (p, q)

    Parameters
    ----------
    x : array_like
    repeats : int or sequence of int
        At least 0. Fewer than axes count for the last ones; more give new axes in front.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.tile([1, 2], (2, 2)).numpy().tolist()
    [[1, 2, 1, 2], [1, 2, 1, 2]]
    """
    x = as_value(x)
    times = [int(n) for n in np.atleast_1d(repeats)]
    times = [1] * (x.ndim - len(times)) + times
    sizes = [1] * (len(times) - x.ndim) + list(x.shape)
    apart = reshape(x, [m for n in sizes for m in (1, n)])
    wide = broadcast_to(apart, [m for pair in zip(times, sizes, strict=True) for m in pair])
    return reshape(wide, [t * n for t, n in zip(times, sizes, strict=True)])


def repeat(x: Like, repeats: int | Sequence[int], axis: int | None = None) -> Value:
    """``y = each element of x several times`` along `axis`; of the flat array by default.

    Shapes
    ------
    x : [n, *s]; returned : [r n, *s], for axis 0 and r repeats

    Parameters
    ----------
    x : array_like
    repeats : int or sequence of int
        At least 0: for all elements, or one for each of the axis.
    axis : int, optional

    Raises
    ------
    ShapeError
        Where there are not as many repeats as elements.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.repeat([1, 2], 2).numpy().tolist()
    [1, 1, 2, 2]
    >>> ops.repeat([1, 2], [1, 3]).numpy().tolist()
    [1, 2, 2, 2]
    """
    x = as_value(x)
    x, axis = (reshape(x, (x.size,)), 0) if axis is None else (x, one_axis(axis, x.ndim))
    times = np.asarray(repeats)
    if times.size == 1:
        return _each(x, int(times.ravel()[0]), axis)
    if times.shape != (x.shape[axis],):
        raise ShapeError(f"repeat: {times.size} repeats for an axis of size {x.shape[axis]}")
    room.take(8 * int(times.sum()))
    rows = as_value(np.repeat(np.arange(times.size), times))
    return moveaxis(index.take(moveaxis(x, axis, 0), rows), 0, axis)


def _each(x: Value, times: int, axis: int) -> Value:
    wide = [*x.shape[: axis + 1], times, *x.shape[axis + 1 :]]
    flat = [n * times if i == axis else n for i, n in enumerate(x.shape)]
    return reshape(broadcast_to(expand_dims(x, axis + 1), wide), flat)


_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def pad(
    x: Like, pad_width: Any, mode: str = "constant", constant_values: float | None = None
) -> Value:
    """``y = x with elements before and behind`` along each axis, as ``numpy.pad``.

    Shapes
    ------
    x : [*s]; returned : each axis longer by its two widths

    Parameters
    ----------
    x : array_like
    pad_width : int, (before, behind), or one such pair for each axis
        At least 0.
    mode : {"constant", "edge", "reflect", "symmetric", "wrap"}, default "constant"
        What is added: a number; the border; x mirrored without or with the border; x repeated.
    constant_values : float, default 0
        Only for "constant"; cut to a whole number for integers.

    Raises
    ------
    ShapeError
        Where the widths are not such pairs.
    ArgumentError
        For another mode, or a number given with one that takes none.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.pad([1, 2, 3], (1, 2)).numpy().tolist()
    [0, 1, 2, 3, 0, 0]
    >>> ops.pad([1, 2, 3], (1, 2), mode="reflect").numpy().tolist()
    [2, 1, 2, 3, 2, 1]
    """
    x = as_value(x)
    try:
        widths = np.broadcast_to(np.asarray(pad_width, np.int64), (x.ndim, 2)).tolist()
    except ValueError:
        raise ShapeError(
            f"pad: {pad_width} is not a pair (before, behind) for each of the {x.ndim} axes"
        ) from None
    if mode not in _MODES:
        raise unknown_name("mode of pad", mode, _MODES)
    if mode != "constant":
        if constant_values is not None:
            raise ArgumentError(f"pad: mode {mode!r} takes no constant_values")
        return _mirrored(x, widths, mode)
    low, high = tuple(a for a, _ in widths), tuple(b for _, b in widths)
    result: Value = shape_pad(x, low=low, high=high, value=float(constant_values or 0.0))
    return result


def _mirrored(x: Value, widths: list[list[int]], mode: Any) -> Value:
    for axis, (before, behind) in enumerate(widths):
        if min(before, behind) < 0 or (before + behind and not x.shape[axis]):
            raise ShapeError(f"pad: {before, behind} does not fit axis {axis} of {list(x.shape)}")
        if before or behind:
            room.take(8 * (before + x.shape[axis] + behind))
            rows = np.pad(np.arange(x.shape[axis]), (before, behind), mode=mode)
            x = moveaxis(index.take(moveaxis(x, axis, 0), as_value(rows)), 0, axis)
    return x
