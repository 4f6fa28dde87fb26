"""Friendly statistics: variances, norms, weighted means, quantiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph import Value
from chainrule.ops import compare as c
from chainrule.ops import functions as f
from chainrule.ops import signs
from chainrule.ops.arrays import reshape, squeeze, transpose
from chainrule.ops.convert import all_axes, as_value, broadcast_to, cast, floating, one_axis
from chainrule.ops.joins import stack
from chainrule.ops.orders import sort
from chainrule.ops.reductions import _lines, max, mean, min, sum

Like = Any
Axis = int | Sequence[int] | None


def var(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``y = mean_i (x[i] - mean x)^2`` over `axis`: divided by n, not by n - 1.

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
        Also for the variance of no elements.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.var([1.0, 3.0, 5.0, 7.0]).item()
    5.0
    """
    x = floating(x)
    return mean(signs.square(f.subtract(x, mean(x, axis, True))), axis, keepdims)


def std(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``y = sqrt(var x)`` over `axis`: divided by n, not by n - 1.

    The gradient is NaN where all elements are equal: take ``sqrt(var(x) + epsilon)`` in a layer.

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
        Also for the deviation of no elements.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.std([[1.0, 3.0], [5.0, 5.0]], axis=1).numpy().tolist()
    [1.0, 0.0]
    """
    return signs.sqrt(var(x, axis, keepdims))


def moments(x: Like, axes: Axis, keepdims: bool = False) -> tuple[Value, Value]:
    """``(mean x, var x)`` over `axes`, as normalization layers take them.

    Shapes
    ------
    x : [*s]; returned : twice [*s] without `axes`

    Parameters
    ----------
    x : array_like
    axes : int or sequence of int
        From -ndim to ndim - 1.
    keepdims : bool, default False
        Whether the axes stay, with size 1.

    Raises
    ------
    ShapeError
        For an axis that does not exist or is named twice.

    Examples
    --------
    >>> from chainrule import ops
    >>> mean, variance = ops.moments([[1.0, 3.0], [5.0, 9.0]], axes=1)
    >>> mean.numpy().tolist(), variance.numpy().tolist()
    ([2.0, 7.0], [1.0, 4.0])
    """
    x = floating(x)
    center = mean(x, axes, keepdims=True)
    spread = mean(signs.square(f.subtract(x, center)), axes, keepdims=True)
    if keepdims:
        return center, spread
    gone = all_axes(axes, x.ndim)
    return squeeze(center, gone), squeeze(spread, gone)


def average(x: Like, axis: Axis = None, weights: Like = None) -> Value:
    """``y = sum_i w[i] x[i] / sum_i w[i]`` over `axis`; not finite where the weights sum to 0.

    Shapes
    ------
    x : [*s]; weights : [*s], or [n] for one axis of size n; returned : [*s] without `axis`

    Parameters
    ----------
    x : array_like
    axis : int or sequence of int, optional
        From -ndim to ndim - 1; all by default.
    weights : array_like, optional
        By default all are 1.

    Raises
    ------
    ShapeError
        Where the weights do not fit.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.average([1.0, 3.0], weights=[3, 1]).item()
    1.5
    """
    x = floating(x)
    if weights is None:
        return mean(x, axis)
    w = as_value(weights)
    if w.ndim == 1 and x.ndim > 1 and isinstance(axis, int):
        at = one_axis(axis, x.ndim)
        w = reshape(w, [w.size if i == at else 1 for i in range(x.ndim)])
    w = broadcast_to(w, x.shape)
    return f.divide(sum(f.multiply(x, w), axis), sum(w, axis))


def norm(
    x: Like, ord: int | float | str | None = None, axis: Axis = None, keepdims: bool = False
) -> Value:
    """``y = (sum_i |x[i]|^p)^(1/p)`` over `axis`, p being `ord`; ``sqrt(sum x^2)`` by default.

    The gradient of the default (and of 2, "fro") at 0 is 0, not NaN.

    Shapes
    ------
    x : [*s]; returned : [*s] without `axis`

    Parameters
    ----------
    x : array_like
    ord : number, "fro" or None, default None
        For one axis: a number above 0, 0 (counts what is not 0), inf (largest) or -inf (smallest
        size). For two axes, of a matrix: "fro", or the largest (1, inf) or smallest (-1, -inf) sum
        of sizes in a column (1, -1) or row.
    axis : int or sequence of int, optional
        All by default.
    keepdims : bool, default False
        Whether the axes stay, with size 1.

    Raises
    ------
    ArgumentError
        For an `ord` that does not belong to that number of axes.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.norm([3.0, -4.0]).item()
    5.0
    >>> ops.norm([[1.0, -2.0], [3.0, 4.0]], ord=1, axis=1).numpy().tolist()
    [3.0, 7.0]
    """
    x = floating(x)
    axes = all_axes(axis, x.ndim)
    if ord is None or (ord == "fro" and len(axes) == 2) or (ord == 2 and len(axes) == 1):
        return _root(sum(signs.square(x), axes, keepdims))
    if len(axes) == 1 and not isinstance(ord, str) and (ord >= 0 or ord == -math.inf):
        return _vector_norm(x, ord, axes, keepdims)
    if len(axes) == 2 and ord in (1, -1, math.inf, -math.inf):
        given = tuple(range(x.ndim)) if axis is None else tuple(axis)  # type: ignore[arg-type]
        rows, columns = (one_axis(a, x.ndim) for a in given)
        first, second = (rows, columns) if ord in (1, -1) else (columns, rows)
        lines = sum(signs.abs(x), first, keepdims=True)
        y = max(lines, second, keepdims=True) if ord > 0 else min(lines, second, keepdims=True)
        return y if keepdims else squeeze(y, axes)
    raise ArgumentError(f"norm: ord {ord!r} is no norm over {len(axes)} axes")


def _root(x: Value) -> Value:
    """Return the square root, with the derivative 0 at 0."""
    nothing = c.equal(x, 0)
    return c.where(nothing, 0.0, signs.sqrt(c.where(nothing, 1.0, x)))


def _vector_norm(x: Value, order: float, axes: tuple[int, ...], keepdims: bool) -> Value:
    size = signs.abs(x)
    if order == 0:
        return cast(sum(c.not_equal(x, 0), axes, keepdims), x.dtype)
    if order in (math.inf, -math.inf):
        return (max if order > 0 else min)(size, axes, keepdims)
    if order == 1:
        return sum(size, axes, keepdims)
    return f.power(sum(f.power(size, order), axes, keepdims), 1.0 / order)


def normalize(x: Like, axis: int = -1, order: int = 2, epsilon: float | None = None) -> Value:
    """``y = x / max(norm(x), epsilon)`` along `axis`.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
    axis : int, default -1
    order : number, default 2
        That of the norm, see `norm`.
    epsilon : float, default 1e-7
        Above 0: the smallest norm divided by, so that 0 stays 0.

    Examples
    --------
    >>> from chainrule import ops
    >>> print(ops.normalize([[3.0, 4.0], [0.0, 0.0]]).numpy().round(4))
    [[0.6 0.8]
     [0.  0. ]]
    """
    x = floating(x)
    size = norm(x, order, axis, keepdims=True)
    return f.divide(x, f.maximum(size, 1e-7 if epsilon is None else float(epsilon)))


def median(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``y = the middle element`` over `axis`, or the mean of the two; NaN where any is NaN.

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
        Also for the median of no elements.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.median([[3, 1, 2, 9]], axis=1).numpy().tolist()
    [2.5]
    """
    return quantile(x, 0.5, axis, keepdims=keepdims)


def quantile(
    x: Like,
    q: float | Sequence[float],
    axis: Axis = None,
    method: str = "linear",
    keepdims: bool = False,
) -> Value:
    """``y = the element at place q (n - 1)`` of the n elements of `axis` in order.

    NaN where any element is. The gradient goes to the elements that the place lies between.

    Shapes
    ------
    x : [*s]; returned : [*s] without `axis`, after a first axis [q] for several q

    Parameters
    ----------
    x : array_like
    q : float or sequence of float
        From 0 (smallest) to 1 (largest).
    axis : int or sequence of int, optional
        All by default.
    method : {"linear", "lower", "higher", "midpoint", "nearest"}, default "linear"
        What is taken between two elements.
    keepdims : bool, default False
        Whether the axes stay, with size 1.

    Raises
    ------
    ArgumentError
        For a q outside of [0, 1], another method, or no elements.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.quantile([4.0, 1.0, 3.0, 2.0], [0.5, 1.0]).numpy().tolist()
    [2.5, 4.0]

    Source
    ------
    Hyndman and Fan, "Sample Quantiles in Statistical Packages", 1996, definition 7 ("linear").
    """
    x = floating(x)
    axes = all_axes(axis, x.ndim)
    kept = [i for i in range(x.ndim) if i not in axes]
    count = math.prod(x.shape[i] for i in axes)
    if not count:
        raise ArgumentError(f"quantile: no elements in shape {list(x.shape)}, axis {axis}")
    shape = [x.shape[i] for i in kept]
    lines = sort(reshape(transpose(x, (*kept, *axes)), (*shape, count)))
    ones = [1 if i in axes else n for i, n in enumerate(x.shape)]
    last = _lines(lines, count - 1, count)  # NaN are sorted to the end
    found = [
        reshape(c.where(c.isnan(last), last, _at(lines, p, method)), ones if keepdims else shape)
        for p in np.atleast_1d(np.asarray(q, np.float64)).tolist()
    ]
    return stack(found) if np.ndim(q) else found[0]


def _at(lines: Value, q: float, method: str) -> Value:
    """Return the element at place q of each ordered line."""
    if not 0.0 <= q <= 1.0:
        raise ArgumentError(f"quantile: q is from 0 to 1, not {q}")
    place = q * (lines.shape[-1] - 1)
    low, high = math.floor(place), math.ceil(place)
    weights = {
        "linear": place - low,
        "lower": 0.0,
        "higher": 1.0,
        "midpoint": 0.5,
        "nearest": float(round(place) - low),
    }
    if method not in weights:
        raise ArgumentError(f"quantile: method is one of {', '.join(weights)}, not {method!r}")
    below, above = _lines(lines, low, low + 1), _lines(lines, high, high + 1)
    weight = weights[method]
    if weight in (0.0, 1.0) or low == high:
        return above if weight == 1.0 else below
    return f.add(below, f.multiply(f.subtract(above, below), weight))
