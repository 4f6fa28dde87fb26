"""Friendly functions that give the same elements another shape or order of axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph import Value
from chainrule.ops import checks
from chainrule.ops.convert import all_axes, as_value, one_axis
from chainrule.ops.shape import reshape as shape_reshape
from chainrule.ops.shape import stop_gradient as shape_stop_gradient
from chainrule.ops.shape import transpose as shape_transpose

Like = Any
Axis = int | Sequence[int] | None


def reshape(x: Like, newshape: Sequence[int] | int) -> Value:
    """``y = the elements of x, in row-major order, under another shape``; costs nothing.

    Shapes
    ------
    x : [*s]; returned : [*newshape]

    Parameters
    ----------
    x : array_like
    newshape : int or sequence of int
        Its sizes multiply to that of x; one may be -1, which is the rest.

    Raises
    ------
    ShapeError
        Where the elements do not fit.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.reshape([1, 2, 3, 4], (2, -1)).numpy().tolist()
    [[1, 2], [3, 4]]
    """
    x = as_value(x)
    given = [int(n) for n in (newshape if isinstance(newshape, Iterable) else (newshape,))]
    if given.count(-1) == 1:
        rest = math.prod(n for n in given if n != -1)
        if rest < 0 or (rest and x.size % rest):
            raise ShapeError(
                f"reshape: {x.size} elements of shape {list(x.shape)} do not fit {given}"
            )
        given[given.index(-1)] = x.size // rest if rest else 0
    result: Value = x if tuple(given) == x.shape else shape_reshape(x, shape=tuple(given))
    return result


def ravel(x: Like) -> Value:
    """``y = the elements of x in row-major order``, along one axis.

    Shapes
    ------
    x : [*s]; returned : [n], n the product of the sizes

    Parameters
    ----------
    x : array_like

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.ravel([[1, 2], [3, 4]]).numpy().tolist()
    [1, 2, 3, 4]
    """
    return reshape(x, -1)


def transpose(x: Like, axes: Sequence[int] | None = None) -> Value:
    """``y = x with its axes in another order``: axis i of y is axis ``axes[i]`` of x.

    Shapes
    ------
    x : [a, b, ..., z]; returned : [z, ..., b, a] by default

    Parameters
    ----------
    x : array_like
    axes : sequence of int, optional
        Each axis of x once, also counted from the end; reversed by default.

    Raises
    ------
    ShapeError
        Where an axis is missing or named twice.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.transpose([[1, 2, 3], [4, 5, 6]]).numpy().tolist()
    [[1, 4], [2, 5], [3, 6]]
    """
    x = as_value(x)
    order = tuple(reversed(range(x.ndim))) if axes is None else tuple(axes)
    order = tuple(one_axis(a, x.ndim) for a in order)
    same = order == tuple(range(x.ndim))
    result: Value = x if same else shape_transpose(x, axes=order)
    return result


def swapaxes(x: Like, axis1: int, axis2: int) -> Value:
    """``y = x with two axes exchanged``.

    Shapes
    ------
    x : [a, *s, b]; returned : [b, *s, a], for the axes 0 and -1

    Parameters
    ----------
    x : array_like
    axis1, axis2 : int
        From -ndim to ndim - 1.

    Raises
    ------
    ShapeError
        For an axis that does not exist or is named twice.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.swapaxes([[1, 2, 3]], 0, 1).numpy().tolist()
    [[1], [2], [3]]
    """
    x = as_value(x)
    order = list(range(x.ndim))
    a, b = one_axis(axis1, x.ndim), one_axis(axis2, x.ndim)
    order[a], order[b] = order[b], order[a]
    return transpose(x, order)


def moveaxis(x: Like, source: int | Sequence[int], destination: int | Sequence[int]) -> Value:
    """``y = x with axes moved to new places``; the others keep their order.

    Shapes
    ------
    x : [n, h, w, c]; returned : [n, c, h, w], for -1 to 1

    Parameters
    ----------
    x : array_like
    source, destination : int or sequence of int
        From -ndim to ndim - 1, as many of one as of the other.

    Raises
    ------
    ShapeError
        Where the numbers of axes differ, or one is named twice.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.moveaxis([[[1, 2]], [[3, 4]]], -1, 0).numpy().tolist()
    [[[1], [3]], [[2], [4]]]
    """
    x = as_value(x)
    sources = [one_axis(a, x.ndim) for a in np.atleast_1d(source).tolist()]
    places = [one_axis(a, x.ndim) for a in np.atleast_1d(destination).tolist()]
    unequal = len(sources) != len(places)
    if unequal or len(set(sources)) < len(sources) or len(set(places)) < len(places):
        raise ShapeError(f"moveaxis: axes {source} do not move to {destination} one by one")
    order = [i for i in range(x.ndim) if i not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return transpose(x, order)


def expand_dims(x: Like, axis: int | Sequence[int]) -> Value:
    """``y = x with new axes of size 1`` at the places `axis` of the result.

    Shapes
    ------
    x : [n, d]; returned : [n, 1, d], for axis 1

    Parameters
    ----------
    x : array_like
    axis : int or sequence of int
        Places in the result, also counted from its end.

    Raises
    ------
    ShapeError
        For an axis that does not exist or is named twice.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.expand_dims([1, 2], -1).numpy().tolist()
    [[1], [2]]
    """
    x = as_value(x)
    count = len(axis) if isinstance(axis, Sequence) else 1
    places = all_axes(axis, x.ndim + count)
    sizes = iter(x.shape)
    return reshape(x, [1 if i in places else next(sizes) for i in range(x.ndim + count)])


def squeeze(x: Like, axis: Axis = None) -> Value:
    """``y = x without its axes of size 1``, or without those that are named.

    Shapes
    ------
    x : [n, 1, d]; returned : [n, d]

    Parameters
    ----------
    x : array_like
    axis : int or sequence of int, optional
        Axes of size 1; all such by default.

    Raises
    ------
    ShapeError
        Where a named axis has another size.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.squeeze([[1], [2]], axis=1).numpy().tolist()
    [1, 2]
    """
    x = as_value(x)
    axes = [i for i, n in enumerate(x.shape) if n == 1] if axis is None else all_axes(axis, x.ndim)
    for a in axes:
        if x.shape[a] != 1:
            raise ShapeError(f"squeeze: axis {a} has size {x.shape[a]}, not 1")
    return reshape(x, [n for i, n in enumerate(x.shape) if i not in axes])


def stop_gradient(x: Like) -> Value:
    """``y = x``, which counts as constant: its derivative is 0.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like

    Examples
    --------
    >>> from chainrule import ops
    >>> from chainrule import Variable
    >>> from chainrule.graph import gradient
    >>> x = Variable([3.0])
    >>> gradient(ops.sum(x * ops.stop_gradient(x)), [x])[0].numpy().tolist()
    [3.0]
    """
    result: Value = shape_stop_gradient(as_value(x))
    return result


def shape(x: Like) -> tuple[int, ...]:
    """``the size of each axis``, known before anything is computed.

    Parameters
    ----------
    x : array_like

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.shape([[1, 2, 3]])
    (1, 3)
    """
    return as_value(x).shape


def size(x: Like) -> int:
    """``the number of elements``, known before anything is computed.

    Parameters
    ----------
    x : array_like

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.size([[1, 2, 3]])
    3
    """
    return as_value(x).size


def ndim(x: Like) -> int:
    """``the number of axes``, known before anything is computed.

    Parameters
    ----------
    x : array_like

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.ndim([[1, 2, 3]])
    2
    """
    return as_value(x).ndim


def require_finite(x: Like, code: int) -> Value:
    """``y = x``; a run stops at the first row with a value that is infinite or NaN.

    The row is that of the first axis. The derivative is 1.

    Shapes
    ------
    x : [n, *s]; returned : [n, *s]

    Parameters
    ----------
    x : array_like
    code : int
        Reported by the error, so that whoever runs the step can say which check it was.

    Raises
    ------
    Fault
        By the run, with the code, the row and the step.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.require_finite([1.0, 2.0], code=7).numpy().tolist()
    [1.0, 2.0]
    """
    result: Value = checks.require_finite(as_value(x), code=code)
    return result


def require_range(x: Like, low: float, high: float, code: int) -> Value:
    """``y = x``; a run stops at the first row with a value that is no whole number in [low, high).

    The row is that of the first axis. The derivative is 1.

    Shapes
    ------
    x : [n, *s]; returned : [n, *s]

    Parameters
    ----------
    x : array_like
    low, high : float
        The lowest number allowed, and the first above those allowed.
    code : int
        Reported by the error, so that whoever runs the step can say which check it was.

    Raises
    ------
    Fault
        By the run, with the code, the row and the step.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.require_range([0, 2, 1], 0, 3, code=7).numpy().tolist()
    [0, 2, 1]
    """
    result: Value = checks.require_range(as_value(x), low=low, high=high, code=code)
    return result
